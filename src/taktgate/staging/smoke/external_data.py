"""Finds weights that an ONNX file would have read from another file: TensorProto.external_data.

A path in it may lead anywhere, and its bytes were never signed: a bundle holds `model.onnx` and no
other file of a model. Field numbers are those of onnx.proto3
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from collections.abc import Iterator
from typing import Final

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES: Final = {_FIXED64: 8, _FIXED32: 4}
_DEPTH_LIMIT: Final = 32
"""Of graphs within graphs; more are taken for an attack on whoever reads them."""

_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _FUNCTION, _TRAINING, _ENTRY = range(9)
_INSIDE: Final = {
    _MODEL: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {13: _ENTRY},
}
"""Which fields of a message hold which message."""


class NoOnnxError(ValueError):
    """The bytes are no protocol buffer as ONNX has them."""


def external_data(model: memoryview) -> str | None:
    """Return the first file name that *model* would read weights from, None if there is none.

    Raises:
        NoOnnxError: it is cut off, or no ONNX.
    """
    return next(_locations(model, _MODEL, 0), None)


def _locations(message: memoryview, kind: int, depth: int) -> Iterator[str]:
    if depth > _DEPTH_LIMIT:
        raise NoOnnxError(f"graphs lie deeper than {_DEPTH_LIMIT} within each other")
    inside = _INSIDE[kind]
    for number, content in _fields(message):
        within = inside.get(number)
        if within is None or content is None:
            continue
        if within == _ENTRY:
            yield from _location(content)
        else:
            yield from _locations(content, within, depth + 1)


def _location(entry: memoryview) -> Iterator[str]:
    """Yield the value of a StringStringEntryProto whose key is `location`."""
    texts = {number: bytes(text) for number, text in _fields(entry) if text is not None}
    if texts.get(1) == b"location":
        yield texts.get(2, b"").decode("utf-8", "backslashreplace")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | None]]:
    """Yield number and content of each field; None for what is a number."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        content = None
        if wire == _VARINT:
            _, at = _varint(message, at)
        elif wire == _BYTES:
            size, at = _varint(message, at)
            content = message[at : at + size]
            at += size
        elif wire in _FIXED_BYTES:
            at += _FIXED_BYTES[wire]
        else:
            raise NoOnnxError(f"field {key >> 3} has the unknown wire type {wire}")
        if at > len(message):
            raise NoOnnxError(f"field {key >> 3} is cut off")
        yield key >> 3, content


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
    raise NoOnnxError("a number is cut off")
