"""A PLC process, the real writer process, and their judge and agent."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from taktgate.contracts.codec import decode, encode
from taktgate.contracts.line import LineState
from taktgate.contracts.outcome import Lane, Outcome
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.edge.clock import MILLISECOND, kernel_boot_id, monotonic_ns
from taktgate.edge.lane import LaneInbox, LaneSender
from taktgate.plc.writer.status import WriterStatus
from taktgate.standin.control.commands import Event
from taktgate.standin.judge import beat, passed
from taktgate.standin.line.process import LineProcess

READY_S = 60.0
REPLY_TIMEOUT_MS = 300
"""A PLC that a busy machine holds up for less is not taken for lost."""
EXIT_FOREIGN_WRITER = 4
EXIT_ROLE_TAKEN = 3


WRITER = ("-m", "taktgate.plc.writer.process")
Judge = Callable[[LineState], Sequence[VerdictEnvelope]]
"""What is sent for the part of an edge, at once."""


class Station:
    """A PLC, a writer, and a judge that passes each part unless `judge` is set to another."""

    def __init__(
        self,
        folder: Path,
        *,
        plc: LineProcess | None = None,
        address: str | None = None,
        deadline_ms: int = 200,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """*settings* are more keys of station.yaml's `plc`; at *address* somebody else's PLC is."""
        self.plc = plc or LineProcess(control=folder / "plc.sock", deadline_ms=deadline_ms)
        self._owns_plc = plc is None and address is None
        self._address = address
        self._settings = settings or {}
        self.judge: Judge = lambda line: [self.pass_for(line)]
        self.verdicts: list[VerdictEnvelope] = []
        self.folder = folder
        self.outcomes: list[Outcome] = []
        self.status: WriterStatus | None = None
        self.judge_is_alive = True
        self._sequence = count(1)
        self._beat_due_ns = 0
        self.writers: list[subprocess.Popen[bytes]] = []

    async def open(self) -> None:
        if self._owns_plc:
            await self.plc.start()
        (self.folder / "station.yaml").write_text(
            yaml.safe_dump(
                {
                    "station": "VIS01",
                    "device_class": "cpu",
                    "plc": {
                        "address": self._address or self.plc.address,
                        "reply_timeout_ms": REPLY_TIMEOUT_MS,
                        **self._settings,
                    },
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
        for writer in self.writers:
            with suppress(ProcessLookupError):
                writer.kill()
            writer.wait()
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)
        for end in (self._judge, self._agent, self._to_writer):
            end.close()
        if self._owns_plc:
            await self.plc.stop()

    def start_writer(
        self, private: str = "private", *, main: Sequence[str] = WRITER
    ) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "TAKTGATE_STATION_FILE": str(self.folder / "station.yaml"),
            "TAKTGATE_LANE_DIR": str(self.folder / "lane"),
            "TAKTGATE_PRIVATE_DIR": str(self.folder / private),
        }
        environment.pop("TAKTGATE_PARENT_PID", None)
        writer = subprocess.Popen([sys.executable, *main], env=environment)
        self.writers.append(writer)
        return writer

    @property
    def is_connected(self) -> bool | None:
        return None if self.status is None else self.status.is_connected

    @property
    def losses(self) -> int:
        """How many sessions the writer has lost since its start."""
        return 0 if self.status is None else self.status.losses

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

    async def until_lost(self, before: int) -> None:
        """Wait until a session was lost since *before* were; the next one may be open by now."""
        await self.until(lambda: self.losses > before)

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
                alive = beat(
                    kernel_boot_id=kernel_boot_id(),
                    sequence=next(self._sequence),
                    sent_ns=monotonic_ns(),
                )
                self._to_writer.send("beat", encode(alive))
            while (datagram := self._judge.receive()) is not None:
                line = decode(LineState, datagram.payload)
                if line.is_edge and self.judge_is_alive:
                    for envelope in self.judge(line):
                        self.verdicts.append(envelope)
                        self.send_verdict(envelope)
            self.listen()
            await asyncio.sleep(0.002)

    def listen(self) -> None:
        """Take in what the writer has told its agent until now."""
        while (datagram := self._agent.receive()) is not None:
            self._take(datagram.kind, datagram.payload)

    def _take(self, kind: str, payload: bytes) -> None:
        if kind == "outcome":
            self.outcomes.append(decode(Outcome, payload))
        elif kind == "status":
            self.status = decode(WriterStatus, payload)

    def send_verdict(self, envelope: VerdictEnvelope) -> None:
        self._to_writer.send("verdict", encode(envelope))

    def pass_for(self, line: LineState, **changes: Any) -> VerdictEnvelope:
        """Return a PASS for the part of *line*, decided now, with *changes* to it."""
        return passed(line, sequence=next(self._sequence), decided_ns=monotonic_ns(), **changes)


@asynccontextmanager
async def running_station(
    folder: Path,
    *,
    deadline_ms: int = 200,
    address: str | None = None,
    settings: Mapping[str, object] | None = None,
) -> AsyncIterator[Station]:
    station = Station(folder, deadline_ms=deadline_ms, address=address, settings=settings)
    await station.open()
    try:
        yield station
    finally:
        await station.close()
