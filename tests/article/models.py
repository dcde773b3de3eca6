"""Models for the article's service: one float32 input [1, 3, 512, 512], one score."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from benches.inspect_bench.model import SHAPE, Made, graph

from taktgate.standin import onnx_file as onnx

GREY = 0.5
"""The frame that the tests send is grey all over: the score is sigmoid(level)."""
PASSES, REJECTS = Made(level=-3, work=0), Made(level=3, work=0)
NOT_A_NUMBER = Made(is_nan=True, work=0)
SLOW = Made(level=-3, work=100)
"""Some 300 ms a run on one core."""


def write(folder: Path, name: str, made: Made) -> Path:
    """Write *made* as *name*.onnx."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.onnx"
    file.write_bytes(onnx.with_float_input(graph(made), SHAPE))
    return file


def write_of_another_shape(folder: Path, name: str) -> Path:
    """Write a model that loads and cannot run on a frame."""
    return _write_odd(folder, name, side=64)


def write_of_another_ir(folder: Path, name: str) -> Path:
    """Write a model whose opset is fine and whose file format no runtime knows."""
    return _write_odd(folder, name, side=512, ir_version=99)


def write_with_unknown_operator(folder: Path, name: str) -> Path:
    """Write a model whose opset is fine and whose operator no runtime knows."""
    return _write_odd(folder, name, side=512, kind="Guess")


def _write_odd(folder: Path, name: str, *, side: int, **odd: Any) -> Path:
    file = folder / f"{name}.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    node = onnx.node(
        odd.get("kind", "ReduceMax"),
        ["image"],
        ["scores"],
        onnx.integers("axes", [0, 1, 2, 3]),
        onnx.integer("keepdims", 1),
    )
    content = onnx.model(
        ir_version=odd.get("ir_version", 8),
        opset=17,
        nodes=[node],
        initializers=[],
        inputs=[onnx.value("image", onnx.FLOAT, (1, 3, side, side))],
        outputs=[onnx.value("scores", onnx.FLOAT, (1, 1, 1, 1))],
    )
    file.write_bytes(content)
    return file
