"""What the cloud is told fits into a twin, whatever a bundle and a station have come to."""

from dataclasses import replace

import pytest
from tests.unit.inspection.models_of_a_station import (
    Station,
    model,
    notice,
    opinion,
    phase_of,
    slot,
)

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation, Rollback
from taktgate.contracts.codec import adapter
from taktgate.contracts.twins import InspectionReported, TypedError
from taktgate.contracts.verdict import Verdict
from taktgate.inspection.agent.faults import Source
from taktgate.inspection.agent.phases import Phase
from taktgate.inspection.agent.report import PROPERTY, report_of
from taktgate.inspection.guardrails.settings import DisagreementSettings, GuardrailSettings
from taktgate.inspection.opinions import ShadowPair
from taktgate.standin.azure.iothub.twin_limits import check_patch, check_size

MOST_CLASSES, LONGEST = 64, 64
"""Of a bundle: bundle/manifest.py."""
CLASSES = [f"{number:02d}".ljust(LONGEST, "x") for number in range(MOST_CLASSES)]
SETTINGS = GuardrailSettings(
    shadow_parts=1000, escape_or_disagreement=DisagreementSettings(min_agreement=0.51)
)


def pair(number: int, *, live: Verdict, shadow: Verdict) -> ShadowPair:
    name = CLASSES[number]
    a, b = model("a").digest, model("b").digest
    return ShadowPair(
        judge_start_id="j",
        trigger_id=number,
        live=replace(opinion(a, live), decided_by=name),
        shadow=replace(opinion(b, shadow), decided_by=name),
    )


@pytest.fixture
def report() -> InspectionReported:
    """The longest report: every class disagrees to both sides, and once did before a rollback."""
    last = Rollback(
        digest=model("c").digest, order="o" * 128, reason="ESCAPE_OR_DISAGREEMENT",
        figures={f"{side}:{name}": 1.0 for name in CLASSES
                 for side in ("liveFailShadowPass", "livePassShadowFail")},
        message="m" * 500, at="2026-01-01T00:00:00.000+00:00",
    )  # fmt: skip
    good = slot("a", "o1")
    station = Station(
        settings=SETTINGS,
        disk=Activation(
            contract=CONTRACT_VERSION, generation=1, last_known_good=good, blocked=(last,) * 32
        ),
    )
    station.restart_judge()
    agent = station.agent()
    station.settle(agent)
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    for number in range(MOST_CLASSES):
        agent.pair(pair(number, live=Verdict.FAIL, shadow=Verdict.PASS))
        for said in ((Verdict.PASS, Verdict.FAIL), *[(Verdict.PASS, Verdict.PASS)] * 2):
            agent.pair(pair(number, live=said[0], shadow=said[1]))
    assert phase_of(agent) is Phase.SHADOW
    agent.faults.put(Source.STATE, TypedError(reason="R" * 64, message="m" * 500, order="o" * 128))
    return report_of(agent)


def test_the_longest_report_fits_into_a_twin(report: InspectionReported) -> None:
    assert len(report.guardrail or {}) > 2 * MOST_CLASSES
    document = {PROPERTY: adapter(InspectionReported).dump_python(report, mode="json")}

    check_patch(document, "reported")
    check_size(document, "reported")
