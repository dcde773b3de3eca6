from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taktgate.contracts.twins import ModelOrder
from taktgate.rollout.analysis import Station, StationState, read_station
from taktgate.rollout.controller import (
    Action,
    Observed,
    Saved,
    Stage,
    advance,
    begin,
    resume,
    withdraw,
)
from taktgate.rollout.driver import Driver, StateFile
from taktgate.rollout.errors import CloudChangedError, CloudUnreachableError, PlanError
from taktgate.rollout.layers import Layer, LayerState, content_of
from taktgate.rollout.plan import Ring, Rings, RolloutPlan

S = StationState
ETAG = "e1"


def seen(
    plan: RolloutPlan, ring: int | None, *states: StationState, now_s: float = 0.0
) -> Observed:
    """Return what a hub shows whose layer targets up to *ring*; the last state is of that ring."""
    names = [its.name for its in plan.rings.rings]
    return Observed(
        now_s=now_s,
        layer=None if ring is None else layer_state(plan, plan.target(ring)),
        stations=tuple(
            Station(device_id=f"vis-{number}", ring=names[number], state=state)
            for number, state in enumerate(states)
        ),
    )


def layer_state(plan: RolloutPlan, target: str) -> LayerState:
    return LayerState(
        id=plan.layer_id, content=content_of(plan), target=target, priority=30, etag=ETAG
    )


def test_a_rollout_begins_with_the_first_ring(plan: RolloutPlan) -> None:
    step = advance(plan, begin(plan, 0.0), seen(plan, None))
    assert (step.action, step.saved.ring) == (Action.CREATE, 0)


def test_success_widens_and_the_last_ring_ends_it(plan: RolloutPlan) -> None:
    step = advance(plan, begin(plan, 0.0), seen(plan, 0, S.CONFIRMED, now_s=7.0))
    assert (step.action, step.saved.ring, step.saved.since_s) == (Action.RETARGET, 1, 7.0)
    step = advance(plan, step.saved, seen(plan, 1, S.CONFIRMED, S.CONFIRMED))
    assert (step.action, step.saved.stage) == (Action.STOP, Stage.DONE)


@pytest.mark.parametrize("state", [S.ROLLED_BACK, S.NOT_STAGED])
def test_failure_withdraws(plan: RolloutPlan, state: StationState) -> None:
    step = advance(plan, begin(plan, 0.0), seen(plan, 0, state))
    assert (step.action, step.saved.stage) == (Action.DELETE, Stage.WITHDRAWING)
    assert "ring canary" in step.saved.reason
    step = advance(plan, step.saved, seen(plan, None))
    assert (step.action, step.saved.stage) == (Action.STOP, Stage.WITHDRAWN)


def test_inconclusive_waits_then_holds_and_a_person_may_go_on(plan: RolloutPlan) -> None:
    saved = begin(plan, 0.0)
    assert advance(plan, saved, seen(plan, 0, S.PENDING, now_s=100.0)).action is Action.WAIT
    step = advance(plan, saved, seen(plan, 0, S.PENDING, now_s=100.1))
    assert (step.action, step.saved.stage) == (Action.STOP, Stage.HELD)
    again = resume(step.saved, 200.0)
    assert advance(plan, again, seen(plan, 0, S.PENDING, now_s=250.0)).action is Action.WAIT


@pytest.mark.parametrize(
    "observed",
    [
        lambda plan: Observed(now_s=0.0, error="no answer"),
        lambda plan: seen(plan, 0, S.UNREADABLE),
    ],
)
def test_failed_measurements_wait_within_a_limit_and_are_never_success(
    plan: RolloutPlan, observed: Callable[[RolloutPlan], Observed]
) -> None:
    saved = begin(plan, 0.0)
    for _ in range(plan.rings.errors_max):
        step = advance(plan, saved, observed(plan))
        assert (step.action, step.saved.stage) == (Action.WAIT, Stage.RUNNING)
        saved = step.saved
    assert advance(plan, saved, observed(plan)).saved.stage is Stage.HELD
    recovered = advance(plan, saved, seen(plan, 0, S.PENDING))
    assert recovered.saved.errors == 0


def test_a_withdrawal_is_never_forgotten_but_does_not_wait_for_ever(plan: RolloutPlan) -> None:
    saved = withdraw(begin(plan, 0.0), "by hand")
    for _ in range(plan.rings.errors_max):
        step = advance(plan, saved, Observed(now_s=0.0, error="no answer"))
        assert step.action is Action.WAIT
        saved = step.saved
    step = advance(plan, saved, Observed(now_s=0.0, error="no answer"))
    assert (step.action, step.saved.stage) == (Action.STOP, Stage.WITHDRAWING)
    assert advance(plan, resume(step.saved, 1.0), seen(plan, 0)).action is Action.DELETE


def test_a_withdrawal_takes_back_a_layer_that_was_made_anew(plan: RolloutPlan) -> None:
    withdrawn = Saved(layer_id=plan.layer_id, stage=Stage.WITHDRAWN, since_s=0.0)
    step = advance(plan, withdraw(withdrawn, "by hand"), seen(plan, 0))
    assert (step.action, step.saved.stage) == (Action.DELETE, Stage.WITHDRAWING)
    step = advance(plan, step.saved, seen(plan, None))
    assert (step.action, step.saved.stage) == (Action.STOP, Stage.WITHDRAWN)


def test_an_order_used_before_widens_nothing(plan: RolloutPlan) -> None:
    digest = "sha256:" + "0" * 64
    old = {"name": plan.model.name, "version": "1.0.0", "digest": digest}
    report = {"contract": "1.0", "code": "1", "phase": "live", "live": old, "lastKnownGood": old}
    report |= {"order": plan.model.order, "confirmedOrder": plan.model.order}
    station = read_station("vis-1", "canary", plan.model, inspection=report, stager=None)
    observed = replace(seen(plan, 0), stations=(station,))
    step = advance(plan, begin(plan, 0.0), observed)
    assert (step.action, step.saved.ring) == (Action.WAIT, 0)


def test_what_is_not_ours_is_not_touched(plan: RolloutPlan) -> None:
    other = replace(layer_state(plan, plan.target(0)), content={"modulesContent": {}})
    for saved in (begin(plan, 0.0), withdraw(begin(plan, 0.0), "by hand")):
        step = advance(plan, saved, Observed(now_s=0.0, layer=other))
        assert (step.action, step.saved.stage) == (Action.STOP, Stage.HELD)


def test_a_target_set_by_somebody_else_holds(plan: RolloutPlan) -> None:
    observed = Observed(now_s=0.0, layer=layer_state(plan, "tags.app='qc'"))
    assert advance(plan, begin(plan, 0.0), observed).saved.stage is Stage.HELD


def test_a_layer_deleted_by_somebody_else_is_not_created_again(plan: RolloutPlan) -> None:
    step = advance(plan, begin(plan, 0.0), seen(plan, 0, S.PENDING))
    step = advance(plan, step.saved, seen(plan, None))
    assert (step.action, step.saved.stage) == (Action.STOP, Stage.WITHDRAWN)


class KilledError(BaseException):
    """The tool is gone."""


@dataclass(slots=True)
class World:
    """A hub, and stations that confirm or roll back some looks after they were targeted."""

    plan: RolloutPlan
    bad: frozenset[str]
    fails: list[str]
    """What goes wrong in the next calls: "", "down", "changed", "kill", "kill-after"."""
    target: str | None = None
    reached: list[str] = field(default_factory=list)
    looks: int = 0

    def layer(self, layer_id: str) -> LayerState | None:
        self._trouble()
        return None if self.target is None else layer_state(self.plan, self.target)

    def create(self, layer: Layer) -> None:
        self._change(layer.target)

    def retarget(self, layer: LayerState, target: str) -> None:
        self._change(target)

    def delete(self, layer: LayerState) -> None:
        self._change(None)

    def stations(self, rings: tuple[Ring, ...], model: ModelOrder) -> tuple[Station, ...]:
        self._trouble()
        self.looks += 1
        return tuple(
            Station(device_id=ring.name, ring=ring.name, state=self._state(ring)) for ring in rings
        )

    def _state(self, ring: Ring) -> StationState:
        if self.target is None or ring.target not in self.target or self.looks % 3 == 0:
            return S.PENDING
        return S.ROLLED_BACK if ring.name in self.bad else S.CONFIRMED

    def _change(self, target: str | None) -> None:
        trouble = self._trouble()
        self.target = target
        for ring in self.plan.rings.rings:
            if target is not None and ring.target in target and ring.name not in self.reached:
                self.reached.append(ring.name)
        if trouble == "kill-after":
            raise KilledError

    def _trouble(self) -> str:
        trouble = self.fails.pop() if self.fails else ""
        if trouble == "down":
            raise CloudUnreachableError("no answer")
        if trouble == "changed":
            raise CloudChangedError("another etag")
        if trouble == "kill":
            raise KilledError
        return trouble


RINGS = Rings(
    layer_priority=30,
    errors_max=50,
    rings=tuple(Ring(name=name, target=f"tags.ring='{name}'") for name in ("one", "two", "three")),
)
PLAN = RolloutPlan(
    model=ModelOrder(name="weld-seam", version="1.0.0", order="o"), repository=None, rings=RINGS
)


@settings(deadline=None, max_examples=60)
@given(
    st.sets(st.sampled_from(["one", "two", "three"]), max_size=1),
    st.lists(st.sampled_from(["", "", "", "down", "changed", "kill", "kill-after"]), max_size=30),
)
def test_killed_and_cut_off_at_any_call_a_rollout_ends_as_it_would_have(
    tmp_path_factory: pytest.TempPathFactory, bad: set[str], fails: list[str]
) -> None:
    world = World(plan=PLAN, bad=frozenset(bad), fails=list(fails))
    state = StateFile(tmp_path_factory.mktemp("state") / "state.json")
    for _ in range(len(fails) + 1):
        driver = Driver(plan=PLAN, cloud=world, state=state, now=lambda: 0.0, sleep=lambda _: None)
        saved = state.read(PLAN.layer_id) or begin(PLAN, 0.0)
        try:
            saved = driver.run(saved, until_s=None, on_step=lambda *_: None)
            break
        except (KilledError, CloudChangedError):
            continue
    names = [ring.name for ring in RINGS.rings]
    if bad:
        assert (saved.stage, world.target) == (Stage.WITHDRAWN, None)
        assert world.reached == names[: names.index(min(bad)) + 1], "a later ring was touched"
    else:
        assert (saved.stage, world.target) == (Stage.DONE, PLAN.target(2))
        assert world.reached == names


def test_a_state_of_another_rollout_or_a_broken_one_is_refused(
    plan: RolloutPlan, tmp_path: Path
) -> None:
    state = StateFile(tmp_path / "state.json")
    assert state.read(plan.layer_id) is None
    state.write(Saved(layer_id="other", since_s=0.0))
    with pytest.raises(PlanError, match="another rollout"):
        state.read(plan.layer_id)
    state.path.write_text("{")
    with pytest.raises(PlanError, match="JSON"):
        state.read(plan.layer_id)
