"""From a trained network to a signed bundle: operating point, golden images, claims, latency.

Importing this file loads torch. The threshold is chosen on the tuning images, the claims are
measured on the line's images, through the same preprocessing and runtime as on a station.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from taktgate.bundle.archive import pack
from taktgate.bundle.claims import Counts
from taktgate.bundle.manifest import (
    DefectClass,
    GoldenClaims,
    GoldenItem,
    GoldenSet,
    LatencyClaims,
    Manifest,
    ModelInput,
    ModelOutputs,
    Toolchain,
    UncertainBand,
    digest_of,
    listed,
)
from taktgate.bundle.preprocessing import preprocess
from taktgate.bundle.signing import SigningKey
from taktgate.gates import sample_metrics as metrics
from taktgate.gates.sample_images import INPUT_SIZE, SPEC, Image, Images
from taktgate.gates.sample_network import IR_VERSION, OPSET, DefectNet, export
from taktgate.gates.training_stack import load

THRESHOLD: Final = 0.5
BAND: Final = UncertainBand(low=0.45, high=0.55)
GOLDEN_EACH: Final = 5
GOLDEN_CLEAREST_SHARE: Final = 0.06
GOLDEN_TOLERANCE: Final = 0.02
LATENCY_RUNS: Final = 500


class TooFewImagesError(ValueError):
    """A set of images is too small to make a bundle from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a model is called and where its images come from.

    Attributes:
        golden_file: Id and file content of a tuning image, for the golden set.
    """

    name: str
    licence: str
    dataset: str
    dataset_licence: str
    split_method: str
    classes: tuple[str, ...]
    golden_source: Literal["bundle", "elpv-dataset"]
    golden_file: Callable[[int], tuple[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version to be packed.

    Attributes:
        false_reject_rate: The share of good tuning images that the operating point may reject.
        over_rejects: Takes that share as the aim: a bad model for trials of the way back.
        machine: What the latency is measured on, in words.
    """

    version: str
    device_class: str
    false_reject_rate: float
    over_rejects: bool = False
    machine: str
    key: SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A bundle that was written."""

    path: Path
    digest: str
    manifest: Manifest
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    scores: NDArray[np.float32]
    is_defective: NDArray[np.bool_]


def release(
    net: DefectNet,
    origin: Origin,
    its: Release,
    *,
    tune: Images,
    line: Images,
    out: Path,
) -> Packed:
    """Write `<name>-<version>.bundle` into *out* and return what it holds.

    The operating point comes from *tune*, the claims from *line*: the network has seen neither.

    Raises:
        TooFewImagesError: *tune* has too few images of a kind for a golden set.
    """
    raw = _exported(net, [0.0] * len(origin.classes), out)
    tuned = _score(raw, tune)
    _require_enough(tuned)
    offset = _operating_point(its, tuned) + _band_logit()
    model = _exported(net, [offset] * len(origin.classes), out)
    golden, files = _golden(origin, tuned, model, tune)
    seen = _score(model, line)
    scores = seen.scores.astype(np.float64)
    counts = metrics.count(scores, seen.is_defective, passes_below=BAND.low)
    files = {"model.onnx": model, **files}
    manifest = _manifest(origin, its, files, golden, counts, _latency(model, its.machine))
    path = out / f"{origin.name}-{its.version}.bundle"
    digest = pack(manifest=manifest, files=files, key=its.key, to=path)
    return Packed(path=path, digest=digest, manifest=manifest, counts=counts)


def _require_enough(tuned: _Scored) -> None:
    defective = int(tuned.is_defective.sum())
    if min(defective, len(tuned.is_defective) - defective) < GOLDEN_EACH:
        raise TooFewImagesError(
            f"tuning needs {GOLDEN_EACH} good and {GOLDEN_EACH} defective images,"
            f" got {len(tuned.is_defective) - defective} and {defective}"
        )


def _exported(net: DefectNet, offsets: list[float], out: Path) -> bytes:
    with tempfile.TemporaryDirectory(dir=out) as folder:
        model = Path(folder) / "model.onnx"
        export(net, offsets, model)
        return model.read_bytes()


def _operating_point(its: Release, tuned: _Scored) -> float:
    choose = metrics.rejecting_logit if its.over_rejects else metrics.operating_logit
    return choose(
        metrics.logit(tuned.scores), tuned.is_defective, false_reject_rate=its.false_reject_rate
    )


def _band_logit() -> float:
    """Return what to add so that the operating point is the band's lower end: the pass line."""
    return float(np.log((1.0 - BAND.low) / BAND.low))


def _score(model: bytes, images: Images) -> _Scored:
    session = _session(model)
    scores = np.empty(len(images), dtype=np.float32)
    is_defective = np.empty(len(images), dtype=np.bool_)
    for index in range(len(images)):
        image = images.item(index)
        scores[index] = _run(session, image)
        is_defective[index] = image.label == "defective"
    return _Scored(scores=scores, is_defective=is_defective)


def _run(session: Any, image: Image) -> float:
    tensor = preprocess(image.pixels, SPEC)
    return float(session.run(["scores"], {"image": tensor})[0].item())


def _session(model: bytes) -> Any:
    runtime = load("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _golden(
    origin: Origin, tuned: _Scored, model: bytes, tune: Images
) -> tuple[GoldenSet, dict[str, bytes]]:
    """Return clear-cut images of both kinds with the scores of *model*, and the files to pack."""
    session, order = _session(model), np.argsort(tuned.scores, kind="stable")
    clear_ok = [int(i) for i in order if not tuned.is_defective[i]]
    clear_defective = [int(i) for i in order[::-1] if tuned.is_defective[i]]
    items, files = [], {}
    for index in _spread(clear_ok) + _spread(clear_defective):
        name, data = origin.golden_file(index)
        files[name] = data
        items.append(
            GoldenItem(
                id=name,
                sha256=digest_of(data),
                label="defective" if tuned.is_defective[index] else "ok",
                score=round(_run(session, tune.item(index)), 6),
                tolerance=GOLDEN_TOLERANCE,
            )
        )
    golden = GoldenSet(source=origin.golden_source, items=tuple(items))
    return golden, files if origin.golden_source == "bundle" else {}


def _spread(clearest_first: Sequence[int]) -> list[int]:
    """Return a few of the clearest, evenly spread, so that they are not all the same picture."""
    among = max(GOLDEN_EACH, int(len(clearest_first) * GOLDEN_CLEAREST_SHARE))
    places = np.linspace(0, min(among, len(clearest_first)) - 1, GOLDEN_EACH)
    return [clearest_first[int(place)] for place in places]


def _latency(model: bytes, machine: str) -> LatencyClaims:
    session = _session(model)
    frame = np.zeros((1, 3, INPUT_SIZE, INPUT_SIZE), dtype=np.uint8)
    times_ms = []
    for _ in range(LATENCY_RUNS + 10):
        start = time.perf_counter()
        session.run(None, {"image": frame})
        times_ms.append((time.perf_counter() - start) * 1e3)
    p50, p95, p99 = (round(float(x), 3) for x in np.percentile(times_ms[10:], (50, 95, 99)))
    return LatencyClaims(p50_ms=p50, p95_ms=p95, p99_ms=p99, n=LATENCY_RUNS, machine=machine)


def _manifest(
    origin: Origin,
    its: Release,
    files: dict[str, bytes],
    golden: GoldenSet,
    counts: Counts,
    latency: LatencyClaims,
) -> Manifest:
    return Manifest(
        schema="1",
        name=origin.name,
        version=its.version,
        licence=origin.licence,
        source_digest=digest_of(files["model.onnx"]),
        device_class=its.device_class,
        toolchain=Toolchain(
            exporter="torch.onnx",
            torch=str(load("torch").__version__),
            onnx=str(load("onnx").__version__),
        ),
        opset=OPSET,
        ir_version=IR_VERSION,
        input=ModelInput(name="image", dtype="uint8", shape=(1, 3, INPUT_SIZE, INPUT_SIZE)),
        preprocessing=SPEC,
        outputs=ModelOutputs(score="scores", class_scores="class_scores"),
        threshold=THRESHOLD,
        classes=tuple(DefectClass(name=name, threshold=THRESHOLD) for name in origin.classes),
        uncertain_band=BAND,
        golden=golden,
        golden_claims=_claims(origin, counts),
        latency_claims=latency,
        hil_report_digest=None,
        files=listed(files),
    )


def _claims(origin: Origin, counts: Counts) -> GoldenClaims:
    return counts.claims(
        dataset=origin.dataset,
        dataset_licence=origin.dataset_licence,
        split_method=origin.split_method,
    )
