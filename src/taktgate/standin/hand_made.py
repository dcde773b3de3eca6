"""Signed bundles around a hand-made model: flat grey golden images, and no claims unless given."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from PIL import Image

from taktgate.bundle import layout
from taktgate.bundle.archive import pack
from taktgate.bundle.manifest import (
    PORTABLE,
    Artifact,
    DefectClass,
    GoldenClaims,
    GoldenItem,
    GoldenSet,
    Interval,
    LatencyClaims,
    Manifest,
    ModelInput,
    ModelOutputs,
    Preprocessing,
    Toolchain,
    UncertainBand,
    digest_of,
    listed,
)
from taktgate.bundle.signing import SigningKey

THRESHOLD: Final = 0.5
TOLERANCE: Final = 0.02
_UNKNOWN: Final = Interval(value=0.0, low=0.0, high=1.0)
NO_CLAIMS: Final = GoldenClaims(
    dataset="flat grey",
    dataset_licence="MIT",
    split_method="none",
    interval_method="none",
    n_ok=0,
    n_defective=0,
    recall=_UNKNOWN,
    false_reject_rate=_UNKNOWN,
    precision=_UNKNOWN,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grey:
    """A golden image of one brightness, 0..255, and what the manifest says of it."""

    name: str
    grey: int
    label: Literal["ok", "defective"]
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HandMade:
    """A bundle to be: `image` uint8 [1, 3, side, side] in; `scores` and `class_scores` out."""

    name: str
    version: str
    model: bytes
    side: int
    opset: int
    ir_version: int
    classes: tuple[str, ...]
    golden: tuple[Grey, ...]
    band: UncertainBand
    latency: LatencyClaims
    claims: GoldenClaims = NO_CLAIMS
    device_class: str = "cpu"
    artifact: Artifact = PORTABLE


def write_hand_made(its: HandMade, *, key: SigningKey, to: Path) -> str:
    """Write *its* bundle to *to*; return its digest.

    Raises:
        OSError: *to* cannot be written.
    """
    files = {f"{layout.GOLDEN}/{each.name}.png": _png(each.grey, its.side) for each in its.golden}
    files[layout.MODEL] = its.model
    return pack(manifest=_manifest(its, files), files=files, key=key, to=to)


def _manifest(its: HandMade, files: dict[str, bytes]) -> Manifest:
    return Manifest(
        schema="1",
        name=its.name,
        version=its.version,
        licence="MIT",
        source_digest=digest_of(its.model),
        device_class=its.device_class,
        toolchain=Toolchain(exporter="by hand", torch="none", onnx="none"),
        opset=its.opset,
        ir_version=its.ir_version,
        input=ModelInput(name="image", dtype="uint8", shape=(1, 3, its.side, its.side)),
        preprocessing=Preprocessing(
            width=its.side,
            height=its.side,
            resample="none",
            channels="grey_to_rgb",
            scale="in_graph",
        ),
        outputs=ModelOutputs(score="scores", class_scores="class_scores"),
        threshold=THRESHOLD,
        classes=tuple(DefectClass(name=name, threshold=THRESHOLD) for name in its.classes),
        uncertain_band=its.band,
        golden=GoldenSet(source="bundle", items=tuple(_item(each, files) for each in its.golden)),
        golden_claims=its.claims,
        latency_claims=its.latency,
        hil_report_digest=None,
        artifact=its.artifact,
        files=listed(files),
    )


def _item(each: Grey, files: dict[str, bytes]) -> GoldenItem:
    path = f"{layout.GOLDEN}/{each.name}.png"
    return GoldenItem(
        id=path,
        sha256=digest_of(files[path]),
        label=each.label,
        score=round(each.score, 6),
        tolerance=TOLERANCE,
    )


def _png(grey: int, side: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.full((side, side), grey, np.uint8)).save(data, "PNG")
    return data.getvalue()
