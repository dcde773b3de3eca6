import pytest

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation, Baseline, Rollback, SlotRef, Trial
from taktgate.contracts.model import ModelRef
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.phases import TRANSITIONS, Event, Phase, advance, resume
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
    assert falling == set(Phase) - {Phase.IDLE, Phase.REVERTING}


def test_a_trial_leaves_last_known_good_alone() -> None:
    trial = table.begin_trial(GOOD, TRIAL, baseline=NOTHING)

    assert trial.last_known_good == GOOD.last_known_good
    assert trial.generation == GOOD.generation + 1
    assert resume(trial) is Phase.RESUMING
    assert resume(GOOD) is Phase.IDLE


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


def test_a_trial_comes_after_shadow_and_policy_and_by_no_other_way() -> None:
    assert {phase for (phase, _), to in TRANSITIONS.items() if to is Phase.SWAPPING} == {
        Phase.WAITING
    }
    assert {phase for (phase, _), to in TRANSITIONS.items() if to is Phase.WAITING} == {
        Phase.SHADOW
    }


def test_a_confirmed_model_has_the_one_before_it_as_its_way_back() -> None:
    counts = Baseline(parts=60, rejects=3)
    confirmed = table.confirm(
        table.begin_trial(GOOD, TRIAL, baseline=Baseline(parts=900, rejects=9)), baseline=counts
    )
    assert confirmed.previous_good == ref("a", "o1")

    back = table.fall_back(confirmed, rollback("b", "o2"))
    assert (back.last_known_good, back.previous_good) == (ref("a", "o1"), None)
    assert back.baseline == Baseline(parts=900, rejects=9)
    assert table.is_blocked(back, digest=ref("b", "o2").model.digest, order="o2")


def test_a_model_that_is_confirmed_anew_is_no_way_back_from_itself() -> None:
    again = Trial(candidate=ref("a", "o2"), attempts=1)
    confirmed = table.confirm(table.begin_trial(GOOD, again, baseline=NOTHING), baseline=NOTHING)

    assert confirmed.last_known_good == ref("a", "o2")
    assert confirmed.previous_good is None


def test_a_way_back_that_is_rolled_back_itself_is_none_any_more() -> None:
    confirmed = table.confirm(table.begin_trial(GOOD, TRIAL, baseline=NOTHING), baseline=NOTHING)
    again = table.roll_back(confirmed, rollback("a", "o5"))

    assert again.last_known_good == ref("b", "o2")
    assert again.previous_good is None


def test_a_halt_ends_with_another_confirmed_model_which_has_no_way_back_to_it() -> None:
    halted = table.halt(GOOD, rollback("a", "o1"))
    confirmed = table.confirm(table.begin_trial(halted, TRIAL, baseline=NOTHING), baseline=NOTHING)

    assert halted.last_known_good == GOOD.last_known_good
    assert (confirmed.halt, confirmed.previous_good) == (None, None)


def test_an_operator_clears_block_and_halt() -> None:
    halted = table.halt(GOOD, rollback("a", "o1"))
    cleared = table.clear(halted, ref("a", "o1").model.digest)

    assert cleared is not None
    assert (cleared.blocked, cleared.halt, cleared.orders_since) == ((), None, ())
    assert table.clear(cleared, ref("a", "o1").model.digest) is None


def test_an_operators_order_is_one_that_is_not_on_record() -> None:
    seen = table.roll_back(GOOD, rollback("b", "operator-7"))

    assert table.next_operator_order(seen, 0) == ("operator-8", 8)
    assert table.next_operator_order(seen, 8) == ("operator-9", 9)


def test_an_overridden_order_stays_so_until_the_cloud_s_next_one_is_settled() -> None:
    overridden = table.override(GOOD, "o2")

    assert table.satisfy(overridden, "operator-1").overridden_order == "o2"
    assert table.satisfy(overridden, "o3").overridden_order is None


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
