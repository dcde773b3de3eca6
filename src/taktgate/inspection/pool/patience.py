"""How long the pool of runners waits, and for what: nothing waits for ever. Pure."""

from typing import Final

from taktgate.edge.clock import SECOND
from taktgate.inspection.control import Refused, RunnerState
from taktgate.inspection.pool.pooled_model import RunnerProcess

LOAD_LIMIT_NS: Final = 60 * SECOND
PROBE_LIMIT_NS: Final = 10 * SECOND
"""Of one run of a probe."""
PROBING_LIMIT_NS: Final = 600 * SECOND
"""A line that leaves no gap for so long has no room for another model."""
GAP_PATIENCE_NS: Final = 1 * SECOND
"""So long a start waits for a gap."""
STANDBY_PAUSE_NS: Final = 1 * SECOND
"""After a swap; until then the old model's runner is warm, and a standby's start takes a core."""


def is_fresh(swapped_ns: int | None, now_ns: int) -> bool:
    """Tell whether the live model's first parts are to have the machine for themselves.

    Args:
        swapped_ns: Since when it is live; None: since the start.
        now_ns: The time.
    """
    return swapped_ns is not None and now_ns - swapped_ns < STANDBY_PAUSE_NS


def is_due(since_ns: int, now_ns: int, *, is_free: bool) -> bool:
    """Tell whether a process that is wanted since then is to be started now.

    Args:
        since_ns: It may lie ahead.
        now_ns: The time.
        is_free: No part would be held up by it.
    """
    return now_ns - since_ns >= (0 if is_free else GAP_PATIENCE_NS)


def stuck(process: RunnerProcess, now_ns: int) -> str:
    """Return why *process* is to be killed and started again, "" while there is no reason."""
    is_loading = process.state is RunnerState.LOADING
    is_too_long = is_loading and now_ns - process.since_ns > LOAD_LIMIT_NS
    return "loading took too long" if is_too_long else ""


def overdue(process: RunnerProcess, now_ns: int) -> Refused | None:
    """Return why *process* will never be proven here, None while it may still be."""
    if process.probe_sent_ns is not None and now_ns - process.probe_sent_ns > PROBE_LIMIT_NS:
        seconds = PROBE_LIMIT_NS // SECOND
        return Refused(reason="TOO_SLOW", message=f"one run took more than {seconds} s")
    is_probing = process.state is RunnerState.PROBING
    if is_probing and now_ns - process.since_ns > PROBING_LIMIT_NS:
        seconds = PROBING_LIMIT_NS // SECOND
        return Refused(reason="NO_GAP", message=f"the line left too few gaps in {seconds} s")
    return None
