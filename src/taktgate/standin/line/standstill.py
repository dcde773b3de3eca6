"""Why the controller's program does not scan, and what follows when it scans again."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_OUTAGES_KEPT: Final = 256
NEVER_NS: Final = 2**62
"""The end of what still lasts."""


class Keyswitch(StrEnum):
    """Where the mode switch stands; REM positions let clients change the mode (1756-PM021)."""

    RUN = "run"
    REMOTE_RUN = "remote_run"
    PROGRAM = "program"
    REMOTE_PROGRAM = "remote_program"

    @property
    def is_run(self) -> bool:
        """Tell whether the program scans in this mode."""
        return self in (Keyswitch.RUN, Keyswitch.REMOTE_RUN)


class Standstill(StrEnum):
    """A reason for which the program does not scan. Several may hold at once."""

    POWER_OFF = "POWER_OFF"
    PROGRAM_MODE = "PROGRAM_MODE"
    DOWNLOAD = "DOWNLOAD"
    NOT_VERIFIED = "NOT_VERIFIED"
    """The tags are not those that the gate program was written for, so it cannot run."""
    LOGIC_FROZEN = "LOGIC_FROZEN"
    """The task is stuck or inhibited: communication lives, outputs stay as they are."""


FIRST_SCAN_AFTER: Final = {
    Standstill.POWER_OFF: True,
    Standstill.PROGRAM_MODE: True,
    Standstill.DOWNLOAD: True,
    Standstill.NOT_VERIFIED: True,
    Standstill.LOGIC_FROZEN: False,
}
"""Whether the program comes back with S:FS set and a prescan (1756-PM005), or just goes on."""
RENUMBERS: Final = frozenset({Standstill.POWER_OFF, Standstill.DOWNLOAD, Standstill.NOT_VERIFIED})
"""After these, parts are numbered from another base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time without scans. *is_restart*: a first scan ended it, or will."""

    start_ns: int
    end_ns: int
    is_restart: bool

    def meets(self, start_ns: int, end_ns: int) -> bool:
        """Tell whether the program stood still at any time meanwhile."""
        return self.start_ns <= end_ns and self.end_ns >= start_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """The next scan is a first one."""

    renumbers: bool


class RunState:
    """Whether the program scans, since when it does not, and how it comes back."""

    def __init__(self) -> None:
        self._since: dict[Standstill, int] = {}
        self._began_ns = 0
        self._restart: Restart | None = None
        self._past: deque[Outage] = deque(maxlen=_OUTAGES_KEPT)

    @property
    def is_scanning(self) -> bool:
        """Tell whether the program scans."""
        return not self._since

    @property
    def reasons(self) -> tuple[Standstill, ...]:
        """Return why it does not, first reason first."""
        return tuple(self._since)

    def hold(self, why: Standstill, now_ns: int) -> None:
        """Let the program stand still for one more reason."""
        if not self._since:
            self._began_ns = now_ns
        self._since.setdefault(why, now_ns)
        if FIRST_SCAN_AFTER[why]:
            renumbers = self._restart is not None and self._restart.renumbers
            self._restart = Restart(renumbers=renumbers or why in RENUMBERS)

    def lift(self, why: Standstill, now_ns: int) -> None:
        """Take a reason away; without any left the program scans."""
        if self._since.pop(why, None) is None or self._since:
            return
        self._past.append(
            Outage(start_ns=self._began_ns, end_ns=now_ns, is_restart=self._restart is not None)
        )

    def take_restart(self) -> Restart | None:
        """Return what the coming scan has to begin with, once."""
        restart, self._restart = self._restart, None
        return restart

    def note_gap(self, start_ns: int, end_ns: int) -> None:
        """Take note of a scan that came much too late."""
        self._past.append(Outage(start_ns=start_ns, end_ns=end_ns, is_restart=False))

    def outages(self) -> tuple[Outage, ...]:
        """Return the last 256 times without scans, the present one included."""
        if not self._since:
            return tuple(self._past)
        present = Outage(
            start_ns=self._began_ns, end_ns=NEVER_NS, is_restart=self._restart is not None
        )
        return (*self._past, present)
