"""Models written by hand are models to ONNX Runtime, and their float twins score the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.bundle.protobuf import ProtobufError
from taktgate.standin import onnx_file as onnx

runtime = pytest.importorskip("onnxruntime")
SHAPE = (1, 3, 4, 4)


def brightness() -> bytes:
    """A model that says how bright a frame is, 0..255."""
    return onnx.model(
        ir_version=8,
        opset=17,
        nodes=[
            onnx.node("Cast", ["image"], ["pixels"], onnx.integer("to", onnx.FLOAT)),
            onnx.node(
                "ReduceMean",
                ["pixels"],
                ["scores"],
                onnx.integers("axes", [0, 1, 2, 3]),
                onnx.integer("keepdims", 1),
            ),
        ],
        initializers=[],
        inputs=[onnx.value("image", onnx.UINT8, SHAPE)],
        outputs=[onnx.value("scores", onnx.FLOAT, (1, 1, 1, 1))],
    )


def run(file: bytes, frame: np.ndarray) -> float:
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return float(session.run(None, {"image": frame})[0].item())


def test_the_float_twin_gives_the_score_of_the_same_frame() -> None:
    frame = np.arange(48, dtype=np.uint8).reshape(SHAPE)
    twin = onnx.with_float_input(brightness(), SHAPE)
    assert run(brightness(), frame) == pytest.approx(23.5)
    assert run(twin, (frame / 255).astype(np.float32)) == pytest.approx(23.5, abs=1e-4)


@given(cut=st.integers(min_value=3, max_value=len(brightness()) - 5))
def test_a_file_that_ends_within_the_graph_is_refused(cut: int) -> None:
    with pytest.raises(ProtobufError, match="cut off"):
        onnx.with_float_input(brightness()[:cut], SHAPE)
