"""A model that is well until its frame says otherwise: it runs longer, for ever, or answers NaN.

So one process lives through all faults, and the parts around a fault are judged by the same model.
The frame's first pixels carry the order; a frame that does not begin with the mark carries none.
"""

from pathlib import Path
from typing import Final

import numpy as np
from benches.inspect_bench.frames import Pixels
from benches.inspect_bench.model import GAIN, KEY, SHAPE, BenchModel, Made, made, opened
from numpy.typing import NDArray

from taktgate.bundle.signing import SigningKey
from taktgate.standin import onnx_file as onnx
from taktgate.standin.remodelled import write_remodelled

ENDLESS: Final = 0xFFFF
USUAL_STEPS: Final = 8
_MARK: Final = (255, 0, 255, 0)
_ORDER_PIXELS: Final = 8
_SIDE: Final = 256
"""One step multiplies matrices of this size: some 0.5 ms on one core."""
_OPSET, _IR = 17, 8
_BOOL, _INT64, _GRAPH_ATTRIBUTE = 9, 7, 5
_VERSION, _LEVEL = "7.0.0", -3.0


def wayward(folder: Path) -> BenchModel:
    """Write the signed bundle below *folder*; its score is that of `Made` at level -3: it passes.

    Golden images carry no mark, so that the model passes every check it can be given.
    """
    base = made(folder / "base", Made(version=_VERSION, level=_LEVEL))
    bundle = folder / "wayward.bundle"
    write_remodelled(base.slot, _graph(), name="wayward", key=SigningKey.load(KEY), to=bundle)
    return opened(bundle, folder)


def ordered(frame: Pixels, *, steps: int = USUAL_STEPS, nan: bool = False) -> Pixels:
    """Return *frame* with the order to take so many steps, 0 .. ENDLESS, or to answer NaN."""
    marked = frame.copy()
    marked[0, :_ORDER_PIXELS] = (*_MARK, steps >> 8, steps & 0xFF, 255 * nan, 0)
    return marked


def _graph() -> bytes:
    side = np.full((_SIDE, _SIDE), 1 / _SIDE, np.float32)
    floats = {
        "weights": np.full((3, 1), GAIN / 255 / 3, np.float32),
        "bias": np.full((1, 1), _LEVEL - GAIN / 2, np.float32),
        "side": side,
        "none": np.zeros((1, 1), np.float32),
        "white": np.array([255], np.float32),
        "black": np.array([0], np.float32),
        "radix": np.array([256], np.float32),
        "usual": np.array([USUAL_STEPS], np.float32),
    }
    numbers = {
        "begin": np.zeros(4, np.int64),
        "end": np.array([1, 1, 1, _ORDER_PIXELS], np.int64),
        "flat": np.array([_ORDER_PIXELS], np.int64),
    }
    return onnx.model(
        ir_version=_IR,
        opset=_OPSET,
        nodes=[*_read_order(), *_obey(), *_score()],
        initializers=[
            *(onnx.tensor(name, array) for name, array in floats.items()),
            *(_numbers(name, array) for name, array in numbers.items()),
        ],
        inputs=[onnx.value("image", onnx.UINT8, SHAPE)],
        outputs=[onnx.value(name, onnx.FLOAT, (1, 1)) for name in ("scores", "class_scores")],
    )


def _read_order() -> list[bytes]:
    """Return what gives `is_ordered`, and the order's pixels as `p4`, `p5` and `p6`."""
    pixels = [f"p{number}" for number in range(_ORDER_PIXELS)]
    checks = [
        onnx.node("Equal", [f"p{number}", "white" if value else "black"], [f"fits{number}"])
        for number, value in enumerate(_MARK)
    ]
    return [
        onnx.node("Slice", ["image", "begin", "end"], ["corner"]),
        onnx.node("Cast", ["corner"], ["corner_values"], onnx.integer("to", onnx.FLOAT)),
        onnx.node("Reshape", ["corner_values", "flat"], ["order"]),
        onnx.node("Split", ["order"], pixels, onnx.integer("axis", 0)),
        *checks,
        onnx.node("And", ["fits0", "fits1"], ["fits01"]),
        onnx.node("And", ["fits2", "fits3"], ["fits23"]),
        onnx.node("And", ["fits01", "fits23"], ["is_ordered"]),
    ]


def _obey() -> list[bytes]:
    """Return the loop of as many steps as ordered, and `poison`: 0, or the root of -1."""
    return [
        onnx.node("Mul", ["p4", "radix"], ["high"]),
        onnx.node("Add", ["high", "p5"], ["wanted"]),
        onnx.node("Where", ["is_ordered", "wanted", "usual"], ["steps"]),
        onnx.node("Cast", ["steps"], ["trips"], onnx.integer("to", _INT64)),
        onnx.node("Loop", ["trips", "", "side"], ["worked"], _subgraph("body", _step())),
        onnx.node(
            "ReduceMax",
            ["worked"],
            ["worn"],
            onnx.integers("axes", [0, 1]),
            onnx.integer("keepdims", 1),
        ),
        onnx.node("Mul", ["worn", "none"], ["nothing"]),
        onnx.node("Where", ["is_ordered", "p6", "black"], ["dose"]),
        onnx.node("Neg", ["dose"], ["negative"]),
        onnx.node("Sqrt", ["negative"], ["poison"]),
    ]


def _step() -> bytes:
    """Return one step of the loop as a graph: the state times `side`, of the graph around it."""
    nodes = [
        onnx.node("Identity", ["goes_on"], ["goes_on_still"]),
        onnx.node("MatMul", ["state", "side"], ["next_state"]),
    ]
    inputs = [("step", _INT64, ()), ("goes_on", _BOOL, ()), ("state", onnx.FLOAT, (_SIDE, _SIDE))]
    outputs = [("goes_on_still", _BOOL, ()), ("next_state", onnx.FLOAT, (_SIDE, _SIDE))]
    return b"".join(
        [
            *(onnx.field(1, each) for each in nodes),
            onnx.field(2, b"step"),
            *(onnx.field(11, onnx.value(*each)) for each in inputs),
            *(onnx.field(12, onnx.value(*each)) for each in outputs),
        ]
    )


def _score() -> list[bytes]:
    return [
        onnx.node("Cast", ["image"], ["pixels"], onnx.integer("to", onnx.FLOAT)),
        onnx.node("GlobalAveragePool", ["pixels"], ["pooled"]),
        onnx.node("Flatten", ["pooled"], ["means"], onnx.integer("axis", 1)),
        onnx.node("MatMul", ["means", "weights"], ["product"]),
        onnx.node("Add", ["product", "bias"], ["plain"]),
        onnx.node("Add", ["plain", "nothing"], ["tired"]),
        onnx.node("Add", ["tired", "poison"], ["logits"]),
        onnx.node("Sigmoid", ["logits"], ["class_scores"]),
        onnx.node("Identity", ["class_scores"], ["scores"]),
    ]


def _subgraph(name: str, graph: bytes) -> bytes:
    """Return an attribute that is a graph."""
    head = onnx.field(1, name.encode()) + onnx.field(6, graph)
    return head + onnx.varint_field(20, _GRAPH_ATTRIBUTE)


def _numbers(name: str, array: NDArray[np.int64]) -> bytes:
    """Return an initializer of int64."""
    dims = b"".join(onnx.varint_field(1, dim) for dim in array.shape)
    kind = onnx.varint_field(2, _INT64)
    return dims + kind + onnx.field(8, name.encode()) + onnx.field(9, array.tobytes())
