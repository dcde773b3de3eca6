"""A module as a local process that dies with the stand-in and takes its descendants along."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from taktgate.standin.azure.errors import ManifestError

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class ModuleProcess:
    """One run of a module."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        log_file: Path,
    ) -> "ModuleProcess":
        """Start *command* with exactly this *environment*; its output is appended to *log_file*.

        Raises:
            ManifestError: The program does not exist or may not be run.
        """
        with _opened(directory, log_file) as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=dict(environment),
                    cwd=directory,
                    start_new_session=True,
                    preexec_fn=_die_with(os.getpid()),
                )
            except OSError as error:
                raise ManifestError(f"cannot run {command[0]}: {error.strerror}") from error
        return cls(process)

    @property
    def pid(self) -> int:
        """The process id; also the id of the process group of all its descendants."""
        return self._process.pid

    async def wait(self) -> int:
        """Return the exit code; whatever the process left behind is killed first.

        In a container the end of the first process is the end of all.
        """
        code = await self._process.wait()
        self._kill_group()
        return code

    async def stop(self, grace_s: float) -> int:
        """Ask the process to end, kill it after *grace_s*, and return its exit code."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            self._kill_group()
            return await self.wait()

    def kill(self) -> None:
        """Kill the process and all its descendants at once."""
        self._kill_group()

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _opened(directory: Path, log_file: Path) -> BinaryIO:
    directory.mkdir(parents=True, exist_ok=True)
    log_file.parent.mkdir(parents=True, exist_ok=True)
    return log_file.open("ab")


def _die_with(parent: int) -> Callable[[], None]:
    """Return what a new child does first: ask the kernel to kill it when *parent* is gone.

    The kernel ties this to the thread that forks, here the thread of the event loop.
    """

    def set_parent_death_signal() -> None:
        if _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0 or os.getppid() != parent:
            os._exit(1)

    return set_parent_death_signal
