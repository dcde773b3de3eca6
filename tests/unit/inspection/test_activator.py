"""The activator against a judge that does what it is told, and sometimes forgets."""

from dataclasses import replace

import pytest
from tests.unit.inspection.models_of_a_station import (
    FORGOTTEN,
    SETTINGS,
    Station,
    commissioned,
    model,
    notice,
    on_trial,
    phase_of,
    put_live,
    slot,
)

from taktgate.contracts.twins import InspectionPhase
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import SECOND
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.agent.phases import Phase
from taktgate.inspection.agent.report import report_of
from taktgate.inspection.control import Load, Proof, RunnerState, Swap


def test_the_first_model_is_confirmed_once_it_judges() -> None:
    station, agent = commissioned()

    assert station.disk.last_known_good == slot("a", "o1")
    assert station.live == model("a").digest
    assert station.proof == Proof(digest=model("a").digest, fingerprint="f")
    assert report_of(agent).phase is InspectionPhase.LIVE
    assert report_of(agent).confirmedOrder == "o1"
    first = station.commands[0]
    assert isinstance(first, Load)
    assert first.golden


def test_the_trial_is_durable_before_the_swap_and_confirmed_after_its_parts() -> None:
    station, agent = on_trial()
    digest, disk = station.swaps_on_disk[-1]
    assert disk.trial is not None
    assert (digest, disk.trial.candidate) == (model("b").digest, slot("b", "o2"))
    assert disk.baseline.parts == 30

    for _ in range(SETTINGS.trial_parts):
        assert station.disk.last_known_good == slot("a", "o1")
        station.part(agent)
    station.settle(agent)

    assert station.disk.last_known_good == slot("b", "o2")
    assert station.disk.trial is None
    assert station.disk.previous_good == slot("a", "o1")
    assert set(station.loaded) == {model("a").digest, model("b").digest}, "the way back is warm"
    assert station.disk.baseline.parts == SETTINGS.trial_parts


def test_an_over_rejecting_candidate_goes_back_by_itself() -> None:
    station, agent = on_trial()
    for _ in range(SETTINGS.trial_parts):
        if agent.phase is Phase.TRIAL:
            station.part(agent, Verdict.FAIL)
    station.settle(agent)

    assert station.live == model("a").digest
    assert station.disk.last_known_good == slot("a", "o1")
    assert [each.reason for each in station.audits] == ["OVER_REJECT"]
    assert station.audits[0].figures["rejects"] == station.audits[0].figures["parts"]
    assert set(station.loaded) == {model("a").digest}
    report = report_of(agent)
    assert (report.phase, report.order) == (InspectionPhase.ROLLED_BACK, "o2")
    assert report.lastRollback is not None


def test_the_rollback_is_durable_before_the_swap_back() -> None:
    station, agent = on_trial()
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.MODEL_ERROR)

    digest, disk = station.swaps_on_disk[-1]
    assert digest == model("a").digest
    assert [each.digest for each in disk.blocked] == [model("b").digest]
    assert station.audits[-1].reason == "INFERENCE_FAILURE"


def test_a_blocked_digest_needs_a_new_order() -> None:
    station, agent = on_trial()
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
    station.settle(agent)

    agent.staged(notice("b", "o2"))
    station.settle(agent)
    assert phase_of(agent) is Phase.IDLE
    assert report_of(agent).phase is InspectionPhase.ROLLED_BACK
    assert agent.error is not None
    assert agent.error.reason == "BLOCKED"

    agent.staged(notice("b", "o3"))
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL


def test_a_layer_that_is_withdrawn_settles_the_older_order_again() -> None:
    station, agent = on_trial()
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
    station.settle(agent)

    agent.staged(notice("a", "o1"))
    station.settle(agent)
    report = report_of(agent)
    assert (report.phase, report.order) == (InspectionPhase.LIVE, "o1")
    assert station.disk.settled_order == "o1"

    agent.staged(notice("b", "o2"))
    station.settle(agent)
    report = report_of(agent)
    assert (report.phase, report.order) == (InspectionPhase.ROLLED_BACK, "o2")
    assert station.live == model("a").digest


def test_an_equal_digest_is_simply_satisfied() -> None:
    station, agent = commissioned()
    before = len(station.commands)
    agent.staged(notice("a", "o7"))
    station.settle(agent)

    assert station.disk.settled_order == "o7"
    assert report_of(agent).confirmedOrder == "o7"
    assert len(station.commands) == before


def test_a_refused_candidate_is_reported_and_touches_nothing() -> None:
    station, agent = commissioned()
    station.refusing.add(model("b").digest)
    agent.staged(notice("b", "o2"))
    station.settle(agent)

    assert station.live == model("a").digest
    assert phase_of(agent) is Phase.IDLE
    assert agent.error is not None
    assert (agent.error.reason, agent.error.order) == ("GOLDEN", "o2")
    assert station.disk.trial is None
    loads = [each for each in station.commands if isinstance(each, Load)]
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    assert [each for each in station.commands if isinstance(each, Load)] == loads

    station.refusing.clear()
    agent.staged(notice("b", "o3"))
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL
    assert agent.error is None


RENEWED = replace(notice("b", "o2"), renewed=1)


def loads_of(station: Station, letter: str) -> int:
    digest = model(letter).digest
    return sum(isinstance(each, Load) and each.digest == digest for each in station.commands)


def refused_once() -> tuple[Station, Activator]:
    """Return a station that has refused model b, which it would load by now."""
    station, agent = commissioned()
    station.refusing.add(model("b").digest)
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    station.refusing.clear()
    assert loads_of(station, "b") == 1
    return station, agent


def test_a_refused_candidate_is_named_to_the_stager_until_the_next_trial() -> None:
    station, agent = refused_once()
    refused = station.disk.refused
    assert refused is not None
    assert (refused.digest, refused.order, refused.renewed, refused.reason) == (
        model("b").digest,
        "o2",
        0,
        "GOLDEN",
    )
    agent.staged(notice("c", "o3"))
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL
    assert station.disk.refused is None


def test_what_was_refused_is_tried_again_when_it_is_announced_anew() -> None:
    station, agent = refused_once()
    agent.staged(RENEWED)
    station.settle(agent)
    assert loads_of(station, "b") == 2
    assert phase_of(agent) is Phase.TRIAL
    assert agent.error is None


def test_the_same_announcement_again_changes_nothing_after_a_refusal() -> None:
    station, agent = refused_once()
    error, disk = agent.error, station.disk
    for _ in range(3):
        agent.staged(notice("b", "o2"))
        station.settle(agent)
    assert loads_of(station, "b") == 1
    assert (agent.error, station.disk) == (error, disk)


def test_a_new_announcement_that_is_refused_as_well_is_tried_no_more() -> None:
    station, agent = refused_once()
    station.refusing.add(model("b").digest)
    for _ in range(3):
        agent.staged(RENEWED)
        station.settle(agent)
    assert loads_of(station, "b") == 2
    assert station.disk.refused is not None
    assert station.disk.refused.renewed == 1


def test_a_refused_candidate_is_tried_again_when_an_operator_clears_something() -> None:
    station, agent = on_trial()
    for _ in range(30):
        station.part(agent, Verdict.FAIL)
    station.settle(agent)
    station.refusing.add(model("c").digest)
    for _ in range(2):
        agent.staged(notice("c", "o3"))
        station.settle(agent)
    assert loads_of(station, "c") == 1
    assert agent.clear(model("b").digest) is None
    station.settle(agent)
    assert loads_of(station, "c") == 2


def test_the_same_announcement_again_changes_nothing_in_a_trial() -> None:
    station, agent = on_trial()
    disk, commands = station.disk, list(station.commands)
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    assert (phase_of(agent), station.disk, station.commands) == (Phase.TRIAL, disk, commands)


def test_what_is_announced_anew_while_it_loads_in_vain_is_tried_again() -> None:
    station, agent = commissioned()
    station.refusing.add(model("b").digest)
    agent.staged(notice("b", "o2"))
    agent.staged(RENEWED)
    station.refusing.clear()
    station.settle(agent)
    assert loads_of(station, "b") == 2
    assert phase_of(agent) is Phase.TRIAL


def test_what_is_announced_anew_while_it_loads_well_is_not_disturbed() -> None:
    station, agent = commissioned()
    agent.staged(notice("b", "o2"))
    agent.staged(RENEWED)
    station.settle(agent)
    assert loads_of(station, "b") == 1
    assert phase_of(agent) is Phase.TRIAL


def test_a_refusal_that_the_disk_does_not_take_is_final_for_its_announcement_all_the_same() -> None:
    station, agent = commissioned()
    station.refusing.add(model("b").digest)
    station.disk_is_full = True
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    assert loads_of(station, "b") == 1
    assert station.disk.refused is None


def test_a_refusal_is_named_to_the_stager_as_soon_as_the_disk_takes_it() -> None:
    station, agent = commissioned()
    station.refusing.add(model("b").digest)
    station.disk_is_full = True
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    station.disk_is_full = False
    station.settle(agent)
    assert station.disk.refused is not None
    assert station.disk.refused.digest == model("b").digest
    generation = station.disk.generation
    station.settle(agent)
    assert station.disk.generation == generation


def test_a_new_order_waits_while_a_trial_runs_and_only_the_newest_is_kept() -> None:
    station, agent = on_trial()
    agent.staged(notice("c", "o3"))
    agent.staged(notice("d", "o4"))
    station.settle(agent)
    assert agent.candidate == slot("b", "o2")

    for _ in range(SETTINGS.trial_parts):
        station.part(agent)
    station.settle(agent)
    assert agent.candidate == slot("d", "o4")


def test_an_agent_that_restarts_goes_on_with_the_trial() -> None:
    station, _ = on_trial()
    agent = station.agent()
    assert report_of(agent).phase is InspectionPhase.STARTING
    station.settle(agent)

    assert phase_of(agent) is Phase.TRIAL
    assert station.live == model("b").digest


def test_a_judge_that_restarts_costs_one_attempt_and_the_second_time_the_trial() -> None:
    station, agent = on_trial()
    station.restart_judge()
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL
    assert station.disk.trial is not None
    assert station.disk.trial.attempts == 2

    station.restart_judge()
    station.settle(agent)
    assert phase_of(agent) is Phase.IDLE
    assert station.live == model("a").digest
    assert station.audits[-1].reason == "INFERENCE_FAILURE"


def test_a_power_cut_in_a_trial_boots_last_known_good_and_retries_once() -> None:
    station, _ = on_trial()
    station.restart_judge()
    agent = station.agent()
    assert station.live == model("a").digest
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL

    station.restart_judge()
    agent = station.agent()
    station.settle(agent)
    assert station.live == model("a").digest
    assert station.disk.blocked[-1].order == "o2"


def test_a_full_disk_stops_the_swap_not_the_line() -> None:
    station, agent = commissioned()
    station.disk_is_full = True
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    assert station.live == model("a").digest
    assert agent.error is not None
    assert agent.error.reason == "STATE_WRITE"

    station.disk_is_full = False
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL
    assert agent.error is None


def test_a_full_disk_delays_the_confirmation() -> None:
    station, agent = on_trial()
    station.disk_is_full = True
    for _ in range(SETTINGS.trial_parts):
        station.part(agent)
    station.settle(agent)
    assert station.disk.last_known_good == slot("a", "o1")
    assert phase_of(agent) is Phase.TRIAL

    station.disk_is_full = False
    station.settle(agent)
    assert station.disk.last_known_good == slot("b", "o2")


def test_a_full_disk_does_not_keep_a_bad_model_on_the_line() -> None:
    station, agent = on_trial()
    station.disk_is_full = True
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
    agent.staged(notice("c", "o3"))
    station.settle(agent)
    assert station.live == model("a").digest
    assert station.disk.trial is not None
    assert not station.audits
    assert agent.candidate is None, "no new order before the rollback is durable"

    station.disk_is_full = False
    station.settle(agent)
    assert [each.order for each in station.disk.blocked] == ["o2"]
    assert [each.order for each in station.audits] == ["o2"]
    assert agent.candidate == slot("c", "o3")


def test_a_gentler_policy_waits_until_the_line_is_disabled() -> None:
    station, agent = commissioned()
    agent.staged(notice("b", "o2", activation="changeover"))
    station.settle(agent)
    assert phase_of(agent) is Phase.WAITING, "loaded beside the line, no more"
    assert station.live == model("a").digest
    assert agent.error is not None
    assert agent.error.reason == "WAITING"

    station.is_enabled = False
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL
    assert agent.error is None


def test_a_stager_of_another_contract_is_not_followed() -> None:
    station, agent = commissioned()
    agent.staged(notice("b", "o2", contract="2.0"))
    station.settle(agent)

    assert phase_of(agent) is Phase.IDLE
    assert agent.error is not None
    assert agent.error.reason == "CONTRACT"


def test_parts_that_say_nothing_about_the_model_do_not_count() -> None:
    station, agent = on_trial()
    for reason in (Reason.NO_FRAME, Reason.FRAME_MISMATCH, Reason.SKIPPED, Reason.NOT_READY):
        for _ in range(20):
            station.part(agent, Verdict.NO_DECISION, reason)

    assert phase_of(agent) is Phase.TRIAL
    assert agent.watch is not None
    assert agent.watch.parts == 0


def test_the_baseline_is_saved_at_a_low_rate() -> None:
    station, agent = commissioned()
    generation = station.disk.generation
    for _ in range(25):
        station.part(agent)
    agent.tick()
    assert station.disk.generation == generation

    station.now_ns += 61_000_000_000
    agent.tick()
    assert station.disk.baseline.parts == 25
    assert station.disk.generation == generation + 1


def test_without_a_way_back_the_station_says_so_and_takes_the_next_order() -> None:
    station, agent = on_trial()
    station.loaded[model("a").digest] = RunnerState.REFUSED
    station.refusing.add(model("a").digest)
    agent.judge_status(station.status())
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
    station.settle(agent)
    assert agent.error is not None
    assert agent.error.reason == "NO_WAY_BACK"

    agent.staged(notice("c", "o3"))
    station.settle(agent)
    assert station.live == model("c").digest


def test_a_live_candidate_that_is_refused_goes_back() -> None:
    station, agent = on_trial()
    station.refusing.add(model("b").digest)
    station.loaded[model("b").digest] = RunnerState.REFUSED
    station.settle(agent)

    assert station.live == model("a").digest
    assert [each.reason for each in station.audits] == ["INFERENCE_FAILURE"]
    assert phase_of(agent) is Phase.IDLE


@pytest.mark.parametrize("state", [RunnerState.LOADING, RunnerState.WAITING])
def test_a_live_candidate_that_does_not_come_up_again_goes_back(state: RunnerState) -> None:
    station, agent = on_trial()
    station.loaded[model("b").digest] = state
    for _ in range(5):
        station.settle(agent, 1)
        station.now_ns += SECOND
    assert phase_of(agent) is Phase.TRIAL, "a runner may be replaced"

    station.now_ns += SECOND
    station.settle(agent)
    assert station.live == model("a").digest
    assert station.audits[-1].reason == "INFERENCE_FAILURE"


def test_a_live_candidate_that_keeps_dying_goes_back() -> None:
    station, agent = on_trial()
    station.deaths[model("b").digest] = 3
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL

    station.deaths[model("b").digest] = 4
    station.settle(agent)
    assert station.live == model("a").digest
    assert station.audits[-1].reason == "INFERENCE_FAILURE"


def test_a_first_model_that_is_refused_after_a_judge_restart_makes_room_for_the_next() -> None:
    station = Station()
    agent = station.agent()
    agent.staged(notice("a", "o1"))
    agent.judge_status(station.status())
    station.is_deaf_to_swaps = True
    agent.judge_status(station.status())
    assert station.disk.trial is not None

    station.restart_judge()
    station.is_deaf_to_swaps = False
    station.refusing.add(model("a").digest)
    station.settle(agent)
    assert phase_of(agent) is Phase.IDLE
    assert not station.loaded, "the refused candidate is dropped"
    assert [each.digest for each in station.disk.blocked] == [model("a").digest]
    assert report_of(agent).phase is InspectionPhase.ROLLED_BACK
    assert agent.error is not None
    assert agent.error.reason == "NO_WAY_BACK"

    agent.staged(notice("c", "o9"))
    station.settle(agent)
    assert station.live == model("c").digest
    assert station.disk.last_known_good == slot("c", "o9")


@pytest.mark.parametrize("policy", ["safe_to_update", "changeover"])
def test_a_gentle_policy_waits_while_nobody_knows_whether_the_line_runs(policy: str) -> None:
    station, agent = commissioned()
    station.is_enabled = None
    agent.staged(notice("b", "o2", activation=policy))
    station.settle(agent)
    assert phase_of(agent) is Phase.WAITING

    station.is_enabled = False
    agent.judge_status(station.status())
    station.now_ns += 4 * SECOND
    assert not agent.judge.is_line_off, "what a silent judge said is old"


def test_a_gentle_policy_is_asked_again_before_trial_and_swap() -> None:
    station, agent = commissioned()
    agent.staged(notice("b", "o2", activation="changeover"))
    station.settle(agent)
    assert phase_of(agent) is Phase.WAITING
    assert station.disk.trial is None, "loaded beside the line, no more"

    station.is_enabled, station.is_deaf_to_swaps = False, True
    agent.judge_status(station.status())
    station.is_enabled, station.is_deaf_to_swaps = True, False
    station.settle(agent)
    assert phase_of(agent) is Phase.SWAPPING
    assert station.live == model("a").digest

    station.is_enabled = False
    station.settle(agent)
    assert station.live == model("b").digest


def test_the_policy_holds_for_a_second_attempt_after_a_restart() -> None:
    station, agent = commissioned()
    station.is_enabled = False
    station.settle(agent)
    agent.staged(notice("b", "o2", activation="safe_to_update"))
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL

    station.is_enabled = True
    station.restart_judge()
    agent = station.agent()
    station.settle(agent)
    assert station.live == model("a").digest
    station.is_enabled = False
    station.settle(agent)
    assert station.live == model("b").digest


def test_a_candidate_that_waits_for_its_policy_gives_way_to_a_newer_order() -> None:
    station, agent = commissioned()
    agent.staged(notice("b", "o2", activation="changeover"))
    station.settle(agent)
    agent.staged(notice("c", "o3"))
    station.settle(agent)
    assert station.live == model("c").digest
    assert model("b").digest not in station.loaded


def test_restarts_of_the_agent_do_not_make_a_bad_model_look_good() -> None:
    station, agent = on_trial()
    parts = 0
    while phase_of(agent) is Phase.TRIAL and parts < 60:
        station.part(agent, Verdict.FAIL if parts % 2 else Verdict.PASS)
        parts += 1
        if parts % 8 == 0:
            agent = station.agent()
            station.settle(agent)
    assert station.audits[-1].reason == "OVER_REJECT"
    assert parts <= 24


def test_restarts_of_the_agent_do_not_hide_a_model_that_fails_each_time() -> None:
    station, agent = on_trial()
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
        if phase_of(agent) is Phase.TRIAL:
            agent = station.agent()
            station.settle(agent)
    assert station.audits[-1].reason == "INFERENCE_FAILURE"


def test_a_station_that_forgot_its_models_adopts_what_judges() -> None:
    station = Station(disk=FORGOTTEN)
    put_live(station, "a")
    agent = station.agent()
    agent.staged(notice("b", "o2"))
    station.settle(agent)

    assert station.disk.last_known_good == slot("a", "recovered")
    assert phase_of(agent) is Phase.TRIAL, "no short way to trust"
    for _ in range(30):
        if phase_of(agent) is Phase.TRIAL:
            station.part(agent, Verdict.FAIL)
    station.settle(agent)
    assert station.live == model("a").digest


def test_a_station_that_forgot_its_models_confirms_none_without_a_trial() -> None:
    station = Station(disk=FORGOTTEN)
    agent = station.agent()
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL
    agent = station.agent()
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL, "a restart is no short way either"

    for _ in range(30):
        if phase_of(agent) is Phase.TRIAL:
            station.part(agent, Verdict.FAIL)
    station.commands.clear()
    station.settle(agent)
    assert station.disk.last_known_good is None
    assert [each.digest for each in station.disk.blocked] == [model("b").digest]
    assert station.live is None, "better no model than the one that was sent back"
    assert report_of(agent).phase is InspectionPhase.ROLLED_BACK
    station.commands.clear()
    station.settle(agent)
    assert station.commands == [], "once is enough"

    agent.staged(notice("c", "o3"))
    station.settle(agent)
    for _ in range(SETTINGS.trial_parts):
        station.part(agent)
    assert station.disk.last_known_good == slot("c", "o3")
    assert not station.disk.has_forgotten


def test_a_candidate_that_was_just_dropped_is_loaded_anew_and_loses_no_attempt() -> None:
    station, agent = commissioned()
    agent.staged(notice("b", "o2", activation="changeover"))
    station.settle(agent)
    assert phase_of(agent) is Phase.WAITING
    station.commands.clear()
    agent.staged(notice("b", "o3"))
    agent.judge_status(station.status())
    sent = [type(command) for command in station.commands]
    assert Swap not in sent[: sent.index(Load)], "what is being dropped cannot be swapped to"
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL
    assert station.disk.trial is not None
    assert (station.disk.trial.attempts, station.disk.trial.candidate.order) == (1, "o3")


def test_a_blocked_digest_needs_an_order_that_was_not_seen_since() -> None:
    station, agent = commissioned()
    for letter, order, is_good in (("b", "o2", False), ("c", "o3", True), ("d", "o4", True)):
        agent.staged(notice(letter, order))
        station.settle(agent)
        for _ in range(SETTINGS.trial_parts):
            if phase_of(agent) is Phase.TRIAL:
                station.part(agent, Verdict.PASS if is_good else Verdict.FAIL)
        station.settle(agent)
    agent.staged(notice("b", "o3"))
    station.settle(agent)
    assert agent.error is not None
    assert agent.error.reason == "BLOCKED"
    agent.staged(notice("b", "o5"))
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL


def test_loading_makes_room_among_the_judges_models() -> None:
    station, agent = commissioned()
    agent.staged(notice("b", "o2"))
    station.loaded[model("c").digest] = RunnerState.READY
    agent.judge_status(station.status())
    assert model("c").digest not in station.loaded
    assert model("a").digest in station.loaded


def test_live_is_said_only_while_something_judges() -> None:
    station, agent = commissioned()
    station.settle(agent)
    station.is_ready, station.reason = False, "no camera: refused"
    station.settle(agent)
    assert report_of(agent).phase is InspectionPhase.NOT_READY
    assert agent.error is None, "a short gap is no fault"

    station.now_ns += 4 * SECOND
    station.settle(agent)
    assert agent.error is not None
    assert (agent.error.reason, agent.error.message) == ("NOT_READY", "no camera: refused")

    station.is_ready = True
    station.loaded[model("a").digest] = RunnerState.LOADING
    station.settle(agent)
    assert report_of(agent).phase is InspectionPhase.NOT_READY

    station.loaded[model("a").digest] = RunnerState.READY
    station.settle(agent)
    assert report_of(agent).phase is InspectionPhase.LIVE
    assert agent.error is None


def test_a_withdrawn_order_takes_its_error_along() -> None:
    station, agent = commissioned()
    station.refusing.add(model("b").digest)
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    assert agent.error is not None

    agent.staged(notice("a", "o1"))
    station.settle(agent)
    assert report_of(agent).lastError is None


def test_the_figures_of_a_trial_end_with_it() -> None:
    station, agent = on_trial()
    for _ in range(SETTINGS.trial_parts):
        station.part(agent)
    station.settle(agent)
    assert report_of(agent).guardrail is None

    agent.staged(notice("c", "o3"))
    assert report_of(agent).guardrail is None
