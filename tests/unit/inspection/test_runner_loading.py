"""What a runner loads and what it refuses, each bad bundle by a reason of its own."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.tiny_bundles import Tiny
from tests.unit.inspection.runner_orders import assignment

from taktgate.inspection.control import Assignment
from taktgate.inspection.errors import ModelRefusedError
from taktgate.inspection.runner.loading import load
from taktgate.inspection.runner.onnx_session import RUNTIME_VERSION


def at_once(_: int) -> None:
    """Every moment is a gap."""


def refusal(order: Assignment) -> ModelRefusedError:
    with pytest.raises(ModelRefusedError) as refusal:
        load(order, at_once)
    return refusal.value


@pytest.mark.parametrize(
    ("tiny", "reason", "message"),
    [
        pytest.param(Tiny(cut_bytes=60), "LOAD", "protobuf parsing failed", id="truncated"),
        pytest.param(Tiny(opset=99), "LOAD", "Opset 99", id="unknown opset"),
        pytest.param(Tiny(operator="Sigmoyd"), "LOAD", "Sigmoyd", id="unknown operator"),
        pytest.param(Tiny(side=32), "INPUT", "[1, 3, 64, 64]", id="wrong input shape"),
        pytest.param(Tiny(classes=3), "OUTPUTS", "[1, 2]", id="wrong output shape"),
        pytest.param(Tiny(score_output="score"), "OUTPUTS", "missing", id="renamed output"),
        pytest.param(Tiny(are_outputs_swapped=True), "OUTPUTS", "[1, 1]", id="swapped outputs"),
        pytest.param(Tiny(weight_is_nan=True), "NON_FINITE", "not finite", id="NaN weights"),
        pytest.param(Tiny(flipped_exponent=True), "GOLDEN", "golden/", id="flipped bit, signed"),
        pytest.param(Tiny(golden_shift=0.1), "GOLDEN", "golden/", id="golden scores off"),
        pytest.param(
            Tiny(compiled_by="1.17.3"), "INCOMPATIBLE", "compilation.ort", id="other compiler"
        ),
        pytest.param(Tiny(device_class="jetson"), "INCOMPATIBLE", "jetson", id="other device"),
    ],
)
def test_a_bad_model_is_refused_by_a_reason_of_its_own(
    tmp_path: Path, tiny: Tiny, reason: str, message: str
) -> None:
    error = refusal(assignment(tmp_path, tiny, is_proven=False))

    assert error.reason == reason
    assert message in error.message


@pytest.mark.parametrize("is_proven", [True, False])
def test_a_changed_runtime_refuses_at_boot_what_another_one_compiled(
    tmp_path: Path, is_proven: bool
) -> None:
    mine = assignment(tmp_path, Tiny(compiled_by=RUNTIME_VERSION), is_proven=is_proven)
    load(mine, at_once)
    error = refusal(
        assignment(tmp_path, Tiny(version="2.0.0", compiled_by="1.31.0"), is_proven=is_proven)
    )
    assert error.reason == "INCOMPATIBLE"


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda data: data[:-1], id="truncated"),
        pytest.param(lambda data: data[:-1] + bytes([data[-1] ^ 1]), id="one bit flipped"),
        pytest.param(lambda data: data + b"\0" * (1 << 20), id="oversize"),
    ],
)
def test_a_model_file_that_is_not_the_signed_one_is_never_given_to_the_runtime(
    tmp_path: Path, tamper: Callable[[bytes], bytes]
) -> None:
    order = assignment(tmp_path, Tiny())
    model = Path(order.directory) / "model.onnx"
    model.write_bytes(tamper(model.read_bytes()))

    assert refusal(order).reason == "DIGEST"


def test_a_provider_that_this_build_lacks_is_refused_and_not_replaced(tmp_path: Path) -> None:
    order = replace(assignment(tmp_path, Tiny()), provider="cuda")

    assert refusal(order).reason == "PROVIDER"


def test_a_candidate_runs_each_golden_image_and_is_timed_in_gaps_that_it_asks_for(
    tmp_path: Path,
) -> None:
    asked: list[int] = []
    runner = load(assignment(tmp_path, Tiny(), is_proven=False), asked.append)

    assert asked == list(range(20, 0, -1))
    assert (runner.ready.golden_images, runner.ready.probe_runs) == (10, 20)
    assert runner.ready.probe_p50_ms is not None
    assert runner.ready.probe_p99_ms is not None
    assert 0 < runner.ready.probe_p50_ms <= runner.ready.probe_p99_ms


def test_a_model_that_is_slower_than_its_limit_here_is_refused_with_figures(
    tmp_path: Path,
) -> None:
    order = assignment(tmp_path, Tiny(), is_proven=False)
    error = refusal(replace(order, probe_limit_ms=0.001))

    assert error.reason == "TOO_SLOW"
    assert "20 runs" in error.message
    assert "p99" in error.message


def test_a_limit_that_is_kept_refuses_nothing(tmp_path: Path) -> None:
    order = assignment(tmp_path, Tiny(), is_proven=False)
    runner = load(replace(order, probe_limit_ms=5000.0), at_once)

    assert runner.ready.probe_runs == 20
