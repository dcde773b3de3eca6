"""What each step of an activation leaves on disk. Pure: an activation in, the next one out.

`trial` is durable before the swap, `confirmed` before last-known-good moves, and a model is blocked
before the line goes back, if the disk allows.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from taktgate.contracts.activation import (
    NO_PARTS,
    Activation,
    Baseline,
    Refusal,
    Rollback,
    SlotRef,
    Trial,
)

MAX_BLOCKED: Final = 32
MAX_ORDERS_SINCE: Final = 64
PROGRESS_EVERY_PARTS: Final = 5
OPERATOR: Final = "operator-"
"""How the orders of an operator of this station begin; a number follows."""


def begin_trial(activation: Activation, trial: Trial, *, baseline: Baseline) -> Activation:
    """Return the activation to be durable before the swap."""
    free = replace(activation, refused=None)
    return replace(free, generation=activation.generation + 1, trial=trial, baseline=baseline)


def refuse(activation: Activation, refusal: Refusal | None) -> Activation:
    """Return the activation that tells the stager of *refusal*; None: of none any more."""
    return replace(activation, generation=activation.generation + 1, refused=refusal)


def with_progress(activation: Activation, progress: Callable[[Trial], Trial]) -> Activation | None:
    """Return the activation with the trial's counts; None while those on the disk will do.

    An agent that restarts costs a trial a few passed parts, and the parts judged meanwhile.
    """
    assert activation.trial is not None
    counts = progress(activation.trial)
    passed = replace(activation.trial, parts=counts.parts)
    if counts == passed and counts.parts - activation.trial.parts < PROGRESS_EVERY_PARTS:
        return None
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
    candidate, before = activation.trial.candidate, activation.last_known_good
    is_trusted = activation.halt is None
    is_another = before is not None and before.model.digest != candidate.model.digest
    is_way_back = is_trusted and is_another
    return replace(
        activation,
        generation=activation.generation + 1,
        last_known_good=candidate,
        previous_good=before if is_way_back else None,
        previous_baseline=activation.baseline if is_way_back else NO_PARTS,
        halt=None,
        has_forgotten=False,
        trial=None,
        baseline=baseline,
        settled_order=candidate.order,
        orders_since=_orders_since(activation, candidate.order),
        overridden_order=_still_overridden(activation, candidate.order),
    )


def roll_back(activation: Activation, rollback: Rollback) -> Activation:
    """Return the activation in which the candidate is blocked and last-known-good stays."""
    previous = activation.previous_good
    is_lost = previous is not None and previous.model.digest == rollback.digest
    return replace(
        _block(activation, rollback), previous_good=None if is_lost else activation.previous_good
    )


def fall_back(activation: Activation, rollback: Rollback) -> Activation:
    """Return the activation in which last-known-good is blocked: the one before it takes its place.

    A trial that had not begun to judge is forgotten with it; its order may ask again.
    """
    assert activation.previous_good is not None
    return replace(
        _block(activation, rollback),
        last_known_good=activation.previous_good,
        previous_good=None,
        baseline=activation.previous_baseline,
        previous_baseline=NO_PARTS,
    )


def halt(activation: Activation, rollback: Rollback) -> Activation:
    """Return the activation in which last-known-good must not judge, and nothing else may."""
    return replace(_block(activation, rollback), halt=rollback)


def clear(activation: Activation, digest: str) -> Activation | None:
    """Return the activation in which an operator has cleared *digest*; None: it is not blocked."""
    blocked = tuple(each for each in activation.blocked if each.digest != digest)
    is_halted = activation.halt is not None and activation.halt.digest == digest
    if blocked == activation.blocked and not is_halted:
        return None
    return replace(
        activation,
        generation=activation.generation + 1,
        blocked=blocked,
        halt=None if is_halted else activation.halt,
        orders_since=activation.orders_since if blocked else (),
    )


def override(activation: Activation, order: str | None) -> Activation:
    """Return the activation in which the cloud's *order* asks for nothing any more."""
    return replace(activation, generation=activation.generation + 1, overridden_order=order)


def next_operator_order(activation: Activation, used: int) -> tuple[str, int]:
    """Return an operator's order that is not on record, and its number, above *used*."""
    refs = (activation.last_known_good, activation.previous_good)
    orders = {ref.order for ref in refs if ref is not None}
    orders |= {each.order for each in activation.blocked} | {*activation.orders_since}
    orders |= {activation.settled_order or ""}
    orders |= {activation.trial.candidate.order} if activation.trial is not None else set()
    numbers = [order.removeprefix(OPERATOR) for order in orders if order.startswith(OPERATOR)]
    number = 1 + max([used, *(int(each) for each in numbers if each.isdecimal())])
    return f"{OPERATOR}{number}", number


def _block(activation: Activation, rollback: Rollback) -> Activation:
    return replace(
        activation,
        generation=activation.generation + 1,
        trial=None,
        blocked=(*activation.blocked, rollback)[-MAX_BLOCKED:],
        settled_order=rollback.order,
        orders_since=(*activation.orders_since, rollback.order)[-MAX_ORDERS_SINCE:],
        overridden_order=_still_overridden(activation, rollback.order),
    )


def _still_overridden(activation: Activation, order: str) -> str | None:
    """Return the overridden order while it is an operator's order that is being settled."""
    return activation.overridden_order if order.startswith(OPERATOR) else None


def satisfy(activation: Activation, order: str) -> Activation:
    """Return the activation in which *order* asked for what is last-known-good already."""
    assert activation.last_known_good is not None
    return replace(
        activation,
        generation=activation.generation + 1,
        last_known_good=replace(activation.last_known_good, order=order),
        halt=None,
        overridden_order=_still_overridden(activation, order),
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
