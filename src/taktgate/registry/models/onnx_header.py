"""What an ONNX file says of itself, without the onnx package: a bounded walk over its messages.

Field numbers are those of onnx.proto3. Only the levels that matter are looked into, a message of a
file is a view into it, and weights are never copied. What two readers might read differently (a
graph that comes twice) and what lies outside the file (external data) is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from taktgate.bundle.manifest import BUNDLE_LIMIT_BYTES, Precision
from taktgate.registry.models.errors import OnnxFileError

FIELDS_LIMIT: Final = 2_000_000
"""Of one message; a large network has some ten thousand nodes and weights."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_IR_VERSION, _PRODUCER, _PRODUCER_VERSION, _GRAPH, _OPSET = 1, 2, 3, 7, 8
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
_OP_TYPE = 4
_DATA_TYPE, _TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 2, 8, 13, 14
_ELEMENTS: Final[Mapping[int, str]] = {1: "float32", 2: "uint8", 3: "int8", 7: "int64", 10: "fp16"}
_INTEGER_OPERATORS: Final = ("QLinear", "QuantizeLinear", "DequantizeLinear", "ConvInteger")
_TEXT_LIMIT: Final = 500

Value: TypeAlias = "int | memoryview"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or output.

    Attributes:
        element: "uint8", "float32" ..., or the number that the file gives.
        shape: A dimension that is not fixed is 0.
    """

    name: str
    element: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the file says.

    Attributes:
        producer: Name and version of the program that wrote it.
        opsets: Version by domain; the empty domain is ONNX's own.
        inputs: Those that are no weights.
    """

    ir_version: int
    producer: str
    opsets: Mapping[str, int]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: Mapping[str, int]
    precision: Precision

    @property
    def opset(self) -> int:
        """Return the version of ONNX's own operators."""
        return self.opsets.get("", 0)


@dataclass(slots=True)
class _Graph:
    operators: Counter[str]
    weights: Counter[int]
    weight_names: set[str]
    inputs: list[Tensor]
    outputs: list[Tensor]


def read_header(file: bytes) -> Header:
    """Return what the ONNX *file* says of itself.

    Raises:
        OnnxFileError: It is no ONNX model, is cut off, says a thing twice, or keeps weights in
            other files.
    """
    if len(file) > BUNDLE_LIMIT_BYTES:
        raise OnnxFileError(f"a model must be at most {BUNDLE_LIMIT_BYTES} bytes, got {len(file)}")
    found: dict[int, Value] = {}
    opsets: dict[str, int] = {}
    for number, value in fields(memoryview(file)):
        if number == _OPSET:
            domain, version = _opset(_message(value))
            if opsets.setdefault(domain, version) != version:
                raise OnnxFileError(f"the opset of domain {domain!r} must be said once")
        elif number in (_IR_VERSION, _PRODUCER, _PRODUCER_VERSION, _GRAPH):
            if number in found:
                raise OnnxFileError(f"field {number} of the model must come once")
            found[number] = value
    if _GRAPH not in found or "" not in opsets:
        raise OnnxFileError("the file must be an ONNX model: a graph and its opset are missing")
    graph = _read_graph(_message(found[_GRAPH]))
    producer = [_text(found[each]) for each in (_PRODUCER, _PRODUCER_VERSION) if each in found]
    return Header(
        ir_version=_number(found.get(_IR_VERSION, 0)),
        producer=" ".join(filter(None, producer)),
        opsets=opsets,
        inputs=tuple(its for its in graph.inputs if its.name not in graph.weight_names),
        outputs=tuple(graph.outputs),
        operators=dict(graph.operators),
        precision=_precision(graph),
    )


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield number and value of each field; a fixed-width number is yielded as its bytes.

    Raises:
        OnnxFileError: The message ends within a field, has more fields than FIELDS_LIMIT, or a wire
            type that ONNX does not use.
    """
    at = count = 0
    while at < len(message):
        count += 1
        key, at = _varint(message, at)
        kind, number = key & 7, key >> 3
        if number == 0 or count > FIELDS_LIMIT:
            raise OnnxFileError("the file must be an ONNX model: a message is damaged")
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        size, at = _size(message, at, kind)
        if at + size > len(message):
            raise OnnxFileError("the file must be an ONNX model: it is cut off")
        yield number, message[at : at + size]
        at += size


def _size(message: memoryview, at: int, kind: int) -> tuple[int, int]:
    if kind == _BYTES:
        return _varint(message, at)
    if kind in (_FIXED32, _FIXED64):
        return (4 if kind == _FIXED32 else 8), at
    raise OnnxFileError(f"the file must be an ONNX model: unknown wire type {kind}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise OnnxFileError("the file must be an ONNX model: a number is cut off or too long")


def _read_graph(message: memoryview) -> _Graph:
    graph = _Graph(Counter(), Counter(), set(), [], [])
    for number, value in fields(message):
        if number == _NODE:
            graph.operators.update(
                _text(inner) for at, inner in fields(_message(value)) if at == _OP_TYPE
            )
        elif number == _INITIALIZER:
            _add_weight(graph, _message(value))
        elif number in (_INPUT, _OUTPUT):
            (graph.inputs if number == _INPUT else graph.outputs).append(_tensor(_message(value)))
    return graph


def _add_weight(graph: _Graph, message: memoryview) -> None:
    for number, value in fields(message):
        if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
            raise OnnxFileError(
                "a model must be one file: it keeps weights outside (external data)"
            )
        if number == _DATA_TYPE:
            graph.weights[_number(value)] += 1
        elif number == _TENSOR_NAME:
            graph.weight_names.add(_text(value))


def _tensor(message: memoryview) -> Tensor:
    name, element, shape = "", 0, []
    for number, value in fields(message):
        if number == 1:
            name = _text(value)
        elif number == 2:
            kind = b"".join(
                bytes(_message(inner)) for at, inner in fields(_message(value)) if at == 1
            )
            for at, inner in fields(memoryview(kind)):
                if at == 1:
                    element = _number(inner)
                elif at == 2:
                    shape = [_dimension(_message(dim)) for _, dim in fields(_message(inner))]
    return Tensor(name=name, element=_ELEMENTS.get(element, str(element)), shape=tuple(shape))


def _dimension(message: memoryview) -> int:
    return next((_number(value) for at, value in fields(message) if at == 1), 0)


def _opset(message: memoryview) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in fields(message):
        if number == 1:
            domain = _text(value)
        elif number == 2:
            version = _number(value)
    return ("" if domain == "ai.onnx" else domain), version


def _precision(graph: _Graph) -> Precision:
    if any(name.startswith(_INTEGER_OPERATORS) for name in graph.operators):
        return "int8"
    half, single = (sum(graph.weights[each] for each in kinds) for kinds in ((10,), (1,)))
    return "fp16" if half > single else "fp32"


def _message(value: Value) -> memoryview:
    if isinstance(value, int):
        raise OnnxFileError("the file must be an ONNX model: a number where a message must be")
    return value


def _number(value: Value) -> int:
    if not isinstance(value, int):
        raise OnnxFileError("the file must be an ONNX model: a message where a number must be")
    return value


def _text(value: Value) -> str:
    data = bytes(_message(value)[: _TEXT_LIMIT + 1])
    if len(data) > _TEXT_LIMIT:
        raise OnnxFileError(f"a name in the model must be at most {_TEXT_LIMIT} bytes")
    return data.decode("utf-8", errors="replace")
