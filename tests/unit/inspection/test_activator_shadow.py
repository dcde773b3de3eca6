"""A candidate in the shadow: what lets it on, what sends it away, and what it waits for."""

import pytest
from tests.unit.inspection.models_of_a_station import (
    Station,
    commissioned,
    model,
    notice,
    phase_of,
    slot,
)

from taktgate.contracts.twins import InspectionPhase
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import SECOND
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.agent.phases import Phase
from taktgate.inspection.agent.report import report_of
from taktgate.inspection.control import RunnerState, Shadow
from taktgate.inspection.guardrails.settings import GuardrailSettings

SETTINGS = GuardrailSettings(shadow_parts=20, trial_parts=10)


def in_shadow(**changes: str) -> tuple[Station, Activator]:
    station, agent = commissioned(SETTINGS)
    agent.staged(notice("b", "o2", **changes))
    station.settle(agent)
    assert phase_of(agent) is Phase.SHADOW
    return station, agent


def test_a_candidate_is_tried_after_its_shadow_and_not_before() -> None:
    station, agent = in_shadow()
    assert report_of(agent).phase is InspectionPhase.SHADOW
    assert (station.live, station.shadow) == (model("a").digest, model("b").digest)
    for _ in range(SETTINGS.shadow_parts - 1):
        station.pair(agent)
    assert phase_of(agent) is Phase.SHADOW
    assert station.disk.trial is None
    assert (report_of(agent).guardrail or {})["agreement"] == 1.0

    station.pair(agent)
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL
    assert (station.live, station.shadow) == (model("b").digest, None)


def test_the_first_model_of_a_station_has_nothing_to_be_held_against() -> None:
    station, _ = commissioned(SETTINGS)

    assert station.disk.last_known_good == slot("a", "o1")
    assert not [each for each in station.commands if isinstance(each, Shadow) and each.digest]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Verdict.FAIL, "ESCAPE_OR_DISAGREEMENT"),
        (Reason.TIMEOUT, "INFERENCE_FAILURE"),
        (Reason.NON_FINITE, "INFERENCE_FAILURE"),
    ],
)
def test_a_shadow_that_breaches_is_blocked_and_the_line_never_knew(
    said: Verdict | Reason, reason: str
) -> None:
    station, agent = in_shadow()
    swaps = list(station.swaps_on_disk)
    for _ in range(max(SETTINGS.shadow_parts, SETTINGS.shadow_silent_parts)):
        station.pair(agent, shadow=said)
    station.settle(agent)

    assert [each.reason for each in station.audits] == [reason]
    figures = station.audits[0].figures
    assert figures["shadowPairs"] + figures["shadowUnanswered"] > 0
    assert station.swaps_on_disk == swaps, "nothing was swapped"
    assert (station.live, station.shadow) == (model("a").digest, None)
    assert model("b").digest not in station.loaded
    report = report_of(agent)
    assert (report.phase, report.order) == (InspectionPhase.ROLLED_BACK, "o2")
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    assert phase_of(agent) is Phase.IDLE, "blocked stays blocked"


def test_pairs_of_another_model_do_not_count() -> None:
    station, agent = in_shadow()
    station.shadow = model("c").digest
    for _ in range(SETTINGS.shadow_parts):
        station.pair(agent, shadow=Verdict.FAIL)

    assert phase_of(agent) is Phase.SHADOW
    assert not station.audits


def test_a_shadow_waits_for_as_long_as_the_line_stands_and_gives_way_to_a_newer_order() -> None:
    station, agent = in_shadow()
    for _ in range(10):
        station.now_ns += 3600 * SECOND
        station.settle(agent, 1)
    assert phase_of(agent) is Phase.SHADOW

    agent.staged(notice("c", "o3"))
    station.settle(agent)
    assert agent.candidate == slot("c", "o3")
    assert model("b").digest not in station.loaded


def test_a_withdrawn_order_ends_its_shadow() -> None:
    station, agent = in_shadow()
    agent.staged(notice("a", "o1"))
    station.settle(agent)

    assert phase_of(agent) is Phase.IDLE
    assert (station.shadow, set(station.loaded)) == (None, {model("a").digest})


def test_a_shadow_goes_on_while_its_policy_waits_and_the_trial_does_not() -> None:
    station, agent = in_shadow(activation="changeover")
    for _ in range(SETTINGS.shadow_parts):
        station.pair(agent)
    station.settle(agent)
    assert phase_of(agent) is Phase.WAITING
    assert station.disk.trial is None

    station.is_enabled = False
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL


def test_a_lost_command_to_show_frames_is_sent_again() -> None:
    station, agent = in_shadow()
    station.shadow = None
    station.settle(agent, 1)

    assert station.shadow == model("b").digest


def test_a_candidate_that_a_restarted_judge_forgot_is_loaded_again_and_loses_no_attempt() -> None:
    station, agent = in_shadow()
    station.restart_judge()
    station.shadow = None
    station.settle(agent)
    for _ in range(SETTINGS.shadow_parts):
        station.pair(agent)
    station.settle(agent)

    assert station.disk.trial is not None
    assert station.disk.trial.attempts == 1


def test_a_candidate_whose_runner_does_not_come_back_is_blocked_in_the_shadow() -> None:
    station, agent = in_shadow()
    station.loaded[model("b").digest] = RunnerState.WAITING
    for _ in range(8):
        station.now_ns += SECOND
        station.settle(agent, 1)

    assert [each.reason for each in station.audits] == ["INFERENCE_FAILURE"]
    assert station.live == model("a").digest


def test_a_broken_live_model_does_not_keep_its_cure_in_the_shadow() -> None:
    station, agent = in_shadow()
    station.loaded[model("a").digest] = RunnerState.WAITING
    for _ in range(8):
        station.now_ns += SECOND
        station.settle(agent, 1)

    assert phase_of(agent) is Phase.TRIAL
    assert station.live == model("b").digest


def test_a_second_attempt_of_a_trial_needs_no_second_shadow() -> None:
    station, agent = in_shadow()
    for _ in range(SETTINGS.shadow_parts):
        station.pair(agent)
    station.settle(agent)
    station.restart_judge()
    station.settle(agent)

    assert phase_of(agent) is Phase.TRIAL
    assert station.disk.trial is not None
    assert station.disk.trial.attempts == 2


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_trial_is_held_against_what_the_live_model_made_of_the_same_parts(
    is_restarted: bool,
) -> None:
    station, agent = commissioned(SETTINGS)
    for _ in range(200):
        station.part(agent)
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    for number in range(SETTINGS.shadow_parts):
        said = Verdict.FAIL if number % 5 < 2 else Verdict.PASS  # the line is another one now
        station.pair(agent, said, said)
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL
    if is_restarted:
        agent = station.agent()
        station.settle(agent)
    for number in range(SETTINGS.trial_parts):
        station.part(agent, Verdict.FAIL if number % 5 < 2 else Verdict.PASS)
    station.settle(agent)

    assert station.disk.last_known_good == slot("b", "o2")
    assert station.disk.previous_baseline.parts == 200, "the long memory is kept beside it"
