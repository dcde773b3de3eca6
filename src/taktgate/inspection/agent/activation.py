"""The activation of a staged model as a table, and what each step leaves on disk. Pure.

    IDLE ── ordered ──► LOADING ── ready ──► SWAPPING ── live ──► TRIAL ── passed ──► IDLE
                           │ refused            │                   │ breached
                           ▼                    ├── lost ◄──────────┤ lost
                          IDLE                  ▼                   ▼
                                             LOADING (once)     REVERTING ── good is live ──► IDLE
                                                                          └─ no way back ──►

`trial` is durable before the swap, `confirmed` before last-known-good moves.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Final

from taktgate.contracts.activation import Activation, Baseline, Rollback, SlotRef, Trial
from taktgate.inspection.errors import IllegalTransitionError

MAX_ATTEMPTS: Final = 2
MAX_BLOCKED: Final = 32
MAX_ORDERS_SINCE: Final = 64
PROGRESS_EVERY_PARTS: Final = 5


class Phase(StrEnum):
    """Where the activation of the newest order stands."""

    RESUMING = "resuming"
    """After a start with an unfinished trial on disk: the judge has not said yet what it runs."""
    IDLE = "idle"
    LOADING = "loading"
    SWAPPING = "swapping"
    TRIAL = "trial"
    REVERTING = "reverting"


class Event(StrEnum):
    """What moves an activation on."""

    ORDERED = "ordered"
    READY = "ready"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    """A newer order came while the candidate waited for its policy to allow the change."""
    LIVE = "live"
    """The candidate judges."""
    PASSED = "passed"
    BREACHED = "breached"
    """A guardrail fired, or the attempts are used up."""
    LOST = "lost"
    """The judge restarted and runs last-known-good; there is an attempt left."""
    GOOD_IS_LIVE = "goodIsLive"
    NO_WAY_BACK = "noWayBack"
    """There is no last-known-good, or it is refused: the station stays as it is, and says so."""


TRANSITIONS: Final = {
    (Phase.RESUMING, Event.LIVE): Phase.TRIAL,
    (Phase.RESUMING, Event.LOST): Phase.LOADING,
    (Phase.RESUMING, Event.BREACHED): Phase.REVERTING,
    (Phase.IDLE, Event.ORDERED): Phase.LOADING,
    (Phase.LOADING, Event.READY): Phase.SWAPPING,
    (Phase.LOADING, Event.REFUSED): Phase.IDLE,
    (Phase.LOADING, Event.WITHDRAWN): Phase.IDLE,
    (Phase.LOADING, Event.BREACHED): Phase.REVERTING,
    (Phase.SWAPPING, Event.LIVE): Phase.TRIAL,
    (Phase.SWAPPING, Event.LOST): Phase.LOADING,
    (Phase.SWAPPING, Event.BREACHED): Phase.REVERTING,
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


def begin_trial(activation: Activation, trial: Trial, *, baseline: Baseline) -> Activation:
    """Return the activation to be durable before the swap."""
    return replace(activation, generation=activation.generation + 1, trial=trial, baseline=baseline)


def with_progress(
    activation: Activation, *, parts: int, rejects: int, failures: int
) -> Activation | None:
    """Return the activation with the trial's counts; None while those on the disk will do.

    An agent that restarts costs a trial a few passed parts, and the parts judged meanwhile.
    """
    trial = activation.trial
    assert trial is not None
    is_same = (trial.rejects, trial.consecutive_failures) == (rejects, failures)
    if is_same and parts - trial.parts < PROGRESS_EVERY_PARTS:
        return None
    counts = replace(trial, parts=parts, rejects=rejects, consecutive_failures=failures)
    return replace(activation, generation=activation.generation + 1, trial=counts)


def adopt(activation: Activation, live: SlotRef) -> Activation:
    """Return the activation, begun anew after a loss, in which what judges is last-known-good."""
    return replace(
        activation,
        generation=activation.generation + 1,
        last_known_good=live,
        has_forgotten=False,
    )


def confirm(activation: Activation, *, baseline: Baseline) -> Activation:
    """Return the activation in which the candidate of the trial is last-known-good."""
    assert activation.trial is not None
    candidate = activation.trial.candidate
    return replace(
        activation,
        generation=activation.generation + 1,
        last_known_good=candidate,
        has_forgotten=False,
        trial=None,
        baseline=baseline,
        settled_order=candidate.order,
        orders_since=_orders_since(activation, candidate.order),
    )


def roll_back(activation: Activation, rollback: Rollback) -> Activation:
    """Return the activation in which the candidate is blocked and last-known-good stays."""
    return replace(
        activation,
        generation=activation.generation + 1,
        trial=None,
        blocked=(*activation.blocked, rollback)[-MAX_BLOCKED:],
        settled_order=rollback.order,
        orders_since=(*activation.orders_since, rollback.order)[-MAX_ORDERS_SINCE:],
    )


def satisfy(activation: Activation, order: str) -> Activation:
    """Return the activation in which *order* asked for what is last-known-good already."""
    assert activation.last_known_good is not None
    return replace(
        activation,
        generation=activation.generation + 1,
        last_known_good=replace(activation.last_known_good, order=order),
        settled_order=order,
        orders_since=_orders_since(activation, order),
    )


def _orders_since(activation: Activation, order: str) -> tuple[str, ...]:
    """Return the orders seen, *order* among them: none of them may try a blocked digest again."""
    if not activation.blocked:
        return ()
    return (*activation.orders_since, order)[-MAX_ORDERS_SINCE:]


def with_baseline(activation: Activation, baseline: Baseline) -> Activation:
    """Return the activation with the confirmed model's counts brought up to date."""
    return replace(activation, generation=activation.generation + 1, baseline=baseline)


def is_settled(activation: Activation, *, digest: str, order: str) -> bool:
    """Tell whether *order* for *digest* needs nothing more: it is confirmed, and the newest."""
    good = activation.last_known_good
    is_good = good is not None and (good.model.digest, good.order) == (digest, order)
    return is_good and activation.settled_order == order


def is_blocked(activation: Activation, *, digest: str, order: str) -> bool:
    """Tell whether *digest* may not be tried again under *order*: an order not seen since may."""
    seen = {each.order for each in activation.blocked if each.digest == digest}
    return bool(seen) and order in seen | {activation.settled_order, *activation.orders_since}


def was_rolled_back(activation: Activation, digest: str | None) -> bool:
    """Tell whether *digest* was rolled back here, under whatever order."""
    return any(each.digest == digest for each in activation.blocked)
