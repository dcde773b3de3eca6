"""The real writer process and a real PLC process over TCP; the test is judge and agent."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import decode, encode
from taktgate.contracts.line import Beat, LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.outcome import Lane, Outcome
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope, seal
from taktgate.edge.clock import MILLISECOND, kernel_boot_id, monotonic_ns
from taktgate.edge.lane import LaneInbox, LaneSender
from taktgate.plc.link import StatusRecord
from taktgate.plc.logix import LogixLink
from taktgate.plc.status import WriterStatus
from taktgate.plc.tags import WriterState
from taktgate.standin.control.commands import Event
from taktgate.standin.line.process import LineProcess

MODEL = ModelRef(name="weld-seam", version="1.0.0", digest="sha256:" + "ff" * 32)
READY_S = 10.0
EXIT_FOREIGN_WRITER = 4
EXIT_ROLE_TAKEN = 3


class Station:
    """A PLC, a writer, and a judge that passes each part."""

    def __init__(self, folder: Path) -> None:
        self.plc = LineProcess(control=folder / "plc.sock")
        self.folder = folder
        self.outcomes: list[Outcome] = []
        self.status: WriterStatus | None = None
        self.judge_is_alive = True
        self._sequence = count(1)
        self._beat_due_ns = 0
        self._writers: list[subprocess.Popen[bytes]] = []

    async def open(self) -> None:
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
            [sys.executable, "-m", "taktgate.plc.writer_process"], env=environment
        )
        self._writers.append(writer)
        return writer

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
                    self._to_writer.send("verdict", encode(self._verdict(line)))
            while (datagram := self._agent.receive()) is not None:
                self._take(datagram.kind, datagram.payload)
            await asyncio.sleep(0.002)

    def _take(self, kind: str, payload: bytes) -> None:
        if kind == "outcome":
            self.outcomes.append(decode(Outcome, payload))
        elif kind == "status":
            self.status = decode(WriterStatus, payload)

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
                decided_ns=monotonic_ns(),
                deadline_ns=line.observed_after_ns + line.deadline_ms * MILLISECOND,
            )
        )


@asynccontextmanager
async def running_station(folder: Path) -> AsyncIterator[Station]:
    station = Station(folder)
    await station.open()
    try:
        yield station
    finally:
        await station.close()


def test_every_part_of_a_run_is_passed_at_the_gate(tmp_path: Path) -> None:
    async def scenario() -> Event:
        async with running_station(tmp_path) as station:
            writer = station.start_writer()
            await station.until_ready()
            await station.plc.run(20, 15.0)
            finished = await station.next_event("finished")
            await station.until(lambda: len(station.outcomes) >= 21)
            assert {o.lane for o in station.outcomes[1:]} == {Lane.LOCAL}
            writer.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(writer.wait) == 0
            return finished

    finished = asyncio.run(scenario())
    assert finished["gate"] == {"accept": 20, "reject": 0}
    assert finished["unsafe"] == finished["unexplained"] == finished["second_verdicts"] == 0


def test_a_killed_writer_costs_parts_and_never_safety(tmp_path: Path) -> None:
    async def scenario() -> tuple[Event, Event]:
        async with running_station(tmp_path) as station:
            writer = station.start_writer()
            await station.until_ready()
            await station.plc.run(None, 10.0)
            for _ in range(3):
                await station.next_event("part")
            writer.kill()
            writer.wait()
            state = await station.next_event("state")
            station.start_writer()
            await station.until_ready()
            since = max(outcome.trigger_id for outcome in station.outcomes)
            gates: dict[int, str] = {}
            while gates.get(since + 2) is None:
                part = await station.next_event("part")
                gates[part["trigger_id"]] = part["gate"]
            assert gates[since + 2] == "accept"
            await station.plc.end_parts()
            return state, await station.plc.status()

    state, result = asyncio.run(scenario())
    assert state["comm_ok"] is False
    assert result["unsafe"] == result["unexplained"] == 0
    assert result["gate"]["reject"] >= 1


def test_a_dead_plc_is_noticed_and_written_to_again(tmp_path: Path) -> None:
    async def scenario() -> tuple[float, float, Any]:
        async with running_station(tmp_path) as station:
            station.start_writer()
            await station.until_ready()
            await station.plc.fault(freeze=True)
            noticed_s = await station.until(
                lambda: station.status is not None and not station.status.is_connected
            )
            await asyncio.sleep(0.5)
            await station.plc.fault(clear=True)
            back_s = await station.until(
                lambda: station.status is not None and station.status.is_connected
            )
            await station.until_ready()
            await station.plc.run(5, 10.0)
            return noticed_s, back_s, await station.next_event("finished")

    noticed_s, back_s, finished = asyncio.run(scenario())
    assert noticed_s < 1.0
    assert back_s < 3.0
    assert finished["gate"]["accept"] == 5
    assert finished["unsafe"] == 0


def test_a_silent_judge_ends_in_no_verdict_for_each_part(tmp_path: Path) -> None:
    async def scenario() -> list[Reason]:
        async with running_station(tmp_path) as station:
            station.start_writer()
            await station.until_ready()
            await station.plc.run(None, 10.0)
            await station.next_event("part")
            station.judge_is_alive = False
            before = len(station.outcomes)
            await station.until(lambda: len(station.outcomes) > before + 1)
            await station.until(lambda: station.status is not None and not station.status.is_ready)
            assert station.status is not None
            assert station.status.error == "no_beat"
            return [outcome.reason for outcome in station.outcomes[before + 1 :]]

    assert Reason.NO_VERDICT in asyncio.run(scenario())


def test_a_second_writer_of_the_controller_does_not_start(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with running_station(tmp_path) as station:
            station.start_writer()
            await station.until_ready()
            second = station.start_writer(private="private-of-another-module")
            return await asyncio.to_thread(second.wait)

    assert asyncio.run(scenario()) == EXIT_ROLE_TAKEN


def test_a_foreign_boot_id_ends_the_writer(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with running_station(tmp_path) as station:
            writer = station.start_writer()
            await station.until_ready()
            await asyncio.to_thread(write_as_somebody_else, station.plc.address)
            return await asyncio.to_thread(writer.wait, READY_S)

    assert asyncio.run(scenario()) == EXIT_FOREIGN_WRITER


def write_as_somebody_else(address: str) -> None:
    status = StatusRecord(
        heartbeat=1,
        boot_id=1,
        state=WriterState.RUN,
        error_code=0,
        queue_depth=0,
        last_seq=1,
        last_trigger_id=0,
        cnt_pass=0,
        cnt_reject=0,
        cnt_late=0,
        cnt_dup=0,
        cnt_overflow=0,
        cnt_reconnect=0,
        online=True,
        ready=False,
        fault=False,
    )
    link = LogixLink(address, reply_timeout_s=0.5)
    link.open()
    deadline_s = time.monotonic() + 1.0
    for heartbeat in count(2):
        # Ours is overwritten every 100 ms: write until the writer has looked in between.
        link.write([], replace(status, heartbeat=heartbeat))
        if time.monotonic() > deadline_s:
            break
        time.sleep(0.02)
    link.close(abort=False)
