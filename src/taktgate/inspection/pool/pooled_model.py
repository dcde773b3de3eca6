"""One loaded model: the runner on duty, perhaps a standby, and when the next one is started.

A runner that dies is started again: at once the first time, then with growing pauses. One that
could not even be started counts as dead and is never tried again at once. A model whose runner
keeps dying is given up after a few tries, unless it is the live one: that is tried for ever.
"""

from dataclasses import dataclass, field
from typing import Final

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.control import Load, LoadedModel, Ready, Refused, RunnerState
from taktgate.inspection.pool.link import RunnerLink

MAX_TRIES: Final = 3
_FIRST_PAUSE_NS: Final = 100 * MILLISECOND
_LONGEST_PAUSE_NS: Final = 5 * SECOND
_MAX_DOUBLINGS: Final = 16
_CALM_NS: Final = 30 * SECOND
"""A runner that lived so long starts with a clean record."""


@dataclass(slots=True, kw_only=True, eq=False)
class RunnerProcess:
    """One runner process, from its start until it is ended."""

    runner: int
    link: RunnerLink
    since_ns: int
    """When it came into its state."""
    state: RunnerState = RunnerState.LOADING
    ready: Ready | None = None
    wants_gap: bool = False
    """It is being probed and waits for the next gap."""
    probe_sent_ns: int | None = None
    """It makes a run of its probe since then."""
    killed_why: str = ""
    has_realtime: bool | None = None
    """Whether it was granted real-time priority; None: it has not been asked for."""

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self.link.fileno()

    def come_up(self, ready: Ready, now_ns: int) -> None:
        """Take note that it can judge."""
        self.state, self.ready, self.since_ns = RunnerState.READY, ready, now_ns
        self.wants_gap, self.probe_sent_ns = False, None

    def ask_for_gap(self, now_ns: int) -> None:
        """Take note that it is loaded and that its probe has runs left."""
        if self.state is not RunnerState.PROBING:
            self.state, self.since_ns = RunnerState.PROBING, now_ns
        self.wants_gap, self.probe_sent_ns = True, None

    def probe(self, now_ns: int) -> None:
        """Let it make one run."""
        self.wants_gap, self.probe_sent_ns = False, now_ns
        self.link.probe()


@dataclass(slots=True, kw_only=True)
class StartHistory:
    """How often starts failed in a row, and when the next one is due."""

    due_ns: int
    failures: int = 0

    def fail(self, process: RunnerProcess | None, now_ns: int) -> None:
        """Take a death in; *process* is None when it could not even be started."""
        lived_ns = 0 if process is None or process.ready is None else now_ns - process.since_ns
        self.failures = 1 if lived_ns > _CALM_NS else self.failures + 1
        has_run = process is not None and not process.link.failure
        is_at_once = self.failures == 1 and has_run
        self.due_ns = now_ns + (0 if is_at_once else _pause_ns(self.failures))


@dataclass(slots=True, kw_only=True, eq=False)
class PooledModel:
    """One loaded model."""

    load: Load
    proven_fingerprint: str | None
    at_idle_priority: bool
    duty: RunnerProcess | None = None
    starts: StartHistory
    standby: RunnerProcess | None = None
    standby_starts: StartHistory = field(default_factory=lambda: StartHistory(due_ns=0))
    is_refused: bool = False
    refused: Refused | None = None
    """Why, until a runner has come up."""
    refused_ns: int = 0
    deaths: int = 0

    @property
    def state(self) -> RunnerState:
        """Return where the model stands."""
        if self.duty is not None:
            return self.duty.state
        return RunnerState.REFUSED if self.is_refused else RunnerState.WAITING

    @property
    def processes(self) -> list[RunnerProcess]:
        """Return its processes, the standby first: what it says may be needed at once."""
        return [process for process in (self.standby, self.duty) if process is not None]

    def facts(self) -> LoadedModel:
        """Return what the agent is told of it."""
        duty, standby = self.duty, self.standby
        return LoadedModel(
            digest=self.load.digest,
            slot=self.load.slot,
            state=self.state,
            pid=None if duty is None else duty.link.pid,
            ready=None if duty is None else duty.ready,
            refused=self.refused,
            deaths=self.deaths,
            has_realtime=None if duty is None else duty.has_realtime,
            standby=None if standby is None else standby.state,
            standby_pid=None if standby is None else standby.link.pid,
        )


def _pause_ns(failures: int) -> int:
    """Return how long to wait after so many failures in a row."""
    doublings = min(max(0, failures - 2), _MAX_DOUBLINGS)
    return min(_FIRST_PAUSE_NS << doublings, _LONGEST_PAUSE_NS)
