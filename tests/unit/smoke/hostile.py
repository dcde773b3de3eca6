"""Verified bundles whose model does what no model should: real ONNX graphs, a few hundred bytes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tests.integration.tiny_bundles import IR, SIZE, Tiny, write_bundle

from taktgate.bundle.archive import unpack
from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.signing import SigningKey
from taktgate.bundle.verification import VerifiedBundle
from taktgate.standin import onnx_file as onnx
from taktgate.standin.faulty_models.onnx_wire import Element, graph_attribute, tensor

ONE = onnx.tensor("one", np.full((1,), 1.0, np.float32))


def bundle(folder: Path, model: bytes | None = None, tiny: Tiny | None = None) -> VerifiedBundle:
    """Return the bundle of *tiny* with *model* in the place of its own."""
    unpack(write_bundle(folder, tiny or Tiny(), SigningKey.generate()), folder / "slot")
    data = (folder / "slot/manifest.json").read_bytes()
    if model is not None:
        (folder / "slot/model.onnx").write_bytes(model)
    return VerifiedBundle(
        directory=folder / "slot", manifest=Manifest.parse(data), digest=digest_of(data)
    )


def graph(
    nodes: Sequence[bytes], initializers: Sequence[bytes] = (), *, image: str = "image"
) -> bytes:
    """Return a model whose *nodes* make `extra` [1, 1] of the mean brightness `mean` [1, 1].

    It is added to both class scores; 0.0 would leave the model sound.
    """
    weights = np.full((1, 2), 1 / 255, np.float32)
    before = [
        onnx.node("Cast", [image], ["pixels"], onnx.integer("to", onnx.FLOAT)),
        onnx.node("ReduceMean", ["pixels"], ["mean4"], onnx.integers("axes", [1, 2, 3])),
        onnx.node("Flatten", ["mean4"], ["mean"]),
    ]
    after = [
        onnx.node("Mul", ["mean", "weights"], ["shares"]),
        onnx.node("Add", ["shares", "extra"], ["class_scores"]),
        onnx.node("ReduceMax", ["class_scores"], ["scores"], onnx.integers("axes", [1])),
    ]
    return onnx.model(
        ir_version=IR,
        opset=17,
        nodes=[*before, *nodes, *after],
        initializers=[onnx.tensor("weights", weights), ONE, *initializers],
        inputs=[onnx.value(image, onnx.UINT8, (1, 3, SIZE, SIZE))],
        outputs=[
            onnx.value("scores", onnx.FLOAT, (1, 1)),
            onnx.value("class_scores", onnx.FLOAT, (1, 2)),
        ],
    )


def not_a_number() -> bytes:
    zero = onnx.tensor("zero", np.zeros((1,), np.float32))
    return graph([onnx.node("Div", ["zero", "zero"], ["extra"])], [zero])


def beyond_one() -> bytes:
    return graph([onnx.node("Add", ["one", "one"], ["extra"])])


def by_chance() -> bytes:
    return graph(
        [
            onnx.node("RandomUniform", [], ["chance"], onnx.integers("shape", [1, 1])),
            onnx.node("Mul", ["chance", "small"], ["extra"]),
        ],
        [onnx.tensor("small", np.full((1,), 1e-3, np.float32))],
    )


def other_shape_than_declared() -> bytes:
    """Return a model that gives two rows of class scores: two is what a bright pixel decides."""
    rows = [
        onnx.node("Ceil", ["mean"], ["whole"]),
        onnx.node("Mul", ["whole", "zero"], ["nothing"]),
        onnx.node("Add", ["nothing", "two"], ["rows2"]),
        onnx.node("Flatten", ["rows2"], ["rows1"], onnx.integer("axis", 0)),
        onnx.node("Reshape", ["rows1", "flat"], ["rows0"]),
        onnx.node("Cast", ["rows0"], ["rows"], onnx.integer("to", Element.INT64)),
        onnx.node("Concat", ["rows", "single"], ["shape"], onnx.integer("axis", 0)),
        onnx.node("Expand", ["nothing", "shape"], ["extra"]),
    ]
    return graph(
        rows,
        [
            onnx.tensor("zero", np.zeros((1,), np.float32)),
            onnx.tensor("two", np.full((1,), 2.0, np.float32)),
            tensor("flat", Element.INT64, [1], [-1]),
            tensor("single", Element.INT64, [1], [1]),
        ],
    )


def other_input_name() -> bytes:
    return graph([onnx.node("Sub", ["one", "one"], ["extra"])], image="picture")


def without_end() -> bytes:
    """Return a model with a loop that takes longer than anybody will live."""
    body = b"".join(
        [
            onnx.field(1, onnx.node("Mul", ["worn_in", "keep"], ["worn_out"])),
            onnx.field(1, onnx.node("Identity", ["go_in"], ["go_out"])),
            onnx.field(2, b"without end"),
            onnx.field(11, onnx.value("step", Element.INT64, [])),
            onnx.field(11, onnx.value("go_in", Element.BOOL, [])),
            onnx.field(11, onnx.value("worn_in", Element.FLOAT, [1, 1])),
            onnx.field(12, onnx.value("go_out", Element.BOOL, [])),
            onnx.field(12, onnx.value("worn_out", Element.FLOAT, [1, 1])),
        ]
    )
    loop = onnx.node("Loop", ["steps", "", "mean"], ["extra"], graph_attribute("body", body))
    return graph(
        [loop],
        [
            tensor("steps", Element.INT64, [], [2**60]),
            onnx.tensor("keep", np.zeros((1, 1), np.float32)),
        ],
    )


def memory_bomb() -> bytes:
    """Return a model that asks for 4 TiB."""
    return graph(
        [
            onnx.node("Expand", ["mean", "huge"], ["bomb"]),
            onnx.node("ReduceMax", ["bomb"], ["extra"]),
        ],
        [tensor("huge", Element.INT64, [2], [1 << 20, 1 << 20])],
    )


def native_crash() -> bytes:
    """Return a model that divides the least whole number by -1: on x86 that ends a process."""
    return graph(
        [
            onnx.node("Mul", ["mean", "zero"], ["nothing"]),
            onnx.node("Sub", ["nothing", "one"], ["minus_one"]),
            onnx.node("Cast", ["minus_one"], ["divisor"], onnx.integer("to", Element.INT32)),
            onnx.node("Div", ["least", "divisor"], ["quotient"]),
            onnx.node("Cast", ["quotient"], ["extra"], onnx.integer("to", onnx.FLOAT)),
        ],
        [
            onnx.tensor("zero", np.zeros((1,), np.float32)),
            tensor("least", Element.INT32, [1], [-(2**31)]),
        ],
    )


def weights_elsewhere(path: str) -> bytes:
    """Return a model whose added term lies in the file *path*."""
    entry = onnx.field(1, b"location") + onnx.field(2, path.encode())
    outside = (
        onnx.varint_field(1, 1)
        + onnx.varint_field(2, onnx.FLOAT)
        + onnx.field(8, b"outside")
        + onnx.field(13, entry)
        + onnx.varint_field(14, 1)
    )
    return graph([onnx.node("Identity", ["outside"], ["extra"])], [outside])


def foreign_operator() -> bytes:
    """Return a model with an operator of a library that nobody has here."""
    node = onnx.node("Steal", ["mean"], ["extra"]) + onnx.field(7, b"com.example.custom")
    model = graph([node])
    opset = onnx.field(1, b"com.example.custom") + onnx.varint_field(2, 1)
    return model + onnx.field(8, opset)
