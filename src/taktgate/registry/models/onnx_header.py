"""What an ONNX file says of itself, without the onnx package: a bounded walk over its messages.

Field numbers are those of onnx.proto3. Only the levels that matter are looked into, and weights are
never copied. What two readers might read differently (a
graph that comes twice) and what lies outside the file (external data) is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from taktgate.bundle.manifest import BUNDLE_LIMIT_BYTES, Precision
from taktgate.bundle.protobuf import Field, ProtobufError, fields
from taktgate.registry.models.errors import OnnxFileError

_IR_VERSION, _PRODUCER, _PRODUCER_VERSION, _GRAPH, _OPSET = 1, 2, 3, 7, 8
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12
_OP_TYPE = 4
_DATA_TYPE, _TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 2, 8, 13, 14
_ELEMENTS: Final[Mapping[int, str]] = {1: "float32", 2: "uint8", 3: "int8", 7: "int64", 10: "fp16"}
_INTEGER_OPERATORS: Final = ("QLinear", "QuantizeLinear", "DequantizeLinear", "ConvInteger")
_TEXT_LIMIT: Final = 500


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
    try:
        return _read_model(file)
    except ProtobufError as error:
        raise OnnxFileError(f"the file must be an ONNX model: {error}") from error


def _read_model(file: bytes) -> Header:
    found: dict[int, Field] = {}
    opsets: dict[str, int] = {}
    for field in fields(file):
        if field.number == _OPSET:
            domain, version = _opset(field.content())
            if opsets.setdefault(domain, version) != version:
                raise OnnxFileError(f"the opset of domain {domain!r} must be said once")
        elif field.number in (_IR_VERSION, _PRODUCER, _PRODUCER_VERSION, _GRAPH):
            if field.number in found:
                raise OnnxFileError(f"field {field.number} of the model must come once")
            found[field.number] = field
    if _GRAPH not in found or "" not in opsets:
        raise OnnxFileError("the file must be an ONNX model: a graph and its opset are missing")
    graph = _read_graph(found[_GRAPH].content())
    producer = [_text(found[each]) for each in (_PRODUCER, _PRODUCER_VERSION) if each in found]
    return Header(
        ir_version=found[_IR_VERSION].whole() if _IR_VERSION in found else 0,
        producer=" ".join(filter(None, producer)),
        opsets=opsets,
        inputs=tuple(its for its in graph.inputs if its.name not in graph.weight_names),
        outputs=tuple(graph.outputs),
        operators=dict(graph.operators),
        precision=_precision(graph),
    )


def _read_graph(message: memoryview) -> _Graph:
    graph = _Graph(Counter(), Counter(), set(), [], [])
    for field in fields(message):
        if field.number == _NODE:
            graph.operators.update(
                _text(inner) for inner in fields(field.content()) if inner.number == _OP_TYPE
            )
        elif field.number == _INITIALIZER:
            _add_weight(graph, field.content())
        elif field.number == _INPUT:
            graph.inputs.append(_tensor(field.content()))
        elif field.number == _OUTPUT:
            graph.outputs.append(_tensor(field.content()))
    return graph


def _add_weight(graph: _Graph, message: memoryview) -> None:
    for field in fields(message):
        if field.number == _EXTERNAL_DATA or (field.number == _DATA_LOCATION and field.value != 0):
            raise OnnxFileError(
                "a model must be one file: it keeps weights outside (external data)"
            )
        if field.number == _DATA_TYPE:
            graph.weights[field.whole()] += 1
        elif field.number == _TENSOR_NAME:
            graph.weight_names.add(_text(field))


def _tensor(message: memoryview) -> Tensor:
    name, element, shape = "", 0, []
    for field in fields(message):
        if field.number == 1:
            name = _text(field)
        elif field.number == 2:
            kinds = [its.content() for its in fields(field.content()) if its.number == 1]
            for inner in fields(b"".join(kinds)):
                if inner.number == 1:
                    element = inner.whole()
                elif inner.number == 2:
                    shape = [_dimension(dim.content()) for dim in fields(inner.content())]
    return Tensor(name=name, element=_ELEMENTS.get(element, str(element)), shape=tuple(shape))


def _dimension(message: memoryview) -> int:
    return next((field.whole() for field in fields(message) if field.number == 1), 0)


def _opset(message: memoryview) -> tuple[str, int]:
    domain, version = "", 0
    for field in fields(message):
        if field.number == 1:
            domain = _text(field)
        elif field.number == 2:
            version = field.whole()
    return ("" if domain == "ai.onnx" else domain), version


def _precision(graph: _Graph) -> Precision:
    if any(name.startswith(_INTEGER_OPERATORS) for name in graph.operators):
        return "int8"
    half, single = (sum(graph.weights[each] for each in kinds) for kinds in ((10,), (1,)))
    return "fp16" if half > single else "fp32"


def _text(field: Field) -> str:
    data = bytes(field.content()[: _TEXT_LIMIT + 1])
    if len(data) > _TEXT_LIMIT:
        raise OnnxFileError(f"a name in the model must be at most {_TEXT_LIMIT} bytes")
    return data.decode("utf-8", errors="replace")
