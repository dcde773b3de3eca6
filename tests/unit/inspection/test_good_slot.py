"""A last-known-good whose slot has rotted: told, stood in for, and back without a start."""

from dataclasses import replace

import pytest
from tests.unit.inspection.models_of_a_station import (
    Station,
    commissioned,
    model,
    notice,
    slot,
)

from taktgate.contracts.activation import Refusal
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.control import Load, RunnerState
from taktgate.inspection.guardrails.settings import GuardrailSettings

SETTINGS = GuardrailSettings(shadow_parts=0, trial_parts=10)
A, B, C = (model(letter).digest for letter in "abc")
ANNOUNCED = notice("b", "o2")
RENEWED = replace(ANNOUNCED, renewed=1)
TOLD = Refusal(digest=B, order="o2", reason="GOLDEN", message="score 0.9, must be 0.1")


def two_confirmed() -> tuple[Station, Activator]:
    """Return a station with b as last-known-good, and a as the model before it."""
    station, agent = commissioned(SETTINGS)
    agent.staged(ANNOUNCED)
    try_out(station, agent)
    assert station.disk.last_known_good == slot("b", "o2")
    return station, agent


def try_out(station: Station, agent: Activator) -> None:
    """Let the newest candidate pass its trial."""
    station.settle(agent)
    for _ in range(SETTINGS.trial_parts):
        station.part(agent)
    station.settle(agent)


def rotten(newest: StagedModel = ANNOUNCED) -> tuple[Station, Activator]:
    """Return that station, started anew with the slot of b rotten and *newest* announced."""
    station, _ = two_confirmed()
    station.refusing.add(B)
    station.restart_judge()
    agent = station.agent()
    agent.staged(newest)
    station.settle(agent)
    return station, agent


def restage(station: Station, agent: Activator, announced: StagedModel = RENEWED) -> None:
    station.refusing.discard(B)
    agent.staged(announced)
    station.settle(agent)


def loads_of(station: Station, digest: str) -> int:
    return sum(isinstance(each, Load) and each.digest == digest for each in station.commands)


def message_of(agent: Activator) -> str:
    assert agent.error is not None
    return agent.error.message


def test_a_start_tells_the_stager_once_that_the_announced_model_was_refused() -> None:
    station, agent = rotten()
    assert (station.live, station.disk.refused) == (A, TOLD)
    generation, loads = station.disk.generation, loads_of(station, B)
    station.settle(agent, rounds=50)
    assert (station.disk.generation, loads_of(station, B)) == (generation, loads)
    assert station.disk.last_known_good == slot("b", "o2"), "it stays what it is"
    assert "last-known-good, weld 1.b: the stager looks into its slot" in message_of(agent)


def test_what_was_staged_again_judges_again_without_a_start() -> None:
    station, agent = rotten()
    restage(station, agent)
    assert station.live == B
    assert station.disk.refused is None, "it holds no more"
    assert station.disk.settled_order == "o2"
    assert agent.error is None


def test_what_stands_in_judges_until_the_other_is_ready() -> None:
    station, agent = rotten()
    station.refusing.discard(B)
    agent.staged(RENEWED)
    agent.judge_status(station.status())
    station.loaded[B] = RunnerState.LOADING
    station.settle(agent)
    assert (station.live, station.disk.refused) == (A, TOLD)
    station.loaded[B] = RunnerState.READY
    station.settle(agent)
    assert station.live == B


def test_what_was_staged_again_in_vain_is_told_again_and_tried_no_more() -> None:
    station, agent = rotten()
    agent.staged(RENEWED)
    station.settle(agent)
    assert (station.live, station.disk.refused) == (A, replace(TOLD, renewed=1))
    loads = loads_of(station, B)
    station.settle(agent, rounds=50)
    assert loads_of(station, B) == loads


def test_an_agent_that_was_away_tries_what_was_staged_again() -> None:
    station, _ = rotten()
    station.refusing.discard(B)
    agent = station.agent()
    agent.staged(RENEWED)
    station.settle(agent)
    assert (station.live, station.disk.refused) == (B, None)


def test_an_agent_that_starts_anew_tries_nothing_again_without_a_new_announcement() -> None:
    station, _ = rotten()
    loads = loads_of(station, B)
    agent = station.agent()
    agent.staged(ANNOUNCED)
    station.settle(agent)
    assert (station.live, loads_of(station, B)) == (A, loads)


def test_the_order_of_the_cloud_is_told_of_when_an_operator_has_overridden_it() -> None:
    station, agent = two_confirmed()
    for letter in "ab":
        agent.request(agent.operator.order_for(model(letter), f"slot-{letter}"))
        try_out(station, agent)
    assert station.disk.last_known_good == slot("b", "operator-2")
    assert station.disk.overridden_order == "o2"
    station.refusing.add(B)
    station.loaded[B] = RunnerState.REFUSED
    station.settle(agent)
    assert station.disk.refused == TOLD


def test_a_rotten_model_that_is_not_ordered_is_reported_and_left_to_the_twin() -> None:
    station, agent = rotten(notice("c", "o9"))
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
    station.settle(agent)
    assert (station.live, station.disk.refused) == (A, None)
    assert "it is not what is ordered" in message_of(agent)

    restage(station, agent, replace(ANNOUNCED, order="o10"))
    assert station.live == B
    assert station.disk.settled_order == "o10"


def test_a_rotten_model_is_named_beside_a_fault_that_is_shown_first() -> None:
    station, _ = two_confirmed()
    station.refusing |= {B, C}
    station.restart_judge()
    agent = station.agent()
    agent.staged(notice("c", "o3"))
    station.settle(agent)
    assert agent.error is not None
    assert agent.error.order == "o3"
    assert agent.error.message.endswith("; also: GOLDEN")


def test_a_refused_candidate_and_a_rotten_model_are_not_told_in_turns() -> None:
    station, agent = rotten()
    station.refusing.add(C)
    agent.staged(notice("c", "o3"))
    station.settle(agent)
    assert station.disk.refused is not None
    assert station.disk.refused.digest == C
    agent.staged(replace(ANNOUNCED, order="o4"))
    station.settle(agent)
    generation = station.disk.generation
    assert station.disk.refused == replace(TOLD, order="o4")
    station.settle(agent, rounds=50)
    assert station.disk.generation == generation


def test_a_disk_that_refuses_keeps_nobody_from_judging_and_is_told_later() -> None:
    station, _ = two_confirmed()
    station.refusing.add(B)
    station.restart_judge()
    station.disk_is_full = True
    agent = station.agent()
    agent.staged(ANNOUNCED)
    station.settle(agent)
    assert (station.live, station.disk.refused) == (A, None)
    assert agent.error is not None
    assert (agent.error.reason, "GOLDEN" in agent.error.message) == ("STATE_WRITE", True)
    station.disk_is_full = False
    station.settle(agent)
    assert station.disk.refused == TOLD


def test_a_model_without_one_that_stands_in_is_tried_at_once_when_it_is_staged_again() -> None:
    station, _ = commissioned(SETTINGS)
    station.refusing.add(A)
    station.restart_judge()
    agent = station.agent()
    agent.staged(notice("a", "o1"))
    station.settle(agent)
    assert station.disk.refused is not None
    station.refusing.discard(A)
    agent.staged(replace(notice("a", "o1"), renewed=1))
    station.settle(agent)
    assert station.loaded[A] is RunnerState.READY
    assert station.disk.refused is None


def test_a_gentle_policy_is_not_asked_where_nothing_judges() -> None:
    station, agent = commissioned(SETTINGS)
    agent.staged(ANNOUNCED)
    station.settle(agent)
    station.refusing.add(A)
    station.loaded[A] = RunnerState.REFUSED
    agent.judge_status(station.status())
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
    station.settle(agent)
    assert station.live is None
    station.refusing.discard(A)
    agent.staged(notice("a", "o3", activation="changeover"))
    station.settle(agent)
    assert station.live == A


@pytest.mark.parametrize("policy", ["changeover", "safe_to_update"])
def test_a_gentle_policy_leaves_the_line_to_what_stands_in_until_it_is_off(policy: str) -> None:
    station, agent = rotten()
    restage(station, agent, replace(RENEWED, activation=ActivationPolicy(policy)))
    assert (station.live, station.disk.refused) == (A, TOLD)
    assert "it is announced anew" in message_of(agent)
    station.is_enabled = False
    station.settle(agent)
    assert (station.live, station.disk.refused) == (B, None)
