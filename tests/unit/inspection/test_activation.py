import pytest

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation, Baseline, Rollback, SlotRef, Trial
from taktgate.contracts.model import ModelRef
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.activation import TRANSITIONS, Event, Phase, advance
from taktgate.inspection.errors import IllegalTransitionError

NOTHING = Baseline(parts=0, rejects=0)


def ref(letter: str, order: str) -> SlotRef:
    model = ModelRef(name="weld", version=f"1.{letter}", digest="sha256:" + letter * 64)
    return SlotRef(model=model, order=order, slot=f"slot-{letter}")


def rollback(letter: str, order: str) -> Rollback:
    return Rollback(
        digest="sha256:" + letter * 64,
        order=order,
        reason="OVER_REJECT",
        figures={},
        message="",
        at="",
    )


EMPTY = Activation(contract=CONTRACT_VERSION, generation=0)
GOOD = Activation(
    contract=CONTRACT_VERSION, generation=4, last_known_good=ref("a", "o1"), settled_order="o1"
)
TRIAL = Trial(candidate=ref("b", "o2"), attempts=1)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("event", list(Event))
def test_every_pair_leads_somewhere_or_is_refused(phase: Phase, event: Event) -> None:
    if (phase, event) in TRANSITIONS:
        assert advance(phase, event) is TRANSITIONS[phase, event]
    else:
        with pytest.raises(IllegalTransitionError):
            advance(phase, event)


def test_every_phase_can_be_left() -> None:
    assert {phase for phase, _ in TRANSITIONS} == set(Phase)


def test_no_phase_but_trial_confirms_and_all_unfinished_ones_can_fall_back() -> None:
    confirming = {phase for phase, event in TRANSITIONS if event is Event.PASSED}
    falling = {phase for phase, event in TRANSITIONS if event is Event.BREACHED}

    assert confirming == {Phase.TRIAL}
    assert falling == {Phase.RESUMING, Phase.LOADING, Phase.SWAPPING, Phase.TRIAL}


def test_a_trial_leaves_last_known_good_alone() -> None:
    trial = table.begin_trial(GOOD, TRIAL, baseline=NOTHING)

    assert trial.last_known_good == GOOD.last_known_good
    assert trial.generation == GOOD.generation + 1
    assert table.resume(trial) is Phase.RESUMING
    assert table.resume(GOOD) is Phase.IDLE


def test_confirming_moves_last_known_good_and_settles_the_order() -> None:
    trial = table.begin_trial(GOOD, TRIAL, baseline=NOTHING)
    counts = Baseline(parts=60, rejects=3)
    confirmed = table.confirm(trial, baseline=counts)

    assert confirmed.last_known_good == ref("b", "o2")
    assert (confirmed.trial, confirmed.settled_order) == (None, "o2")
    assert confirmed.baseline == counts
    assert confirmed.generation == trial.generation + 1


def test_a_digest_that_was_rolled_back_needs_an_order_not_seen_since() -> None:
    back = table.roll_back(GOOD, rollback("b", "o2"))
    digest = ref("b", "o2").model.digest

    assert back.last_known_good == GOOD.last_known_good
    assert table.is_blocked(back, digest=digest, order="o2")
    assert not table.is_blocked(back, digest=digest, order="o3")
    later = table.satisfy(back, "o3")
    assert table.is_blocked(later, digest=digest, order="o3"), "o3 was seen, for another model"
    twice = table.roll_back(later, rollback("b", "o4"))
    assert table.is_blocked(twice, digest=digest, order="o2")
    assert not table.is_blocked(twice, digest=ref("c", "o2").model.digest, order="o2")


def test_a_satisfied_order_belongs_to_last_known_good() -> None:
    satisfied = table.satisfy(GOOD, "o9")

    assert satisfied.last_known_good == ref("a", "o9")
    assert table.is_settled(satisfied, digest=ref("a", "o9").model.digest, order="o9")
    assert not table.is_settled(satisfied, digest=ref("a", "o9").model.digest, order="o1")


def test_the_list_of_blocked_digests_is_bounded() -> None:
    activation = GOOD
    for number in range(100):
        activation = table.roll_back(activation, rollback("b", f"o{number}"))

    assert len(activation.blocked) == table.MAX_BLOCKED
    assert activation.blocked[-1].order == "o99"
