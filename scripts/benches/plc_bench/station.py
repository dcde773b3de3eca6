"""The real writer process at the stand-in PLC; the bench is its judge and its agent."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Final, Self

import yaml

from taktgate.contracts.codec import decode, encode
from taktgate.contracts.line import LineState
from taktgate.contracts.outcome import Lane, Outcome
from taktgate.edge.clock import kernel_boot_id, monotonic_ns
from taktgate.edge.lane import LaneInbox, LaneSender
from taktgate.plc.writer.outlets import (
    AGENT_SOCKET,
    JUDGE_SOCKET,
    KIND_OUTCOME,
    KIND_STATUS,
    WRITER_SOCKET,
)
from taktgate.plc.writer.status import WriterStatus
from taktgate.standin.judge import STATION, beat, passed
from taktgate.standin.line.process import LineProcess

READY_S: Final = 60.0
_BEAT_S: Final = 0.1
_LONGEST_DELAY_S: Final = 0.02
"""A verdict comes up to two ticks after its part was seen, at no certain point of a tick."""


class StationError(Exception):
    """The writer did not become what it should be in time."""


class Station:
    """One start of the writer, from entering to leaving the context."""

    def __init__(
        self, folder: Path, *, controller: str, priority: int, backend: str, tick_ms: int = 10
    ) -> None:
        self._folder = folder
        self._settings = {
            "station": STATION,
            "device_class": "cpu",
            "plc": {"address": controller, "tick_ms": tick_ms, "backend": backend},
            "camera": {"address": "127.0.0.1:1"},
            "realtime": {"writer": priority},
        }
        self.outcomes: list[Outcome] = []
        self.sent_ns: dict[tuple[int, int], int] = {}
        """When a verdict was sent, by PLC epoch and trigger id."""
        self.status: WriterStatus | None = None
        self.heard_ns = 0
        """When the newest status came."""
        self.on_part: Callable[[], None] = lambda: None
        self._sequence = count(1)
        self._chance = random.Random(1)  # noqa: S311 - a spread of times, no secret
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int:
        """Return the writer's process id."""
        return self._writer.pid

    async def __aenter__(self) -> Self:
        """Start the writer and wait until it is ready for parts."""
        self._folder.mkdir(parents=True)
        station_file = self._folder / "station.yaml"
        station_file.write_text(yaml.safe_dump(self._settings), encoding="utf-8")
        self._judge = LaneInbox(self._folder / "lane" / JUDGE_SOCKET)
        self._agent = LaneInbox(self._folder / "private" / AGENT_SOCKET)
        self._to_writer = LaneSender(self._folder / "lane" / WRITER_SOCKET, Lane.LOCAL)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._judge.fileno(), self._take_lines)
        loop.add_reader(self._agent.fileno(), self._take_reports)
        self._writer = self._start_writer(station_file)
        self._spawn(self._beat())
        try:
            await self.until(lambda: self.status is not None and self.status.is_ready)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    def _start_writer(self, station_file: Path) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "taktgate.plc.writer.process"],
            env={
                **os.environ,
                "TAKTGATE_STATION_FILE": str(station_file),
                "TAKTGATE_LANE_DIR": str(self._folder / "lane"),
                "TAKTGATE_PRIVATE_DIR": str(self._folder / "private"),
                "TAKTGATE_PARENT_PID": str(os.getpid()),
            },
            stdout=(self._folder / "writer.log").open("wb"),
            stderr=subprocess.STDOUT,
        )

    async def __aexit__(self, *_: object) -> None:
        """End the writer."""
        self._writer.terminate()
        try:
            self._writer.wait(READY_S)
        except subprocess.TimeoutExpired:
            self._writer.kill()
            self._writer.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for inbox in (self._judge, self._agent):
            asyncio.get_running_loop().remove_reader(inbox.fileno())
            inbox.close()
        self._to_writer.close()

    async def until(self, holds: Callable[[], bool], limit_s: float = READY_S) -> None:
        """Wait until *holds*.

        Raises:
            StationError: it does not, or the writer has ended.
        """
        limit = time.monotonic() + limit_s
        while not holds():
            if self._writer.poll() is not None or time.monotonic() > limit:
                raise StationError(f"exit code {self._writer.poll()}, last said: {self.said()}")
            await asyncio.sleep(0.002)

    def said(self) -> str:
        """Return the end of what the writer logged."""
        return (self._folder / "writer.log").read_text(errors="replace")[-2000:]

    def _spawn(self, job: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _beat(self) -> None:
        while True:
            alive = beat(
                kernel_boot_id=kernel_boot_id(),
                sequence=next(self._sequence),
                sent_ns=monotonic_ns(),
            )
            self._to_writer.send("beat", encode(alive))
            await asyncio.sleep(_BEAT_S)

    def _take_lines(self) -> None:
        while (datagram := self._judge.receive()) is not None:
            line = decode(LineState, datagram.payload)
            if line.is_edge:
                self._spawn(self._judge_part(line))
                self.on_part()

    def _take_reports(self) -> None:
        while (datagram := self._agent.receive()) is not None:
            if datagram.kind == KIND_OUTCOME:
                self.outcomes.append(decode(Outcome, datagram.payload))
            elif datagram.kind == KIND_STATUS:
                self.status = decode(WriterStatus, datagram.payload)
                self.heard_ns = monotonic_ns()

    async def _judge_part(self, line: LineState) -> None:
        await asyncio.sleep(self._chance.uniform(0, _LONGEST_DELAY_S))
        # Sealing takes longer than sending: the clock starts after it.
        verdict = passed(line, sequence=next(self._sequence), decided_ns=monotonic_ns())
        payload = encode(verdict)
        self.sent_ns[line.plc_epoch, line.trigger_id] = monotonic_ns()
        self._to_writer.send("verdict", payload)


async def line_is_empty(plc: LineProcess) -> None:
    """Wait until every part has passed the gate."""
    async with asyncio.timeout(READY_S):
        while (await plc.status())["open_parts"]:  # noqa: ASYNC110 - it lies in another process
            await asyncio.sleep(0.02)
