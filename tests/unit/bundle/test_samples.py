"""The sample bundles do on this machine what their manifests say."""

import importlib.util
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taktgate.bundle.archive import unpack
from taktgate.bundle.compatibility import DeviceFacts
from taktgate.bundle.golden import load_golden
from taktgate.bundle.manifest import Manifest
from taktgate.bundle.preprocessing import Pixels, preprocess
from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.verification import VerifiedBundle, verify_directory
from taktgate.standin.imagesets.opening import line_order, open_imageset

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "src/taktgate/standin/samples"
BUNDLES = sorted(SAMPLES.glob("*/*.bundle"))
OLDEST_RUNTIME = DeviceFacts(
    device_class="cpu", machine="x86_64", opset_max=20, ir_max=9, runtime_version="1.17.3"
)
HAS_ELPV = importlib.util.find_spec("elpv_dataset") is not None
SETS = [
    pytest.param("weld", "weld-seam"),
    pytest.param(
        "elpv",
        "elpv-cells",
        marks=pytest.mark.skipif(not HAS_ELPV, reason="elpv-dataset is not installed"),
    ),
]
PARTS = 120
DEFECTIVE_FRACTION = 0.1


def opened(name: str, version: str, into: Path) -> VerifiedBundle:
    directory = into / f"{name}-{version}"
    unpack(SAMPLES / name / f"{name}-{version}.bundle", directory)
    keys = TrustedKeys.load(ROOT / "config/trusted_keys")
    return verify_directory(directory, keys, OLDEST_RUNTIME)


def session_of(bundle: VerifiedBundle) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        bundle.model_path, options, providers=["CPUExecutionProvider"]
    )


def scores_of(session: Any, manifest: Manifest, pixels: Pixels) -> tuple[float, np.ndarray]:
    tensor = preprocess(pixels, manifest.preprocessing)
    outputs = [manifest.outputs.score, manifest.outputs.class_scores]
    score, classes = session.run(outputs, {manifest.input.name: tensor})
    return float(score.item()), classes


def rejects(bundle: VerifiedBundle, spec: str) -> int:
    """Return how many of the line's first parts *bundle* does not pass."""
    images, session = open_imageset(spec), session_of(bundle)
    order = line_order(images, seed=7, defective_fraction=DEFECTIVE_FRACTION)
    frames = (images.item(index).pixels for index in islice(order, PARTS))
    scores = [scores_of(session, bundle.manifest, frame)[0] for frame in frames]
    return sum(not score < bundle.manifest.uncertain_band.low for score in scores)


@pytest.mark.parametrize(("spec", "name"), SETS)
@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "1.2.0-overreject"])
def test_a_sample_passes_its_own_golden_check(
    spec: str, name: str, version: str, tmp_path: Path
) -> None:
    bundle = opened(name, version, tmp_path)
    session, manifest = session_of(bundle), bundle.manifest
    golden = load_golden(bundle)
    assert len(golden) == 10
    for image in golden:
        score, classes = scores_of(session, manifest, image.pixels)
        assert score == pytest.approx(image.score, abs=image.tolerance)
        assert (score < manifest.uncertain_band.low) == (image.label == "ok")
        assert classes.shape == (1, len(manifest.classes))
        assert float(classes.max()) == pytest.approx(score)
    assert set(open_imageset(spec).classes) == set(manifest.defect_names)


@pytest.mark.parametrize(("spec", "name"), SETS)
def test_the_over_rejecting_sample_rejects_five_times_as_many_parts(
    spec: str, name: str, tmp_path: Path
) -> None:
    good = rejects(opened(name, "1.0.0", tmp_path), spec)
    bad = rejects(opened(name, "1.2.0-overreject", tmp_path), spec)
    assert bad >= 5 * good


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.stem)
def test_a_sample_claims_what_was_counted_with_its_interval(bundle: Path, tmp_path: Path) -> None:
    name, version = bundle.parent.name, bundle.stem.removeprefix(f"{bundle.parent.name}-")
    claims = opened(name, version, tmp_path).manifest.golden_claims
    assert min(claims.n_ok, claims.n_defective) >= 100
    for claim in (claims.recall, claims.false_reject_rate, claims.precision):
        assert claim.low <= claim.value <= claim.high
        assert claim.low < claim.high


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_the_good_weld_samples_are_good(version: str, tmp_path: Path) -> None:
    claims = opened("weld-seam", version, tmp_path).manifest.golden_claims
    assert claims.recall.value >= 0.97
    assert claims.false_reject_rate.value <= 0.01
