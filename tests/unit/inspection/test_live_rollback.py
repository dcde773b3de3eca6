"""A confirmed model that breaches: back to the one before it, or an alarm, or nothing judges."""

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
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.agent.phases import Phase
from taktgate.inspection.agent.report import report_of
from taktgate.inspection.control import RunnerState, Swap
from taktgate.inspection.guardrails.resource_or_drift import ResourceSample
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.image_facts import ImageFacts

SETTINGS = GuardrailSettings(shadow_parts=0, trial_parts=10, cool_down_parts=5)
A, B, C = (model(letter).digest for letter in "abc")


def confirm(station: Station, agent: Activator, letter: str, order: str) -> None:
    agent.staged(notice(letter, order))
    station.settle(agent)
    for _ in range(SETTINGS.trial_parts):
        station.part(agent)
    station.settle(agent)
    assert station.disk.last_known_good == slot(letter, order)


def two_confirmed() -> tuple[Station, Activator]:
    station, agent = commissioned(SETTINGS)
    confirm(station, agent, "b", "o2")
    return station, agent


def fail(station: Station, agent: Activator) -> int:
    """Let the live model fail three times in a row after its cool-down."""
    for _ in range(SETTINGS.cool_down_parts):
        station.part(agent)
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.NON_FINITE)
    return station.next_trigger


def test_the_way_back_is_live_before_the_next_part_and_durable_before_that() -> None:
    station, agent = two_confirmed()
    fail(station, agent)

    digest, disk = station.swaps_on_disk[-1]
    assert (digest, station.live) == (A, A), "swapped in the very call that decided"
    assert (disk.last_known_good, disk.previous_good) == (slot("a", "o1"), None)
    assert [each.digest for each in disk.blocked] == [B]
    station.settle(agent)
    assert set(station.loaded) == {A}
    assert [each.reason for each in station.audits] == ["INFERENCE_FAILURE"]
    assert station.audits[0].figures["consecutiveFailures"] == 3
    report = report_of(agent)
    assert (report.phase, report.order) == (InspectionPhase.ROLLED_BACK, "o2")
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    assert station.live == A, "blocked stays blocked"


def test_a_restart_after_a_live_rollback_boots_the_way_back() -> None:
    station, agent = two_confirmed()
    fail(station, agent)
    station.restart_judge()
    agent = station.agent()
    station.settle(agent)

    assert station.live == A
    assert phase_of(agent) is Phase.IDLE


def test_a_full_disk_does_not_keep_a_confirmed_model_that_breaches_on_the_line() -> None:
    station, agent = two_confirmed()
    station.disk_is_full = True
    fail(station, agent)
    station.settle(agent)
    assert station.live == A
    assert not station.audits

    station.disk_is_full = False
    station.settle(agent)
    assert station.live == A
    assert station.disk.last_known_good == slot("a", "o1")
    assert [each.digest for each in station.audits] == [B]


def test_if_the_way_back_breaches_too_it_is_the_environment_and_nobody_goes_back() -> None:
    station, agent = two_confirmed()
    confirm(station, agent, "c", "o3")
    agent.staged(notice("a", "o4"))
    station.settle(agent)
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
    station.settle(agent)
    assert station.live == C, "the trial went back"
    fail(station, agent)
    station.settle(agent)

    assert station.live == C
    assert station.disk.previous_good == slot("b", "o2"), "there would have been a way back"
    assert [each.reason for each in station.alarms] == ["INFERENCE_FAILURE"]
    assert "environment" in station.alarms[0].message
    assert agent.error == station.alarms[0]
    assert [each.digest for each in station.disk.blocked] == [A]


def test_without_a_way_back_the_station_alarms_and_goes_on() -> None:
    station, agent = commissioned(SETTINGS)
    fail(station, agent)
    station.settle(agent)

    assert station.live == A
    assert [each.reason for each in station.alarms] == ["INFERENCE_FAILURE"]
    assert station.disk.blocked == ()
    confirm(station, agent, "b", "o2")
    assert agent.error is None, "another model ends the alarm"


def test_where_defects_may_be_passing_and_nothing_else_is_trusted_nothing_judges() -> None:
    station, agent = commissioned(SETTINGS)
    agent.escape(7, "crack", A)
    station.settle(agent)

    assert station.live is None
    assert station.loaded == {}
    assert station.disk.halt is not None
    assert station.disk.last_known_good == slot("a", "o1"), "it is kept, and does not judge"
    assert [each.reason for each in station.alarms] == ["ESCAPE_OR_DISAGREEMENT"]
    agent = station.agent()
    station.settle(agent)
    assert station.live is None, "a restart is no way round"

    confirm(station, agent, "b", "o2")
    assert station.disk.halt is None
    assert station.disk.previous_good is None


def test_an_operator_ends_a_halt() -> None:
    station, agent = commissioned(SETTINGS)
    agent.escape(7, "crack", A)
    station.settle(agent)
    assert agent.clear(A) is None
    station.settle(agent)

    assert station.live == A
    assert station.disk.blocked == ()
    refused = agent.clear(A)
    assert refused is not None
    assert refused.reason == "NOT_BLOCKED"


def test_an_escape_sends_a_confirmed_model_back_where_there_is_a_way() -> None:
    station, agent = two_confirmed()
    agent.escape(7, "crack", B)
    station.settle(agent)

    assert station.live == A
    assert station.disk.blocked[-1].reason == "ESCAPE_OR_DISAGREEMENT"


@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.WAITING])
def test_a_candidate_on_its_way_gives_way_to_a_live_rollback_and_begins_again(
    phase: Phase,
) -> None:
    station, agent = two_confirmed()
    station.settings = GuardrailSettings(
        **{**SETTINGS.model_dump(), "shadow_parts": 20 if phase is Phase.SHADOW else 0}
    )
    agent = station.agent()
    station.settle(agent)
    agent.staged(notice("c", "o3", activation="changeover"))
    station.settle(agent)
    assert phase_of(agent) is phase
    fail(station, agent)
    assert station.live == A
    station.settle(agent)

    assert agent.candidate == slot("c", "o3")
    assert phase_of(agent) is phase


def test_a_last_known_good_that_is_refused_is_stood_in_for_by_the_one_before() -> None:
    station, agent = two_confirmed()
    station.loaded[B] = RunnerState.REFUSED
    station.settle(agent)

    assert station.live == A
    assert station.disk.last_known_good == slot("b", "o2"), "it stays what it is"
    assert agent.error is not None
    assert agent.error.reason == "GOLDEN"


def test_a_trial_goes_back_to_the_stand_in_when_last_known_good_is_refused() -> None:
    station, agent = two_confirmed()
    agent.staged(notice("c", "o3"))
    station.settle(agent)
    station.refusing.add(B)
    station.loaded[B] = RunnerState.REFUSED
    agent.judge_status(station.status())
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
    station.settle(agent)

    assert station.live == A
    assert phase_of(agent) is Phase.IDLE


def test_what_was_sent_back_never_judges_on_when_nothing_trusted_can_run() -> None:
    station, agent = commissioned(SETTINGS)
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    station.refusing.add(A)
    station.loaded[A] = RunnerState.REFUSED
    agent.judge_status(station.status())
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
    station.settle(agent)

    assert station.live is None
    assert agent.error is not None
    assert agent.error.reason == "NO_WAY_BACK"


def test_the_way_back_is_loaded_again_after_a_judge_restart() -> None:
    station, agent = two_confirmed()
    station.restart_judge()
    station.settle(agent)

    assert (station.live, set(station.loaded)) == (B, {A, B})


def test_images_that_drift_alarm_and_send_nobody_back() -> None:
    station, agent = two_confirmed()
    for number in range(2000):
        agent.image(
            ImageFacts(
                mean=100.0 + number % 3 - (40.0 if number > 1000 else 0.0),
                contrast=20.0 + number % 2,
                sharpness=50.0 + number % 5,
                dark_share=0.0,
                saturated_share=0.0,
                fingerprint=number,
            )
        )
    station.settle(agent)

    assert station.live == B
    assert [each.reason for each in station.alarms] == ["RESOURCE_OR_DRIFT"]


def test_a_device_that_throttles_under_a_new_model_goes_back() -> None:
    station, agent = two_confirmed()
    agent.resources(ResourceSample(is_throttled=False))
    agent.resources(ResourceSample(is_throttled=True))
    station.settle(agent)

    assert station.live == A
    assert station.disk.blocked[-1].reason == "RESOURCE_OR_DRIFT"


def test_a_halt_silences_whatever_judges_even_what_a_restart_left_live() -> None:
    station, agent = commissioned(SETTINGS)
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    station.is_deaf_to_swaps = True
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
    agent = station.agent()
    agent.escape(7, "crack", A)
    station.settle(agent)

    assert station.disk.halt is not None
    assert station.live is None


def test_a_halt_on_the_disk_silences_a_judge_that_never_heard_of_it() -> None:
    station, agent = commissioned(SETTINGS)
    agent.escape(7, "crack", A)
    station.settle(agent)
    station.restart_judge()
    assert station.live == A
    station.settle(station.agent())

    assert station.live is None


def test_a_model_that_still_loads_is_not_asked_to_judge() -> None:
    station, agent = commissioned(SETTINGS)
    station.live, station.loaded = None, {A: RunnerState.LOADING}
    station.commands.clear()
    station.settle(agent)
    assert not [each for each in station.commands if isinstance(each, Swap)]

    station.loaded[A] = RunnerState.READY
    station.settle(agent)
    assert station.live == A


def test_an_escape_that_is_reported_before_the_judge_has_spoken_withdraws_the_trial() -> None:
    station, agent = two_confirmed()
    agent.staged(notice("c", "o3"))
    station.settle(agent)
    agent = station.agent()
    assert phase_of(agent) is Phase.RESUMING
    agent.escape(7, "crack", B)
    assert station.disk.trial is None
    station.settle(agent)

    assert station.disk.last_known_good == slot("a", "o1")
    assert [each.digest for each in station.disk.blocked] == [B]
    assert agent.candidate == slot("c", "o3"), "its order still stands, and begins again"


def test_an_escape_of_the_confirmed_model_during_a_trial_is_an_alarm() -> None:
    station, agent = two_confirmed()
    agent.staged(notice("c", "o3"))
    station.settle(agent)
    agent.escape(7, "crack", B)

    assert phase_of(agent) is Phase.TRIAL
    assert [each.reason for each in station.alarms] == ["ESCAPE_OR_DISAGREEMENT"]


def test_an_escape_of_the_model_on_trial_sends_that_one_back() -> None:
    station, agent = two_confirmed()
    agent.staged(notice("c", "o3"))
    station.settle(agent)
    assert agent.escape(7, "crack", C) is None
    station.settle(agent)

    assert station.live == B
    assert [(each.digest, each.reason) for each in station.disk.blocked] == [
        (C, "ESCAPE_OR_DISAGREEMENT")
    ]
    assert station.alarms == []


def test_an_escape_of_a_model_that_judges_no_more_accuses_nobody() -> None:
    station, agent = two_confirmed()
    before = station.disk
    refused = agent.escape(7, "crack", A)

    assert refused is not None
    assert refused.reason == "NOT_JUDGING"
    assert (station.disk, station.live, station.alarms) == (before, B, [])
