"""A PLC process, the real writer process, and their judge and agent."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import yaml

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import decode, encode
from taktgate.contracts.line import Beat, LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.outcome import Lane, Outcome
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope, seal
from taktgate.edge.clock import MILLISECOND, kernel_boot_id, monotonic_ns
from taktgate.edge.lane import LaneInbox, LaneSender
from taktgate.plc.writer.status import WriterStatus
from taktgate.standin.control.commands import Event
from taktgate.standin.line.process import LineProcess

MODEL = ModelRef(name="weld-seam", version="1.0.0", digest="sha256:" + "ff" * 32)
READY_S = 10.0
EXIT_FOREIGN_WRITER = 4
EXIT_ROLE_TAKEN = 3


class Station:
    """A PLC, a writer, and a judge that passes each part."""

    def __init__(
        self, folder: Path, *, plc: LineProcess | None = None, deadline_ms: int = 200
    ) -> None:
        self.plc = plc or LineProcess(control=folder / "plc.sock", deadline_ms=deadline_ms)
        self._owns_plc = plc is None
        self.verdicts: list[VerdictEnvelope] = []
        self.folder = folder
        self.outcomes: list[Outcome] = []
        self.status: WriterStatus | None = None
        self.judge_is_alive = True
        self._sequence = count(1)
        self._beat_due_ns = 0
        self._writers: list[subprocess.Popen[bytes]] = []

    async def open(self) -> None:
        if self._owns_plc:
            await self.plc.start()
        (self.folder / "station.yaml").write_text(
            yaml.safe_dump(
                {
                    "station": "VIS01",
                    "device_class": "cpu",
                    "plc": {"address": self.plc.address, "reply_timeout_ms": 150},
                    "camera": {"address": "127.0.0.1:1"},
                    "realtime": {"writer": 0},
                }
            )
        )
        self._judge = LaneInbox(self.folder / "lane" / "judge.sock")
        self._agent = LaneInbox(self.folder / "private" / "agent.sock")
        self._to_writer = LaneSender(self.folder / "lane" / "writer.sock", Lane.LOCAL)
        self._work = asyncio.create_task(self._live(), name="judge and agent")

    async def close(self) -> None:
        for writer in self._writers:
            with suppress(ProcessLookupError):
                writer.kill()
            writer.wait()
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)
        for end in (self._judge, self._agent, self._to_writer):
            end.close()
        if self._owns_plc:
            await self.plc.stop()

    def start_writer(self, private: str = "private") -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "TAKTGATE_STATION_FILE": str(self.folder / "station.yaml"),
            "TAKTGATE_LANE_DIR": str(self.folder / "lane"),
            "TAKTGATE_PRIVATE_DIR": str(self.folder / private),
        }
        environment.pop("TAKTGATE_PARENT_PID", None)
        writer = subprocess.Popen(
            [sys.executable, "-m", "taktgate.plc.writer.process"], env=environment
        )
        self._writers.append(writer)
        return writer

    @property
    def is_connected(self) -> bool | None:
        return None if self.status is None else self.status.is_connected

    async def until(self, holds: Callable[[], bool], limit_s: float = READY_S) -> float:
        """Wait until *holds*; return the seconds that took."""
        started_s = time.monotonic()
        async with asyncio.timeout(limit_s):
            while not holds():  # noqa: ASYNC110 - what holds lies in other processes
                await asyncio.sleep(0.005)
        return time.monotonic() - started_s

    async def until_ready(self) -> None:
        self.status = None
        await self.until(lambda: self.status is not None and self.status.is_ready)

    async def next_event(self, kind: str, limit_s: float = READY_S) -> Event:
        async with asyncio.timeout(limit_s):
            while True:
                event = await self.plc.events.get()
                if event["event"] == kind:
                    return event

    async def _live(self) -> None:
        while True:
            if self.judge_is_alive and monotonic_ns() >= self._beat_due_ns:
                self._beat_due_ns = monotonic_ns() + 100 * MILLISECOND
                self._to_writer.send("beat", encode(self._beat()))
            while (datagram := self._judge.receive()) is not None:
                line = decode(LineState, datagram.payload)
                if line.is_edge and self.judge_is_alive:
                    self.verdicts.append(self._verdict(line))
                    self.send_verdict(self.verdicts[-1])
            while (datagram := self._agent.receive()) is not None:
                self._take(datagram.kind, datagram.payload)
            await asyncio.sleep(0.002)

    def _take(self, kind: str, payload: bytes) -> None:
        if kind == "outcome":
            self.outcomes.append(decode(Outcome, payload))
        elif kind == "status":
            self.status = decode(WriterStatus, payload)

    def send_verdict(self, envelope: VerdictEnvelope) -> None:
        self._to_writer.send("verdict", encode(envelope))

    def _beat(self) -> Beat:
        return Beat(
            contract=CONTRACT_VERSION,
            station="VIS01",
            kernel_boot_id=kernel_boot_id(),
            judge_start_id="judge",
            sequence=next(self._sequence),
            ready=True,
            reason="",
            model=MODEL,
            sent_ns=monotonic_ns(),
        )

    def _verdict(self, line: LineState) -> VerdictEnvelope:
        decided_ns = monotonic_ns()
        return seal(
            VerdictEnvelope(
                contract=CONTRACT_VERSION,
                station="VIS01",
                kernel_boot_id=line.kernel_boot_id,
                judge_start_id="judge",
                plc_epoch=line.plc_epoch,
                sequence=next(self._sequence),
                trigger_id=line.trigger_id,
                verdict=Verdict.PASS,
                reason=Reason.NONE,
                score=0.25,
                model=MODEL,
                trigger_ns=line.observed_after_ns,
                exposure_ns=line.observed_ns,
                received_ns=line.observed_ns,
                inference_start_ns=line.observed_ns,
                inference_end_ns=decided_ns,
                decided_ns=decided_ns,
                deadline_ns=line.observed_after_ns + line.deadline_ms * MILLISECOND,
            )
        )


@asynccontextmanager
async def running_station(folder: Path, *, deadline_ms: int = 200) -> AsyncIterator[Station]:
    station = Station(folder, deadline_ms=deadline_ms)
    await station.open()
    try:
        yield station
    finally:
        await station.close()
