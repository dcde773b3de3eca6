"""Small ONNX files without the onnx package: protocol buffers, as far as a model needs them.

Field numbers are those of onnx.proto3 (ModelProto, GraphProto, NodeProto, TensorProto). Models made
here are for tests, benches and faults; `with_float_input` turns a model that takes a uint8 frame
into the same model as a service wants it that sends float32 within 0..1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

FLOAT, UINT8 = 1, 2
_GRAPH, _OPSETS = 7, 8
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
_FULL_SCALE: Final = "full_scale"
_SCALED: Final = "image_at_full_scale"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class OnnxFileError(ValueError):
    """The bytes are no ONNX model as this module needs it."""


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
        OnnxFileError: The bytes are no model, or the model has not exactly one input.
    """
    return mapped(file, lambda each: _float_graph(each, shape) if each.number == _GRAPH else each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field as it stands in the file: its number, its bytes, and what it holds if bytes."""

    number: int
    raw: bytes
    content: bytes | None

    def holding(self, content: bytes) -> Field:
        """Return the field with other *content*."""
        return Field(number=self.number, raw=field(self.number, content), content=content)


def _float_graph(graph: Field, shape: Sequence[int]) -> Field:
    inputs = [each for each in fields(_content(graph)) if each.number == _INPUT]
    if len(inputs) != 1:
        raise OnnxFileError(f"a model must have one input, got {len(inputs)}")
    name = next(_content(each) for each in fields(_content(inputs[0])) if each.number == 1)

    def changed(each: Field) -> Field:
        if each.number == _INPUT:
            return each.holding(value(name.decode(), FLOAT, shape))
        if each.number == _NODE:
            return each.holding(mapped(_content(each), lambda inner: _rewired(inner, name)))
        return each

    scale = node("Mul", [name.decode(), _FULL_SCALE], [_SCALED])
    factor = tensor(_FULL_SCALE, np.full((1,), 255.0, np.float32))
    rest = mapped(_content(graph), changed)
    return graph.holding(field(_NODE, scale) + rest + field(_INITIALIZER, factor))


def _rewired(each: Field, name: bytes) -> Field:
    is_use = each.number == 1 and each.content == name
    return each.holding(_SCALED.encode()) if is_use else each


def mapped(message: bytes, change: Callable[[Field], Field]) -> bytes:
    """Return *message* with each field as *change* makes it; what it leaves keeps its very bytes.

    Raises:
        OnnxFileError: The bytes are no message.
    """
    return b"".join(change(each).raw for each in fields(message))


def _content(each: Field) -> bytes:
    if each.content is None:
        raise OnnxFileError(f"field {each.number} must hold bytes")
    return each.content


def fields(message: bytes) -> Iterator[Field]:
    """Yield the fields of *message*.

    Raises:
        OnnxFileError: It ends within one, or has a wire type that ONNX does not use.
    """
    at = 0
    while at < len(message):
        start = at
        key, at = _read_varint(message, at)
        content = None
        if key & 7 == _BYTES:
            size, at = _read_varint(message, at)
            content = message[at : at + size]
            at += size
        elif key & 7 == _VARINT:
            _, at = _read_varint(message, at)
        elif key & 7 in (_FIXED32, _FIXED64):
            at += 4 if key & 7 == _FIXED32 else 8
        else:
            raise OnnxFileError(f"unknown wire type {key & 7}")
        if at > len(message):
            raise OnnxFileError("the file is cut off")
        yield Field(number=key >> 3, raw=message[start:at], content=content)


def _varint(content: int) -> bytes:
    out = bytearray()
    while content > 0x7F:
        out.append(content & 0x7F | 0x80)
        content >>= 7
    out.append(content)
    return bytes(out)


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    content = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        content |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return content, at
    raise OnnxFileError("the file is cut off")
