"""The steering end: starts a stand-in process, sends it commands, collects its events."""

import asyncio
import itertools
import json
import logging
import os
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from taktgate.edge.process import PARENT_VARIABLE
from taktgate.standin.control.commands import ControlError, Event

log = logging.getLogger(__name__)

_EVENTS_KEPT: Final = 10_000
_OUTPUT_LINES_KEPT: Final = 40
_RETRY_S: Final = 0.02
_REPLY_TIMEOUT_S: Final = 30.0
_STOP_GRACE_S: Final = 3.0


class StandinStartError(RuntimeError):
    """A stand-in process did not come up; the message holds what it said."""


class StandinProcess:
    """One stand-in in a process of its own; it dies with the thread that started it.

    `events` holds what it published; when 10,000 are unread, the oldest are dropped and counted.
    """

    def __init__(self, module: str, arguments: Sequence[str], *, control: Path) -> None:
        self.module = module
        self._arguments = [*arguments, "--control", str(control)]
        self._control = control
        self._output: deque[str] = deque(maxlen=_OUTPUT_LINES_KEPT)
        self._replies: dict[int, asyncio.Future[Event]] = {}
        self._numbers = itertools.count(1)
        self._tasks: list[asyncio.Task[None]] = []
        self._started: asyncio.subprocess.Process | None = None
        self.events: asyncio.Queue[Event] = asyncio.Queue(_EVENTS_KEPT)
        self.events_lost = 0
        self.ready: Event = {}
        """The first event: what the process says of itself."""

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def said(self) -> str:
        """Return the last lines that it printed."""
        return "\n".join(self._output) or "nothing"

    @property
    def _process(self) -> asyncio.subprocess.Process:
        assert self._started is not None, "start() comes first"
        return self._started

    async def start(self, timeout_s: float = 60.0) -> None:
        """Start the process and wait until it is ready.

        Raises:
            StandinStartError: it ended, or was not ready in time.
        """
        self._started = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self.module, *self._arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
        )
        self._tasks.append(asyncio.create_task(self._collect_output(), name="standin output"))
        try:
            async with asyncio.timeout(timeout_s):
                reader = await self._connect()
                self.ready = json.loads(await reader.readline())
        except TimeoutError:
            await self.stop()
            raise StandinStartError(f"{self.module} was not ready in {timeout_s} s") from None
        self._tasks.append(asyncio.create_task(self._collect_events(reader), name="standin events"))

    async def command(self, do: str, **fields: object) -> Event:
        """Send a command and return the reply to it.

        Raises:
            ControlError: the process refuses it.
            TimeoutError: no reply came.
            ConnectionError: the process is gone.
        """
        number = next(self._numbers)
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._replies[number] = future
        self._writer.write(json.dumps({"do": do, "id": number, **fields}).encode() + b"\n")
        try:
            async with asyncio.timeout(_REPLY_TIMEOUT_S):
                reply = await future
        finally:
            del self._replies[number]
        if not reply["ok"]:
            raise ControlError(reply["field"], reply["rule"])
        return reply

    async def stop(self) -> int:
        """End the process, by SIGTERM and if need be by SIGKILL; return its exit code.

        One that was never started has ended well.
        """
        if self._started is None:
            return 0
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_GRACE_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
        code = await self._process.wait()
        await asyncio.gather(*self._tasks)
        return code

    async def _connect(self) -> asyncio.StreamReader:
        while self._process.returncode is None:
            with suppress(FileNotFoundError, ConnectionRefusedError):
                reader, self._writer = await asyncio.open_unix_connection(str(self._control))
                return reader
            await asyncio.sleep(_RETRY_S)
        await asyncio.gather(*self._tasks)
        raise StandinStartError(
            f"{self.module} ended with exit code {self._process.returncode} and said: {self.said}"
        )

    async def _collect_output(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            text = line.decode(errors="replace").rstrip()
            self._output.append(text)
            log.info("stand-in output", extra={"standin": self.module, "line": text})

    async def _collect_events(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._take(json.loads(line))
        except ConnectionError:
            log.info("stand-in is gone", extra={"standin": self.module})
        finally:
            self._writer.close()
            for future in self._replies.values():
                if not future.done():
                    future.set_exception(ConnectionResetError(f"{self.module} is gone"))
        self._take({"event": "ended", "exit_code": await self._process.wait()})

    def _take(self, event: Event) -> None:
        if event["event"] == "reply":
            future = self._replies.get(event["id"])
            if future is not None and not future.done():
                future.set_result(event)
            return
        if self.events.full():
            self.events.get_nowait()
            self.events_lost += 1
        self.events.put_nowait(event)
