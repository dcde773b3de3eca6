"""An ONNX file is read without trust: right, or refused."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taktgate.registry.models.errors import OnnxFileError
from taktgate.registry.models.onnx_header import Tensor, read_header
from taktgate.standin import onnx_file as onnx

SAMPLE = Path(__file__).parents[3] / "src/taktgate/standin/samples/weld-seam/weld-seam-1.1.0.bundle"
WEIGHTS = onnx.tensor("weights", np.ones((3, 2), np.float32))


def made(*, initializer: bytes = WEIGHTS, extra: bytes = b"") -> bytes:
    model = onnx.model(
        ir_version=8,
        opset=17,
        nodes=[onnx.node("MatMul", ["image", "weights"], ["scores"])],
        initializers=[initializer],
        inputs=[
            onnx.value("image", onnx.UINT8, (1, 3, 8, 8)),
            onnx.value("weights", onnx.FLOAT, (3, 2)),
        ],
        outputs=[onnx.value("scores", onnx.FLOAT, (1, 1))],
    )
    return model + extra


def test_a_real_model_is_read_as_onnx_runtime_reads_it() -> None:
    with zipfile.ZipFile(SAMPLE) as archive:
        header = read_header(archive.read("model.onnx"))
    assert (header.opset, header.ir_version, header.precision) == (18, 8, "fp32")
    assert header.inputs == (Tensor(name="image", element="uint8", shape=(1, 3, 512, 512)),)
    assert {its.name for its in header.outputs} == {"scores", "class_scores"}


def test_a_weight_is_no_input() -> None:
    assert [its.name for its in read_header(made()).inputs] == ["image"]


def test_weights_outside_the_file_are_refused() -> None:
    outside = WEIGHTS + onnx.varint_field(14, 1)
    with pytest.raises(OnnxFileError, match="external data"):
        read_header(made(initializer=outside))


@pytest.mark.parametrize(
    "extra", [onnx.field(7, b""), onnx.varint_field(1, 9), onnx.field(8, onnx.varint_field(2, 11))]
)
def test_what_is_said_twice_is_refused(extra: bytes) -> None:
    with pytest.raises(OnnxFileError, match="once"):
        read_header(made(extra=extra))


def test_a_file_cut_off_anywhere_is_refused() -> None:
    model = made()
    for length in range(len(model)):
        with pytest.raises(OnnxFileError):
            read_header(model[:length])


@given(data=st.data())
@settings(deadline=None, max_examples=200)
def test_damage_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    model = bytearray(made())
    for _ in range(data.draw(st.integers(1, 4))):
        model[data.draw(st.integers(0, len(model) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = read_header(bytes(model))
    except OnnxFileError:
        return
    assert header.opset >= 0
