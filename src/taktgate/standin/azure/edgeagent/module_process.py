"""A module as a local process that dies with the stand-in and takes its descendants along."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from taktgate.standin.azure.edgeagent.errors import StepFailedError
from taktgate.standin.azure.edgeagent.logs.module_log import STREAMS, ModuleLog

PR_SET_PDEATHSIG = 1
DRAIN_S = 1.0
"""How long the last output of a dead process is waited for: an escaped child may hold the pipe."""
_LIBC = ctypes.CDLL(None, use_errno=True)


class ModuleProcess:
    """One run of a module."""

    def __init__(self, process: asyncio.subprocess.Process, pipes: Sequence["_OutputPipe"]) -> None:
        self._process = process
        self._pipes = pipes

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        output: ModuleLog,
    ) -> "ModuleProcess":
        """Start *command* with exactly this *environment*; its output goes to *output*.

        Raises:
            StepFailedError: The program does not exist or may not be run.
        """
        # Pipes of our own: asyncio's would keep `wait` until the last child has closed them.
        pipes = [_OutputPipe(stream, output) for stream in STREAMS]
        ends = [await pipe.open() for pipe in pipes]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=ends[0],
                stderr=ends[1],
                env=dict(environment),
                cwd=_made(directory),
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),
            )
        except OSError as error:
            for pipe in pipes:
                pipe.close()
            raise StepFailedError(f"cannot run {command[0]}: {error.strerror}") from error
        finally:
            for end in ends:
                os.close(end)
        return cls(process, pipes)

    @property
    def pid(self) -> int:
        """The process id; also the id of the process group of all its descendants."""
        return self._process.pid

    async def wait(self) -> int:
        """Return the exit code; whatever the process left behind is killed first.

        In a container the end of the first process is the end of all.
        """
        code = await self._process.wait()
        self.kill()
        for pipe in self._pipes:
            await pipe.drained()
        return code

    async def stop(self, grace_s: float) -> int:
        """Ask the process to end, kill it after *grace_s*, and return its exit code."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(grace_s):
                await self._process.wait()
        except TimeoutError:
            self.kill()
        return await self.wait()

    def kill(self) -> None:
        """Kill the process and all its descendants at once."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


class _OutputPipe(asyncio.Protocol):
    """Carries one output stream of a process into its log."""

    def __init__(self, stream: str, output: ModuleLog) -> None:
        self._stream = stream
        self._output = output
        self._ended = asyncio.Event()
        self._transport: asyncio.ReadTransport | None = None

    async def open(self) -> int:
        """Open the pipe and return the end that is for the process."""
        ours, theirs = os.pipe()
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: self, os.fdopen(ours, "rb", buffering=0)
        )
        return theirs

    async def drained(self) -> None:
        """Return when all that was written has been taken."""
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._ended.wait()
        except TimeoutError:
            self.close()

    def close(self) -> None:
        """Take no more."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Pass output on."""
        self._output.append(self._stream, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the last writer has gone."""
        self._output.flush(self._stream)
        self._ended.set()


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _die_with(parent: int) -> Callable[[], None]:
    """Return what a new child does first: ask the kernel to kill it when *parent* is gone.

    The kernel ties this to the thread that forks, here the thread of the event loop.
    """

    def set_parent_death_signal() -> None:
        if _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(1)

    return set_parent_death_signal
