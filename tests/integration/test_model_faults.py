"""Models that pass every check and go wrong on the line: each is sent back, typed, and soon."""

from pathlib import Path

import pytest
from tests.integration.judge_station import flat
from tests.integration.test_judge_and_agent import ModuleStation, module_station
from tests.integration.tiny_bundles import Tiny, write_bundle

from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.standin.faulty_models.bundles import write_faulty
from taktgate.standin.faulty_models.graphs import Harm

SEEN = 33
"""A grey that no golden image has; a dark part, which a sound model passes."""
REASONS = {
    Harm.NAN: ("INFERENCE_FAILURE", {Reason.NON_FINITE}),
    Harm.HANG: ("INFERENCE_FAILURE", {Reason.TIMEOUT}),
    Harm.CRASH: ("INFERENCE_FAILURE", {Reason.MODEL_ERROR}),
    Harm.SLOW: ("LATENCY", {Reason.NONE, Reason.TIMEOUT}),
}
DEADLINES_MS = {Harm.HANG: 400}
"""Each of its parts takes that long."""
WINDOW_MS = 150
GUARDRAILS = "shadow_parts: 0\nlatency: {budget_ms: 50, probe_limit_ms: null}\n"
SLOW_MS = 150.0
"""Far beyond the budget, and far from the deadline: nobody knows how busy the machine is."""
DECIDES_AFTER = {Harm.NAN: 3, Harm.HANG: 3, Harm.CRASH: 3, Harm.SLOW: 8}
"""Parts; slow on a busy machine: some of its answers do not come at all, and count for another."""
MOST_PARTS_AFTER_DECISION = 2


def order(station: ModuleStation, sample: Path, harm: Harm) -> str:
    """Let the stager announce *sample* spoilt by *harm*; return its digest."""
    bundle = station.folder / f"{harm}.bundle"
    write_faulty(sample, harm, version=f"1.1.0-{harm}", delay_ms=SLOW_MS, to=bundle)
    model = station.install(bundle, f"slot-{harm}")
    station.announce(model, f"slot-{harm}", f"order-{harm}")
    station.wait(lambda: station.heard.beats[-1].model == model)
    return model.digest


def until_sent_back(station: ModuleStation, digest: str) -> list[VerdictEnvelope]:
    """Let parts come until another model judges; return those that were *digest*'s."""
    its: list[VerdictEnvelope] = []
    for _ in range(100):
        verdict = station.judged(flat(SEEN))
        if verdict.model is not None and verdict.model.digest == digest:
            its.append(verdict)
        elif verdict.verdict is Verdict.PASS:
            return its
    raise AssertionError(f"{digest} still judges: {station.log[-2000:]}")


@pytest.fixture(scope="module")
def station_log(tmp_path_factory: pytest.TempPathFactory) -> dict[Harm, list[VerdictEnvelope]]:
    """What each of the models did to its parts, on one station, one after the other."""
    folder = tmp_path_factory.mktemp("station")
    found: dict[Harm, list[VerdictEnvelope]] = {}
    with module_station(folder, GUARDRAILS, window_ms=WINDOW_MS) as station:
        sample = write_bundle(folder, Tiny(), station.key)
        good = station.install(sample, "good")
        station.announce(good, "good", "o1")
        station.start_module()
        station.wait(lambda: station.is_ready and station.good == good)
        for harm in REASONS:
            station.deadline_ms = DEADLINES_MS.get(harm, 1500)
            found[harm] = until_sent_back(station, order(station, sample, harm))
            station.wait(lambda: station.heard.beats[-1].model == good)
        station.wait(lambda: len(station.blocked) == len(REASONS))
        for harm, (name, why) in zip(REASONS, station.blocked, strict=True):
            silent = Reason.TIMEOUT in {part.reason for part in found[harm]}
            # Too slow for a busy machine: no answer at all is the other guardrail's.
            expected = "INFERENCE_FAILURE" if silent else REASONS[harm][0]
            assert (name, why) in {(f"order-{harm}", expected), (f"order-{harm}", REASONS[harm][0])}
        assert station.good == good
    return found


@pytest.mark.parametrize("harm", list(REASONS))
def test_a_harmful_model_is_sent_back_within_a_few_parts(
    station_log: dict[Harm, list[VerdictEnvelope]], harm: Harm
) -> None:
    parts = station_log[harm]

    assert {part.reason for part in parts} <= REASONS[harm][1]
    assert 3 <= len(parts) <= DECIDES_AFTER[harm] + MOST_PARTS_AFTER_DECISION


@pytest.mark.parametrize("harm", [Harm.NAN, Harm.HANG, Harm.CRASH])
def test_no_part_passes_that_the_model_did_not_judge(
    station_log: dict[Harm, list[VerdictEnvelope]], harm: Harm
) -> None:
    assert not [part for part in station_log[harm] if part.verdict is Verdict.PASS]
