"""Has controllers checked by a process of its own, and never waits for it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Final

from taktgate.contracts.codec import ContractError, decode
from taktgate.edge.clock import SECOND
from taktgate.edge.process import PARENT_VARIABLE
from taktgate.plc.opening.check_report import CheckReport, Finding

LIMIT_NS: Final = 15 * SECOND
"""An upload ends itself after 10 s; this is for a process that hangs, and for its start."""
MAX_REPORT_BYTES: Final = 64 * 1024
_MODULE: Final = "taktgate.plc.opening.check_process"
REAP_S: Final = 0.1
"""A killed process is waited for so long; one that takes longer is reaped at a later start."""


class ProcessChecker:
    """One check at a time. The process gets the environment, and of our descriptors only its pipe.

    It dies with us by the parent-death signal, and it loses our real-time priority at the fork
    (SCHED_RESET_ON_FORK, see `take_realtime_priority`).
    """

    def __init__(
        self,
        clock: Callable[[], int],
        *,
        command: tuple[str, ...] = (sys.executable, "-m", _MODULE),
        limit_ns: int = LIMIT_NS,
        reap_s: float = REAP_S,
    ) -> None:
        self._clock = clock
        self._command = command
        self._limit_ns = limit_ns
        self._reap_s = reap_s
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._received = b""
        self._deadline_ns = 0
        self._stillborn: CheckReport | None = None

    @property
    def is_running(self) -> bool:
        """True from `start` until `poll` has returned a report."""
        return self._process is not None or self._stillborn is not None

    def start(self) -> None:
        """Begin a check."""
        self.stop()
        self._pipe, theirs = os.pipe()
        os.set_blocking(self._pipe, False)
        self._received = b""
        self._deadline_ns = self._clock() + self._limit_ns
        try:
            self._process = subprocess.Popen(
                [*self._command, str(theirs)],
                env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs],
            )
        except OSError as error:  # no memory or no process to be had: like any other failure
            self._stillborn = _failed(f"the check of the controller did not start: {error}")
            self._release()
        finally:
            os.close(theirs)

    def poll(self) -> CheckReport | None:
        """Return the report once the process has ended, None before."""
        if self._process is None:
            stillborn, self._stillborn = self._stillborn, None
            return stillborn
        is_whole = self._read()
        code = self._process.poll()
        if code is not None and is_whole:
            return self._finish(code)
        if self._clock() >= self._deadline_ns or len(self._received) > MAX_REPORT_BYTES:
            self.stop()
            return _failed("the check of the controller did not end in time")
        return None

    def stop(self) -> None:
        """End a check that is under way; a killed process is gone within milliseconds."""
        if self._process is None:
            return
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._reap_s)
        self._release()

    def _read(self) -> bool:
        """Take in what has come; return True at its end."""
        try:
            chunk = os.read(self._pipe, MAX_REPORT_BYTES)
        except BlockingIOError:
            return False
        self._received += chunk
        return not chunk

    def _finish(self, code: int) -> CheckReport:
        received = self._received
        self._release()
        if code != 0:
            return _failed(f"the check of the controller ended with exit code {code}")
        try:
            return decode(CheckReport, received)
        except ContractError as error:
            return _failed(str(error))

    def _release(self) -> None:
        os.close(self._pipe)
        self._process, self._pipe, self._received = None, -1, b""


def _failed(words: str) -> CheckReport:
    return CheckReport(finding=Finding.REFUSED, words=words)
