"""Small ONNX files without the onnx package: protocol buffers, as far as a model needs them.

Field numbers are those of onnx.proto3 (ModelProto, GraphProto, NodeProto, TensorProto). Models made
here are for tests, benches and faults; `with_float_input` turns a model that takes a uint8 frame
into the same model as a service wants it that sends float32 within 0..1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from taktgate.bundle.protobuf import Field, fields

FLOAT, UINT8 = 1, 2
_GRAPH, _OPSETS = 7, 8
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
_FULL_SCALE: Final = "full_scale"
_SCALED: Final = "image_at_full_scale"
_VARINT, _BYTES = 0, 2


def model(
    *,
    ir_version: int,
    opset: int,
    nodes: Sequence[bytes],
    initializers: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
) -> bytes:
    """Return a whole model file; the pieces come from the functions below."""
    graph = b"".join(
        [
            *(field(_NODE, each) for each in nodes),
            field(2, b"made by hand"),
            *(field(_INITIALIZER, each) for each in initializers),
            *(field(_INPUT, each) for each in inputs),
            *(field(_OUTPUT, each) for each in outputs),
        ]
    )
    return (
        varint_field(1, ir_version) + field(_GRAPH, graph) + field(_OPSETS, varint_field(2, opset))
    )


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], *attributes: bytes) -> bytes:
    """Return one operator with its *attributes*, from `integer` and `integers`."""
    return b"".join(
        [
            *(field(1, name.encode()) for name in inputs),
            *(field(2, name.encode()) for name in outputs),
            field(4, kind.encode()),
            *(field(5, attribute) for attribute in attributes),
        ]
    )


def integer(name: str, value: int) -> bytes:
    """Return an attribute that is one number."""
    return field(1, name.encode()) + varint_field(3, value) + varint_field(20, 2)


def integers(name: str, values: Sequence[int]) -> bytes:
    """Return an attribute that is a list of numbers."""
    listed = b"".join(varint_field(8, value) for value in values)
    return field(1, name.encode()) + listed + varint_field(20, 7)


def tensor(name: str, array: NDArray[np.float32]) -> bytes:
    """Return an initializer of float32."""
    dims = b"".join(varint_field(1, dim) for dim in array.shape)
    data = struct.pack(f"<{array.size}f", *array.ravel())
    return dims + varint_field(2, FLOAT) + field(8, name.encode()) + field(9, data)


def value(name: str, element: int, shape: Sequence[int]) -> bytes:
    """Return an input or output: its name, element type and shape."""
    dims = b"".join(field(1, varint_field(1, dim)) for dim in shape)
    kind = varint_field(1, element) + field(2, dims)
    return field(1, name.encode()) + field(2, field(1, kind))


def varint_field(number: int, content: int) -> bytes:
    """Return a field that holds a number of at least 0."""
    return _varint(number << 3 | _VARINT) + _varint(content)


def field(number: int, content: bytes) -> bytes:
    """Return a field that holds bytes, a text or a message."""
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def with_float_input(file: bytes, shape: Sequence[int]) -> bytes:
    """Return the model *file* (one uint8 input) with float32 input within 0..1.

    The one difference is a multiplication by 255 in front: scores are those of the same frame.

    Raises:
        ProtobufError: The bytes are no model.
        ValueError: The model has not exactly one input.
    """

    def changed(each: Field) -> bytes | memoryview:
        if each.number != _GRAPH:
            return each.raw
        return field(_GRAPH, _float_graph(each.content(), shape))

    return mapped(file, changed)


def _float_graph(graph: memoryview, shape: Sequence[int]) -> bytes:
    inputs = [each.content() for each in fields(graph) if each.number == _INPUT]
    if len(inputs) != 1:
        raise ValueError(f"a model must have one input, got {len(inputs)}")
    name = next(bytes(each.content()) for each in fields(inputs[0]) if each.number == 1)

    def changed(each: Field) -> bytes | memoryview:
        if each.number == _INPUT:
            return field(_INPUT, value(name.decode(), FLOAT, shape))
        if each.number == _NODE:
            return field(_NODE, mapped(each.content(), lambda inner: _rewired(inner, name)))
        return each.raw

    scale = node("Mul", [name.decode(), _FULL_SCALE], [_SCALED])
    factor = tensor(_FULL_SCALE, np.full((1,), 255.0, np.float32))
    return field(_NODE, scale) + mapped(graph, changed) + field(_INITIALIZER, factor)


def _rewired(each: Field, name: bytes) -> bytes | memoryview:
    is_use = bytes(each.raw) == field(1, name)
    return field(1, _SCALED.encode()) if is_use else each.raw


def mapped(message: bytes | memoryview, change: Callable[[Field], bytes | memoryview]) -> bytes:
    """Return *message* with the bytes that *change* gives for each of its fields.

    Raises:
        ProtobufError: The bytes are no message.
    """
    return b"".join(change(each) for each in fields(message))


def _varint(content: int) -> bytes:
    out = bytearray()
    while content > 0x7F:
        out.append(content & 0x7F | 0x80)
        content >>= 7
    out.append(content)
    return bytes(out)
