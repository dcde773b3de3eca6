"""The models of the bench: the weld-seam sample, and models made to cost or to tell themselves.

`weld_seam` is the reference: native 512x512 uint8 frames, some 5-10 ms a run on one core. `made`
gives a signed bundle whose cost and score are chosen: a slow one for overload, two whose scores
tell them apart for swaps, one of NaN. All are signed with the development key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from taktgate.bundle import layout
from taktgate.bundle.archive import unpack
from taktgate.bundle.manifest import LatencyClaims, Manifest, UncertainBand, digest_of
from taktgate.bundle.signing import SigningKey
from taktgate.standin import onnx_file as onnx
from taktgate.standin.hand_made import THRESHOLD, Grey, HandMade, write_hand_made

ROOT: Final = Path(__file__).resolve().parents[3]
SAMPLES: Final = ROOT / "src/taktgate/standin/samples"
KEY: Final = SAMPLES / "development-signing-key.pem"
SIZE: Final = 512
SHAPE: Final = (1, 3, SIZE, SIZE)
WORK_SIDE: Final = 512
GAIN: Final = 1.0
_OPSET, _IR = 17, 8
_GREYS: Final = (0, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchModel:
    """One model as a signed bundle, and unpacked for those who take an ONNX file.

    Attributes:
        digest: Of the manifest: what names the bundle everywhere.
        slot: The bundle unpacked, as the stager leaves it.
    """

    name: str
    version: str
    digest: str
    bundle: Path
    slot: Path
    input_name: str
    score_output: str

    @property
    def onnx(self) -> Path:
        """Return the model file: uint8 [1, 3, 512, 512] in, scores [1, 1] first out."""
        return self.slot / layout.MODEL

    def float_onnx(self) -> Path:
        """Return the same model for float32 within 0..1, as the article's service sends it."""
        file = self.slot.with_name(f"{self.slot.name}-float32.onnx")
        if not file.exists():
            file.write_bytes(onnx.with_float_input(self.onnx.read_bytes(), SHAPE))
        return file


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a model made for the bench is to be.

    Its score is sigmoid(level + (mean brightness within 0..1 - 0.5)): with levels more than
    1 apart the scores of two versions never meet, whatever the frame.

    Attributes:
        work: Multiplications of 512x512 matrices on the way, some 3-8 ms each on one core.
    """

    version: str = "1.0.0"
    level: float = -3.0
    work: int = 1
    is_nan: bool = False

    def score(self, mean: float) -> float:
        """Return what it says to a frame of this mean brightness, within 0..1."""
        return 1 / (1 + math.exp(-(self.level + GAIN * (mean - 0.5))))


def weld_seam(folder: Path, version: str = "1.0.0") -> BenchModel:
    """Unpack the sample below *folder*; version 1.1.0 is another network for the same seam."""
    return opened(SAMPLES / f"weld-seam/weld-seam-{version}.bundle", folder)


def made(folder: Path, wanted: Made) -> BenchModel:
    """Write *wanted* as a signed bundle below *folder*."""
    bundle = folder / f"bench-{wanted.version}.bundle"
    its = HandMade(
        name="bench",
        version=wanted.version,
        model=graph(wanted),
        side=SIZE,
        opset=_OPSET,
        ir_version=_IR,
        classes=("bright",),
        golden=tuple(_golden(wanted, grey) for grey in _GREYS),
        band=UncertainBand(low=0.5, high=0.5),
        latency=LatencyClaims(p50_ms=8.0, p95_ms=16.0, p99_ms=24.0, n=1, machine="none"),
    )
    write_hand_made(its, key=SigningKey.load(KEY), to=bundle)
    return opened(bundle, folder)


def opened(bundle: Path, folder: Path) -> BenchModel:
    """Unpack *bundle* below *folder*."""
    slot = folder / bundle.stem
    unpack(bundle, slot)
    data = (slot / layout.MANIFEST).read_bytes()
    manifest = Manifest.parse(data)
    return BenchModel(
        name=manifest.name,
        version=manifest.version,
        digest=digest_of(data),
        bundle=bundle,
        slot=slot,
        input_name=manifest.input.name,
        score_output=manifest.outputs.score,
    )


def graph(wanted: Made) -> bytes:
    """Return the ONNX file of *wanted*: uint8 in, scores and class_scores out."""
    weight = math.nan if wanted.is_nan else GAIN / 255 / 3
    side = np.full((WORK_SIDE, WORK_SIDE), 1 / WORK_SIDE, np.float32)
    initializers = {
        "weights": np.full((3, 1), weight, np.float32),
        "bias": np.full((1, 1), wanted.level - GAIN / 2, np.float32),
        "side": side,
        "zero": np.zeros((1, 1), np.float32),
    }
    nodes = [
        onnx.node("Cast", ["image"], ["pixels"], onnx.integer("to", onnx.FLOAT)),
        onnx.node("GlobalAveragePool", ["pixels"], ["pooled"]),
        onnx.node("Flatten", ["pooled"], ["means"], onnx.integer("axis", 1)),
        *_work(wanted.work),
        onnx.node("MatMul", ["worked", "weights"], ["product"]),
        onnx.node("Add", ["product", "bias"], ["logits"]),
        onnx.node("Sigmoid", ["logits"], ["class_scores"]),
        onnx.node("Identity", ["class_scores"], ["scores"]),
    ]
    return onnx.model(
        ir_version=_IR,
        opset=_OPSET,
        nodes=nodes,
        initializers=[onnx.tensor(name, array) for name, array in initializers.items()],
        inputs=[onnx.value("image", onnx.UINT8, SHAPE)],
        outputs=[onnx.value(name, onnx.FLOAT, (1, 1)) for name in ("scores", "class_scores")],
    )


def _work(steps: int) -> list[bytes]:
    """Return operators that depend on the frame, cost time and change nothing."""
    largest = [onnx.integers("axes", [0, 1]), onnx.integer("keepdims", 1)]
    return [
        onnx.node("ReduceMax", ["means"], ["peak"], *largest),
        onnx.node("Add", ["side", "peak"], ["work0"]),
        *(onnx.node("MatMul", [f"work{n}", "side"], [f"work{n + 1}"]) for n in range(steps)),
        onnx.node("ReduceMax", [f"work{steps}"], ["worn"], *largest),
        onnx.node("Mul", ["worn", "zero"], ["nothing"]),
        onnx.node("Add", ["means", "nothing"], ["worked"]),
    ]


def _golden(wanted: Made, grey: int) -> Grey:
    score = wanted.score(grey / 255)
    label: Literal["ok", "defective"] = "defective" if score >= THRESHOLD else "ok"
    return Grey(name=str(grey), grey=grey, label=label, score=score)
