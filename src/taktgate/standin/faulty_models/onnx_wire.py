"""What putting nodes into an ONNX file needs beyond `onnx_file`: rewriting, tensors of any kind."""

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final

from taktgate.bundle.protobuf import Field
from taktgate.standin.onnx_file import field, mapped, varint_field

MODEL_GRAPH: Final = 7
GRAPH_NODE: Final = 1
GRAPH_INITIALIZER: Final = 5
NODE_INPUT: Final = 1
NODE_OUTPUT: Final = 2


class Element(IntEnum):
    """TensorProto.DataType, those in use."""

    FLOAT = 1
    INT32 = 6
    INT64 = 7
    BOOL = 9


_FORMAT: Final = {Element.FLOAT: "f", Element.INT32: "i", Element.INT64: "q"}


def rewritten(message: bytes, number: int, change: Callable[[bytes], bytes]) -> bytes:
    """Return *message* with what each field *number* holds as *change* makes it.

    Raises:
        ProtobufError: the bytes are no message.
    """

    def changed(each: Field) -> bytes | memoryview:
        is_meant = each.number == number and isinstance(each.value, memoryview)
        return field(number, change(bytes(each.content()))) if is_meant else each.raw

    return mapped(message, changed)


def graph_attribute(name: str, graph: bytes) -> bytes:
    """Return an AttributeProto of type GRAPH."""
    return field(1, name.encode()) + field(6, graph) + varint_field(20, 5)


def tensor(name: str, element: Element, shape: Sequence[int], values: Sequence[float]) -> bytes:
    """Return a TensorProto; an empty *shape* is a scalar."""
    dims = b"".join(varint_field(1, dim) for dim in shape)
    data = struct.pack(f"<{len(values)}{_FORMAT[element]}", *values)
    return dims + varint_field(2, element) + field(8, name.encode()) + field(9, data)
