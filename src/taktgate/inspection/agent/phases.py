"""The activation of a staged model as a table. Pure.

    IDLE ─ ordered ─► LOADING ─ ready ─► SHADOW ─ compared ─► WAITING ─ allowed ─► SWAPPING
                                                                                      │ live
    IDLE ◄─ good is live ─ REVERTING ◄─ breached ─────────────────────────────────  TRIAL
         ◄─ no way back ──     ▲                                                      │ passed
                               └─ good breached: the confirmed model itself           ▼ IDLE

Until the trial is durable (WAITING ─ allowed ─►) the candidate may be `refused` or `withdrawn`, and
nothing was touched. What the judge has `lost` is loaded anew, a trial once only. A step that has
nothing to do (no shadow is asked for, the policy is `immediate`) is passed at once.
"""

from enum import StrEnum
from typing import Final

from taktgate.contracts.activation import Activation
from taktgate.inspection.errors import IllegalTransitionError

MAX_ATTEMPTS: Final = 2


class Phase(StrEnum):
    """Where the activation of the newest order stands."""

    RESUMING = "resuming"
    """After a start with an unfinished trial on disk: the judge has not said yet what it runs."""
    IDLE = "idle"
    LOADING = "loading"
    """The candidate loads, warms up and is probed in the gaps between parts."""
    SHADOW = "shadow"
    """It is shown the frames of parts whose verdict is out."""
    WAITING = "waiting"
    """It may judge as soon as the order's policy allows to change models."""
    SWAPPING = "swapping"
    TRIAL = "trial"
    REVERTING = "reverting"


class Event(StrEnum):
    """What moves an activation on."""

    ORDERED = "ordered"
    READY = "ready"
    COMPARED = "compared"
    """The shadow has shown nothing against the candidate, or there is nothing to compare it to."""
    ALLOWED = "allowed"
    """The policy allows the change, and the trial is durable."""
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    """A newer order came before the trial, or the confirmed model has to be sent back first."""
    LIVE = "live"
    """The candidate judges."""
    PASSED = "passed"
    BREACHED = "breached"
    """A guardrail fired, or the attempts are used up."""
    LOST = "lost"
    """The judge restarted and runs last-known-good; there is an attempt left."""
    GOOD_BREACHED = "goodBreached"
    """The confirmed model breached a guardrail and goes back to the one before it."""
    GOOD_IS_LIVE = "goodIsLive"
    NO_WAY_BACK = "noWayBack"
    """No trusted model can run here: the station stays without one, and says so."""


UNTRIED: Final = (Phase.LOADING, Phase.SHADOW, Phase.WAITING)
"""What stands here has touched neither line nor disk, unless it is a trial's second attempt."""

TRANSITIONS: Final = {
    (Phase.RESUMING, Event.LIVE): Phase.TRIAL,
    (Phase.RESUMING, Event.LOST): Phase.LOADING,
    (Phase.RESUMING, Event.BREACHED): Phase.REVERTING,
    (Phase.RESUMING, Event.WITHDRAWN): Phase.IDLE,
    (Phase.IDLE, Event.ORDERED): Phase.LOADING,
    (Phase.IDLE, Event.GOOD_BREACHED): Phase.REVERTING,
    (Phase.LOADING, Event.READY): Phase.SHADOW,
    (Phase.LOADING, Event.REFUSED): Phase.IDLE,
    (Phase.LOADING, Event.WITHDRAWN): Phase.IDLE,
    (Phase.LOADING, Event.BREACHED): Phase.REVERTING,
    (Phase.SHADOW, Event.COMPARED): Phase.WAITING,
    (Phase.SHADOW, Event.REFUSED): Phase.IDLE,
    (Phase.SHADOW, Event.WITHDRAWN): Phase.IDLE,
    (Phase.SHADOW, Event.LOST): Phase.LOADING,
    (Phase.SHADOW, Event.BREACHED): Phase.REVERTING,
    (Phase.WAITING, Event.ALLOWED): Phase.SWAPPING,
    (Phase.WAITING, Event.REFUSED): Phase.IDLE,
    (Phase.WAITING, Event.WITHDRAWN): Phase.IDLE,
    (Phase.WAITING, Event.LOST): Phase.LOADING,
    (Phase.WAITING, Event.BREACHED): Phase.REVERTING,
    (Phase.SWAPPING, Event.LIVE): Phase.TRIAL,
    (Phase.SWAPPING, Event.LOST): Phase.LOADING,
    (Phase.SWAPPING, Event.BREACHED): Phase.REVERTING,
    (Phase.SWAPPING, Event.WITHDRAWN): Phase.IDLE,
    (Phase.TRIAL, Event.PASSED): Phase.IDLE,
    (Phase.TRIAL, Event.BREACHED): Phase.REVERTING,
    (Phase.TRIAL, Event.LOST): Phase.LOADING,
    (Phase.REVERTING, Event.GOOD_IS_LIVE): Phase.IDLE,
    (Phase.REVERTING, Event.NO_WAY_BACK): Phase.IDLE,
}


def advance(phase: Phase, event: Event) -> Phase:
    """Return the phase that *event* leads to.

    Raises:
        IllegalTransitionError: a bug in the caller.
    """
    try:
        return TRANSITIONS[phase, event]
    except KeyError:
        raise IllegalTransitionError(f"{event} while {phase}") from None


def resume(activation: Activation) -> Phase:
    """Return where a starting agent picks up."""
    return Phase.IDLE if activation.trial is None else Phase.RESUMING
