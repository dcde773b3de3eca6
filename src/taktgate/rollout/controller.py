"""One step of a rollout: what is saved and what is seen give the next thing to do. Pure.

Read, look, take one step, save, act. The saved state never claims more than was seen, so a tool
that was killed anywhere goes on where it was, and doing a step twice does no harm.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT, Finite
from taktgate.rollout.analysis import Assessment, Outcome, Station, assess
from taktgate.rollout.layers import LayerState, content_of
from taktgate.rollout.plan import RolloutPlan


class Stage(StrEnum):
    """Where a rollout stands."""

    RUNNING = "running"
    WITHDRAWING = "withdrawing"
    WITHDRAWN = "withdrawn"
    HELD = "held"
    DONE = "done"


ENDED: Final = frozenset({Stage.WITHDRAWN, Stage.HELD, Stage.DONE})
"""Stages that go on only when a person says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The rollout's memory."""

    __pydantic_config__ = STRICT_DOCUMENT

    schema_version: Literal["1"] = "1"
    layer_id: str
    stage: Stage = Stage.RUNNING
    ring: Annotated[int, Field(ge=0)] = 0
    since_s: Finite
    """When this ring got the model. Wall time: the tool may go on on another machine."""
    is_layer_seen: bool = False
    """True once the hub showed us our layer: if it is gone then, somebody took it away."""
    errors: Annotated[int, Field(ge=0)] = 0
    """Failed measurements in a row."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one look at the hub gave."""

    now_s: float
    layer: LayerState | None = None
    stations: tuple[Station, ...] = ()
    """Of all rings up to the saved one."""
    error: str | None = None
    """Why nothing could be seen; the rest means nothing then."""


class Action(StrEnum):
    """What to do next."""

    CREATE = "create"
    RETARGET = "retarget"
    DELETE = "delete"
    WAIT = "wait"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to save, and then what to do."""

    saved: Saved
    action: Action
    assessment: Assessment | None = None


def begin(plan: RolloutPlan, now_s: float) -> Saved:
    """Return the state of a rollout that has done nothing yet."""
    return Saved(layer_id=plan.layer_id, since_s=now_s, reason="not started")


def resume(saved: Saved, now_s: float) -> Saved:
    """Return *saved* with new patience, and running again if it was held: a person has looked."""
    if saved.stage is Stage.HELD:
        return replace(saved, stage=Stage.RUNNING, since_s=now_s, errors=0)
    return replace(saved, errors=0)


def withdraw(saved: Saved, reason: str) -> Saved:
    """Return *saved* on its way back, whatever stage it was in.

    Also from WITHDRAWN: somebody may have made the layer anew, and only a look proves its absence.
    """
    if saved.stage is Stage.WITHDRAWING:
        return saved
    return replace(saved, stage=Stage.WITHDRAWING, reason=reason, errors=0)


def advance(plan: RolloutPlan, saved: Saved, observed: Observed) -> Step:
    """Return the one step that follows from *saved* and *observed*."""
    if saved.stage in ENDED:
        return Step(saved=saved, action=Action.STOP)
    if observed.error is not None:
        return _on_error(plan, saved, observed.error)
    if observed.layer is None:
        return _without_layer(saved)
    if observed.layer.content != content_of(plan):
        return _hold(saved, "a layer with this id holds other content: not ours to touch")
    if saved.stage is Stage.WITHDRAWING:
        return Step(saved=saved, action=Action.DELETE)
    return _with_layer(plan, replace(saved, is_layer_seen=True), observed.layer, observed)


def _on_error(plan: RolloutPlan, saved: Saved, error: str) -> Step:
    count = saved.errors + 1
    if saved.stage is Stage.WITHDRAWING:
        action = Action.WAIT if count <= plan.rings.errors_max else Action.STOP
        return Step(saved=replace(saved, errors=count), action=action)
    if count <= plan.rings.errors_max:
        return Step(saved=replace(saved, errors=count, reason=error), action=Action.WAIT)
    return _hold(saved, f"{count} failed measurements in a row, the last: {error}")


def _without_layer(saved: Saved) -> Step:
    if saved.stage is Stage.WITHDRAWING:
        return Step(saved=replace(saved, stage=Stage.WITHDRAWN), action=Action.STOP)
    if saved.is_layer_seen:
        reason = "somebody else deleted the layer"
        return Step(saved=replace(saved, stage=Stage.WITHDRAWN, reason=reason), action=Action.STOP)
    return Step(saved=replace(saved, reason="layer created"), action=Action.CREATE)


def _with_layer(plan: RolloutPlan, saved: Saved, layer: LayerState, observed: Observed) -> Step:
    if layer.target != plan.target(saved.ring):
        if saved.ring > 0 and layer.target == plan.target(saved.ring - 1):
            return Step(saved=saved, action=Action.RETARGET)
        return _hold(saved, f"somebody else set the target condition to {layer.target!r}")
    ring = plan.rings.rings[saved.ring]
    assessment = assess(ring, observed.stations)
    step = _judge(plan, replace(saved, reason=assessment.reason), assessment, observed.now_s)
    return replace(step, assessment=assessment)


def _judge(plan: RolloutPlan, saved: Saved, assessment: Assessment, now_s: float) -> Step:
    if assessment.outcome is Outcome.FAILED:
        reason = f"ring {plan.rings.rings[saved.ring].name}: {assessment.reason}"
        return Step(saved=withdraw(saved, reason), action=Action.DELETE)
    if assessment.outcome is Outcome.ERROR:
        return _on_error(plan, saved, assessment.reason)
    saved = replace(saved, errors=0)
    if assessment.outcome is Outcome.SUCCESSFUL:
        if saved.ring + 1 == len(plan.rings.rings):
            return Step(saved=replace(saved, stage=Stage.DONE), action=Action.STOP)
        return Step(
            saved=replace(saved, ring=saved.ring + 1, since_s=now_s), action=Action.RETARGET
        )
    limit_s = plan.rings.rings[saved.ring].time_limit_s
    if now_s - saved.since_s > limit_s:
        return _hold(saved, f"inconclusive after {limit_s} s: {assessment.reason}")
    return Step(saved=saved, action=Action.WAIT)


def _hold(saved: Saved, reason: str) -> Step:
    return Step(saved=replace(saved, stage=Stage.HELD, reason=reason), action=Action.STOP)
