"""The status board: what the agent's thread leaves on it for others."""

from pathlib import Path

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.inspection.activation_file import ActivationFiles
from taktgate.inspection.agent.activator import Activator, Surroundings
from taktgate.inspection.agent.board_figures import BoardFigures
from taktgate.inspection.control import JudgeStatus, LoadedModel, Ready, RunnerState
from taktgate.inspection.decision.rule import Lines
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.surface.board import StatusBoard

MODEL = ModelRef(name="weld", version="1.0", digest="sha256:" + "a" * 64)


def envelope(verdict: Verdict, reason: Reason, decided_ns: int) -> VerdictEnvelope:
    return VerdictEnvelope(
        contract=CONTRACT_VERSION,
        station="VIS01",
        kernel_boot_id="b",
        judge_start_id="j",
        plc_epoch=1,
        sequence=1,
        trigger_id=1,
        verdict=verdict,
        reason=reason,
        score=0.5,
        model=MODEL,
        trigger_ns=1,
        decided_ns=decided_ns,
        deadline_ns=2,
    )


def activator(folder: Path) -> Activator:
    world = Surroundings(
        memory=ActivationFiles(folder=folder),
        command=lambda _: None,
        audit=lambda _: None,
        alarm=lambda _: None,
        clock=lambda: 0,
        wall_clock=lambda: "",
    )
    empty = Activation(contract=CONTRACT_VERSION, generation=0)
    return Activator(empty, GuardrailSettings(), world)


def status(*, is_ready: bool) -> JudgeStatus:
    ready = Ready(
        model=MODEL,
        lines=Lines(classes=(), uncertain_low=0.5, uncertain_high=0.5),
        provider="CPUExecutionProvider",
        is_fallback=True,
        fingerprint="f",
        golden_images=0,
        golden_worst=0.0,
        has_full_priority=False,
    )
    held = LoadedModel(
        digest=MODEL.digest, slot="slot-a", state=RunnerState.READY, ready=ready, has_realtime=False
    )
    return JudgeStatus(
        judge_start_id="j",
        live=MODEL.digest,
        models=(held,),
        is_ready=is_ready,
        reason="" if is_ready else "no camera",
        is_enabled=True,
        counters={"late_answers": 3},
        rights={"scheduling": True, "memory": False},
    )


def test_only_a_part_decided_by_scores_is_a_good_inference(tmp_path: Path) -> None:
    board = StatusBoard()
    figures = BoardFigures(board)
    figures.verdict(envelope(Verdict.FAIL, Reason.NONE, 100))
    figures.verdict(envelope(Verdict.NO_DECISION, Reason.TIMEOUT, 200))
    figures.verdict(envelope(Verdict.NO_DECISION, Reason.UNCERTAIN, 300))
    figures.state(activator(tmp_path), {})
    facts = board.facts
    assert (facts.last_good_ns, facts.parts, facts.undecided) == (100, 3, 2)
    assert facts.deadline_misses == 1


def test_board_shows_what_the_judge_says_it_runs(tmp_path: Path) -> None:
    board, agent = StatusBoard(), activator(tmp_path)
    figures = BoardFigures(board)
    agent.judge_status(status(is_ready=True))
    figures.state(agent, {"inbox_full": 2})
    live = board.facts.live
    assert live is not None
    assert (live.label, live.slot, live.is_fallback) == ("weld-1.0", "slot-a", True)
    assert dict(board.facts.counters) == {"late_answers": 3, "agent_inbox_full": 2}


def test_rights_that_were_not_granted_are_named(tmp_path: Path) -> None:
    board, agent = StatusBoard(), activator(tmp_path)
    figures = BoardFigures(board)
    agent.judge_status(status(is_ready=True))
    figures.state(agent, {})
    assert board.facts.missing_rights == (
        "judge: memory", "runner: scheduling", "runner: its threads stay at idle priority",
    )  # fmt: skip


def test_surface_waits_until_the_station_could_judge(tmp_path: Path) -> None:
    board, agent = StatusBoard(), activator(tmp_path)
    figures = BoardFigures(board)
    for is_ready in (False, True):
        agent.judge_status(status(is_ready=is_ready))
        figures.state(agent, {})
        assert board.has_judged.is_set() is is_ready


def test_facts_that_a_reader_holds_do_not_change_under_it(tmp_path: Path) -> None:
    board, agent = StatusBoard(), activator(tmp_path)
    figures = BoardFigures(board)
    figures.state(agent, {})
    held, before = board.facts, repr(board.facts)
    figures.verdict(envelope(Verdict.PASS, Reason.NONE, 1))
    figures.state(agent, {})
    assert (repr(held), board.facts.parts) == (before, 1)
