"""Finds weights that an ONNX file would have read from another file: TensorProto.external_data.

A path in it may lead anywhere, and its bytes were never signed: a bundle holds `model.onnx` and no
other file of a model. Field numbers are those of onnx.proto3
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3).
"""

from collections.abc import Iterator
from typing import Final

from taktgate.bundle.protobuf import ProtobufError, fields

_DEPTH_LIMIT: Final = 32
"""Of messages within messages; more are taken for an attack on whoever reads them."""

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
    """The bytes are no ONNX model as anybody makes one."""


def external_data(model: memoryview) -> str | None:
    """Return the first file name that *model* would read weights from, None if there is none.

    Raises:
        NoOnnxError: It is cut off, is no ONNX, or lies deeper within itself than any model does.
    """
    try:
        return next(_locations(model), None)
    except ProtobufError as error:
        raise NoOnnxError(str(error)) from error


def _locations(model: memoryview) -> Iterator[str]:
    """Yield each value of `location`, in the order of the file."""
    opened = [(_MODEL, fields(model))]
    while opened:
        kind, rest = opened[-1]
        field = next(rest, None)
        if field is None:
            opened.pop()
            continue
        within = _INSIDE[kind].get(field.number)
        if within is None or not isinstance(field.value, memoryview):
            continue
        if within == _ENTRY:
            yield from _location(field.value)
        elif len(opened) > _DEPTH_LIMIT:
            raise NoOnnxError(f"messages lie deeper than {_DEPTH_LIMIT} within each other")
        else:
            opened.append((within, fields(field.value)))


def _location(entry: memoryview) -> Iterator[str]:
    """Yield the value of a StringStringEntryProto whose key is `location`."""
    texts = {
        its.number: bytes(its.value) for its in fields(entry) if isinstance(its.value, memoryview)
    }
    if texts.get(1) == b"location":
        yield texts.get(2, b"").decode("utf-8", "backslashreplace")
