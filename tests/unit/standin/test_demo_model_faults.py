from dataclasses import replace

import pytest

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Rollback
from taktgate.contracts.model import ModelRef
from taktgate.contracts.twins import InspectionPhase, InspectionReported
from taktgate.contracts.verdict import Verdict
from taktgate.inspection.guardrails.breach import Guardrail
from taktgate.standin.demo.model_fault_kinds import MODEL_FAULTS
from taktgate.standin.demo.model_run import NEW_ORDER, Way, objections, way_of
from taktgate.standin.demo.tally import Part, Tally
from taktgate.standin.faulty_models.graphs import Harm

GOOD, BAD = "1.0.0", "1.3.0-nan"
ROLLBACK = Rollback(
    digest="sha256:" + "b" * 64,
    order=NEW_ORDER,
    reason="INFERENCE_FAILURE",
    figures={"parts": 3.0},
    message="3 parts in a row without a usable answer",
    at="2026-01-01T00:00:00Z",
)
WAY = Way(version=BAD, rollback=ROLLBACK, live=GOOD, judged=3, unjudged=0, passed=0)


def report(*, live: str = GOOD, rollback: Rollback | None = ROLLBACK) -> InspectionReported:
    return InspectionReported(
        contract=CONTRACT_VERSION,
        code="1",
        phase=InspectionPhase.ROLLED_BACK,
        live=ModelRef(name="weld", version=live, digest="sha256:" + "a" * 64),
        lastRollback=rollback,
    )


def tally(versions: str) -> Tally:
    """Return the parts of a run: g judged by the good model, b by the bad one, - by none."""
    found = Tally()
    for trigger_id, letter in enumerate(versions, start=1):
        found.parts.append(
            Part(
                trigger_id=trigger_id,
                trigger_ns=trigger_id,
                verdict=Verdict.PASS if letter == "g" else Verdict.NO_DECISION,
                reason="NONE",
                gate="accept" if letter == "g" else "reject",
                why="",
                ack_ms=10.0,
                second_verdict=False,
                unsafe=False,
                unexplained=False,
            )
        )
        if letter != "-":
            found.models[trigger_id] = {"version": GOOD if letter == "g" else BAD}
    return found


def test_parts_are_counted_by_the_model_that_had_them() -> None:
    way = way_of(tally("-ggb-b--bbgg-"), report(), BAD)

    assert (way.judged, way.unjudged, way.passed) == (4, 3, 0)
    assert way.after_decision == 1


def test_a_rollback_of_another_order_is_none_of_this_model() -> None:
    way = way_of(tally("gg"), report(rollback=replace(ROLLBACK, order="order-0")), BAD)

    assert way.rollback is None
    assert way.after_decision is None


def test_a_safe_typed_way_back_has_no_objection() -> None:
    assert objections(WAY, expected="INFERENCE_FAILURE", first=GOOD) == []


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (replace(WAY, rollback=None), "reports no rollback"),
        (replace(WAY, rollback=replace(ROLLBACK, reason="LATENCY")), "sent back for LATENCY"),
        (replace(WAY, live=BAD), "runs 1.3.0-nan"),
        (replace(WAY, judged=6), "3 parts were judged"),
    ],
)
def test_what_is_not_as_it_should_be_is_named(way: Way, words: str) -> None:
    [objection] = objections(way, expected="INFERENCE_FAILURE", first=GOOD)

    assert words in objection


def test_every_kind_expects_a_guardrail_and_every_harm_has_a_kind() -> None:
    for kind in MODEL_FAULTS.values():
        assert Guardrail(kind.on_trial)
        assert Guardrail(kind.in_shadow)
    assert {kind.harm for kind in MODEL_FAULTS.values()} == {*Harm, None}
