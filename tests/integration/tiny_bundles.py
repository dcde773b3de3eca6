"""Signed bundles around a model of a few hundred bytes, written without the onnx package.

The model's score is the sigmoid of the frame's mean brightness: dark passes, bright fails. It can
be made wrong in the ways in which real models go wrong.
"""

import io
import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from taktgate.bundle.archive import pack
from taktgate.bundle.manifest import (
    BundleFile,
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
)
from taktgate.bundle.signing import SigningKey

SIZE = 64
OPSET, IR = 17, 8
_FLOAT, _UINT8 = 1, 2
_SLOW_SIDE = 768


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
    device_class: str = "cpu"


def expected_score(mean: float, tiny: Tiny) -> float:
    """Return what the model gives for a frame of this brightness."""
    return 1 / (1 + math.exp(-tiny.gain * (mean / 255 - 0.5)))


def write_bundle(folder: Path, tiny: Tiny, key: SigningKey) -> Path:
    """Write the signed bundle of *tiny* into *folder*."""
    model = _model(tiny)
    files = {"model.onnx": model[: len(model) - tiny.cut_bytes]}
    items = []
    for index, grey in enumerate((0, 20, 40, 60, 80, 175, 195, 215, 235, 255)):
        name, data = f"golden/{index}.png", _png(grey)
        files[name] = data
        score = min(1.0, max(0.0, expected_score(grey, tiny) + tiny.golden_shift))
        items.append(
            GoldenItem(
                id=name,
                sha256=digest_of(data),
                label="defective" if grey > 127 else "ok",
                score=round(score, 6),
                tolerance=0.02,
            )
        )
    path = folder / f"tiny-{tiny.version}.bundle"
    pack(manifest=_manifest(tiny, files, tuple(items)), files=files, key=key, to=path)
    return path


def _png(grey: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.full((SIZE, SIZE), grey, np.uint8)).save(data, "PNG")
    return data.getvalue()


def _manifest(tiny: Tiny, files: dict[str, bytes], items: tuple[GoldenItem, ...]) -> Manifest:
    whole = Interval(value=1.0, low=0.9, high=1.0)
    return Manifest(
        schema="1",
        name="tiny",
        version=tiny.version,
        licence="MIT",
        source_digest=digest_of(files["model.onnx"]),
        device_class=tiny.device_class,
        toolchain=Toolchain(exporter="by hand", torch="none", onnx="none"),
        opset=OPSET,
        ir_version=IR,
        input=ModelInput(name="image", dtype="uint8", shape=(1, 3, SIZE, SIZE)),
        preprocessing=Preprocessing(
            width=SIZE, height=SIZE, resample="none", channels="grey_to_rgb", scale="in_graph"
        ),
        outputs=ModelOutputs(score="scores", class_scores="class_scores"),
        threshold=0.5,
        classes=(
            DefectClass(name="bright", threshold=0.5),
            DefectClass(name="glare", threshold=0.5),
        ),
        uncertain_band=UncertainBand(low=0.45, high=0.55),
        golden=GoldenSet(source="bundle", items=items),
        golden_claims=GoldenClaims(
            dataset="flat grey",
            dataset_licence="MIT",
            split_method="none",
            interval_method="none",
            n_ok=5,
            n_defective=5,
            recall=whole,
            false_reject_rate=Interval(value=0.0, low=0.0, high=0.1),
            precision=whole,
        ),
        latency_claims=LatencyClaims(p50_ms=1, p95_ms=1, p99_ms=1, n=1, machine="none"),
        hil_report_digest=None,
        files=tuple(
            BundleFile(path=path, size_bytes=len(data), sha256=digest_of(data))
            for path, data in sorted(files.items())
        ),
    )


def _model(tiny: Tiny) -> bytes:
    gain = math.nan if tiny.weight_is_nan else tiny.gain / 255 / 3
    weights = np.full((3, tiny.classes), gain, np.float32)
    bias = np.full((1, tiny.classes), -tiny.gain / 2, np.float32)
    initializers = [_tensor("weights", weights), _tensor("bias", bias)]
    nodes = [
        _node("Cast", ["image"], ["pixels"], _int("to", _FLOAT)),
        _node("GlobalAveragePool", ["pixels"], ["pooled"]),
        _node("Flatten", ["pooled"], ["means"], _int("axis", 1)),
    ]
    means = "means"
    if tiny.slow_steps:
        nodes += _slow(tiny.slow_steps)
        side = np.full((_SLOW_SIDE, _SLOW_SIDE), 1 / _SLOW_SIDE, np.float32)
        initializers += [_tensor("big", side), _tensor("zero", np.zeros((1, 1), np.float32))]
        means = "slow_means"
    nodes += [
        _node("MatMul", [means, "weights"], ["product"]),
        _node("Add", ["product", "bias"], ["logits"]),
        _node("Sigmoid", ["logits"], ["class_scores"]),
        _node(
            "ReduceMax",
            ["class_scores"],
            [tiny.score_output],
            _ints("axes", [1]),
            _int("keepdims", 1),
        ),
    ]
    graph = b"".join(
        [
            *(_field(1, node) for node in nodes),
            _field(2, b"tiny"),
            *(_field(5, tensor) for tensor in initializers),
            _field(11, _value("image", _UINT8, (1, 3, SIZE, SIZE))),
            _field(12, _value(tiny.score_output, _FLOAT, (1, 1))),
            _field(12, _value("class_scores", _FLOAT, (1, tiny.classes))),
        ]
    )
    return _varint_field(1, IR) + _field(7, graph) + _field(8, _varint_field(2, OPSET))


def _slow(steps: int) -> list[bytes]:
    """Return nodes that cost time and change nothing."""
    nodes = [
        _node("ReduceMax", ["means"], ["peak"], _ints("axes", [1]), _int("keepdims", 1)),
        _node("Add", ["big", "peak"], ["slow0"]),
    ]
    nodes += [_node("MatMul", [f"slow{step}", "big"], [f"slow{step + 1}"]) for step in range(steps)]
    return [
        *nodes,
        _node("ReduceMax", [f"slow{steps}"], ["worn"], _ints("axes", [0, 1]), _int("keepdims", 1)),
        _node("Mul", ["worn", "zero"], ["nothing"]),
        _node("Add", ["means", "nothing"], ["slow_means"]),
    ]


# Protocol buffers, as far as ONNX needs them (onnx.proto3).


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _node(kind: str, inputs: list[str], outputs: list[str], *attributes: bytes) -> bytes:
    return b"".join(
        [
            *(_field(1, name.encode()) for name in inputs),
            *(_field(2, name.encode()) for name in outputs),
            _field(4, kind.encode()),
            *(_field(5, attribute) for attribute in attributes),
        ]
    )


def _int(name: str, value: int) -> bytes:
    return _field(1, name.encode()) + _varint_field(3, value) + _varint_field(20, 2)


def _ints(name: str, values: list[int]) -> bytes:
    listed = b"".join(_varint_field(8, value) for value in values)
    return _field(1, name.encode()) + listed + _varint_field(20, 7)


def _tensor(name: str, array: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    dims = b"".join(_varint_field(1, dim) for dim in array.shape)
    data = struct.pack(f"<{array.size}f", *array.ravel())
    return dims + _varint_field(2, _FLOAT) + _field(8, name.encode()) + _field(9, data)


def _value(name: str, element: int, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_field(1, _varint_field(1, dim)) for dim in shape)
    tensor = _varint_field(1, element) + _field(2, dims)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))
