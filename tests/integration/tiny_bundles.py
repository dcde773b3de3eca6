"""Signed bundles around a model of a few hundred bytes, written without the onnx package.

The model's score is the sigmoid of the frame's mean brightness: dark passes, bright fails. It can
be made wrong in the ways in which real models go wrong.
"""

import math
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taktgate.bundle.manifest import (
    PORTABLE,
    Artifact,
    Compilation,
    GoldenClaims,
    Interval,
    LatencyClaims,
    UncertainBand,
)
from taktgate.bundle.signing import SigningKey
from taktgate.standin import onnx_file as onnx
from taktgate.standin.hand_made import Grey, HandMade, write_hand_made

SIZE = 64
OPSET, IR = 17, 8
_SLOW_SIDE = 768
_WHOLE = Interval(value=1.0, low=0.9, high=1.0)
CLAIMS = GoldenClaims(
    dataset="flat grey",
    dataset_licence="MIT",
    split_method="none",
    interval_method="none",
    n_ok=5,
    n_defective=5,
    recall=_WHOLE,
    false_reject_rate=Interval(value=0.0, low=0.0, high=0.1),
    precision=_WHOLE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiny:
    """One tiny model: what it claims, and how it lies."""

    version: str = "1.0.0"
    gain: float = 8.0
    """Negative: bright passes, dark fails."""
    weight_is_nan: bool = False
    score_output: str = "scores"
    classes: int = 2
    """How many class scores the graph gives; the manifest says 2."""
    golden_shift: float = 0.0
    """How far the golden scores in the manifest are off."""
    slow_steps: int = 0
    """Large multiplications in the way: some 10-20 ms each."""
    cut_bytes: int = 0
    """How much of the model file is missing."""
    flipped_exponent: bool = False
    """One bit of one weight: the file loads and runs as before, and scores wrongly."""
    opset: int = 17
    operator: str = "Sigmoid"
    """What makes scores of logits."""
    side: int = 64
    """Width and height of the graph's input; the manifest says 64."""
    are_outputs_swapped: bool = False
    """Each output has the other one's name, and so its shape."""
    device_class: str = "cpu"
    compiled_by: str | None = None
    """The ONNX Runtime that its file claims to be compiled with."""
    greys: tuple[int, ...] = (0, 20, 40, 60, 80, 175, 195, 215, 235, 255)
    """Of its golden images."""


def expected_score(mean: float, tiny: Tiny) -> float:
    """Return what the model gives for a frame of this brightness."""
    return 1 / (1 + math.exp(-tiny.gain * (mean / 255 - 0.5)))


def write_bundle(folder: Path, tiny: Tiny, key: SigningKey) -> Path:
    """Write the signed bundle of *tiny* into *folder*."""
    model = _model(tiny)
    path = folder / f"tiny-{tiny.version}.bundle"
    its = HandMade(
        name="tiny",
        version=tiny.version,
        model=model[: len(model) - tiny.cut_bytes],
        side=SIZE,
        opset=OPSET,
        ir_version=IR,
        classes=("bright", "glare"),
        golden=tuple(_golden(tiny)),
        band=UncertainBand(low=0.45, high=0.55),
        latency=LatencyClaims(p50_ms=1, p95_ms=1, p99_ms=1, n=1, machine="none"),
        claims=CLAIMS,
        artifact=_artifact(tiny),
        device_class=tiny.device_class,
    )
    write_hand_made(its, key=key, to=path)
    return path


def _golden(tiny: Tiny) -> list[Grey]:
    return [
        Grey(
            name=str(index),
            grey=grey,
            label="defective" if grey > 127 else "ok",
            score=min(1.0, max(0.0, expected_score(grey, tiny) + tiny.golden_shift)),
        )
        for index, grey in enumerate(tiny.greys)
    ]


def _artifact(tiny: Tiny) -> Artifact:
    if tiny.compiled_by is None:
        return PORTABLE
    compilation = Compilation(
        ort=tiny.compiled_by,
        provider="CPUExecutionProvider",
        machine="x86_64" if platform.machine() == "x86_64" else "aarch64",
        optimization="basic",
        cuda=None,
        cudnn=None,
        tensorrt=None,
        calibration_data=None,
    )
    return Artifact(kind="ort_optimized", precision="fp32", compilation=compilation)


def _model(tiny: Tiny) -> bytes:
    gain = math.nan if tiny.weight_is_nan else tiny.gain / 255 / 3
    weights = np.full((3, tiny.classes), gain, np.float32)
    if tiny.flipped_exponent:
        weights.view(np.uint32)[0, 0] ^= 1 << 25  # 16 times as much
    bias = np.full((1, tiny.classes), -tiny.gain / 2, np.float32)
    initializers = [onnx.tensor("weights", weights), onnx.tensor("bias", bias)]
    score, class_scores = tiny.score_output, "class_scores"
    if tiny.are_outputs_swapped:
        score, class_scores = class_scores, score
    nodes = [
        onnx.node("Cast", ["image"], ["pixels"], onnx.integer("to", onnx.FLOAT)),
        onnx.node("GlobalAveragePool", ["pixels"], ["pooled"]),
        onnx.node("Flatten", ["pooled"], ["means"], onnx.integer("axis", 1)),
    ]
    means = "means"
    if tiny.slow_steps:
        nodes += _slow(tiny.slow_steps)
        side = np.full((_SLOW_SIDE, _SLOW_SIDE), 1 / _SLOW_SIDE, np.float32)
        initializers += [
            onnx.tensor("big", side),
            onnx.tensor("zero", np.zeros((1, 1), np.float32)),
        ]
        means = "slow_means"
    nodes += [
        onnx.node("MatMul", [means, "weights"], ["product"]),
        onnx.node("Add", ["product", "bias"], ["logits"]),
        onnx.node(tiny.operator, ["logits"], [class_scores]),
        onnx.node(
            "ReduceMax",
            [class_scores],
            [score],
            onnx.integers("axes", [1]),
            onnx.integer("keepdims", 1),
        ),
    ]
    return onnx.model(
        ir_version=IR,
        opset=tiny.opset,
        nodes=nodes,
        initializers=initializers,
        inputs=[onnx.value("image", onnx.UINT8, (1, 3, tiny.side, tiny.side))],
        outputs=[
            onnx.value(score, onnx.FLOAT, (1, 1)),
            onnx.value(class_scores, onnx.FLOAT, (1, tiny.classes)),
        ],
    )


def _slow(steps: int) -> list[bytes]:
    """Return nodes that cost time and change nothing."""
    nodes = [
        onnx.node(
            "ReduceMax",
            ["means"],
            ["peak"],
            onnx.integers("axes", [1]),
            onnx.integer("keepdims", 1),
        ),
        onnx.node("Add", ["big", "peak"], ["slow0"]),
    ]
    nodes += [
        onnx.node("MatMul", [f"slow{step}", "big"], [f"slow{step + 1}"]) for step in range(steps)
    ]
    return [
        *nodes,
        onnx.node(
            "ReduceMax",
            [f"slow{steps}"],
            ["worn"],
            onnx.integers("axes", [0, 1]),
            onnx.integer("keepdims", 1),
        ),
        onnx.node("Mul", ["worn", "zero"], ["nothing"]),
        onnx.node("Add", ["means", "nothing"], ["slow_means"]),
    ]
