"""The models of scripts/bench inspect are bundles that a station accepts and can tell apart."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taktgate.bundle.compatibility import CompatibilityMatrix
from taktgate.bundle.manifest import Manifest
from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.verification import verify_directory
from taktgate.inspection.runner.onnx_session import OnnxSession, SessionTerms

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))


def models() -> Any:
    return import_module("benches.inspect_bench.model")


def score_of(model: Any, grey: int) -> float:
    manifest = Manifest.parse((model.slot / "manifest.json").read_bytes())
    session = OnnxSession(str(model.onnx), manifest, SessionTerms(policy="cpu"))
    session.tensor[:] = grey
    return session.run()[0]


def test_levels_more_than_one_apart_are_told_apart_by_any_frame(tmp_path: Path) -> None:
    wanted = [models().Made(version=f"1.{n}.0", level=-3 + 1.5 * n, work=0) for n in (0, 1)]
    low, high = (models().made(tmp_path, each) for each in wanted)
    assert low.digest != high.digest
    assert score_of(low, 255) < score_of(high, 0)
    assert score_of(low, 255) == pytest.approx(wanted[0].score(1.0), abs=1e-5)


def test_a_made_bundle_passes_the_gate_before_loading(tmp_path: Path) -> None:
    made = models().made(tmp_path, models().Made(is_nan=True))
    keys = TrustedKeys.load(ROOT / "config/trusted_keys")
    matrix = CompatibilityMatrix.load(ROOT / "config/device_compatibility_matrix.yaml")
    assert verify_directory(made.slot, keys, matrix.facts("cpu")).digest == made.digest
    assert np.isnan(score_of(made, 0))


def test_the_float_twin_of_the_sample_scores_the_same_frame_the_same(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model = models().weld_seam(tmp_path)
    frame = np.random.default_rng(7).integers(0, 256, models().SHAPE, np.uint8)
    sent = {model.onnx: frame, model.float_onnx(): (frame / np.float32(255)).astype(np.float32)}
    native, twin = (
        runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        .run([model.score_output], {model.input_name: tensor})[0]
        .item()
        for file, tensor in sent.items()
    )
    assert twin == pytest.approx(native, abs=1e-5)
