"""What the controller tells about its tags: classes 0x6B (symbols) and 0x6C (templates)."""

import struct
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from taktgate.standin.logix.data_types import Atomic, Template
from taktgate.standin.logix.epath import Logical, Number, Segment, parse_path
from taktgate.standin.logix.errors import CipError, Status
from taktgate.standin.logix.memory import Symbol
from taktgate.standin.logix.messages import Reply, Request

GET_ATTRIBUTE_LIST: Final = 0x03
READ_TEMPLATE: Final = 0x4C
GET_INSTANCE_ATTRIBUTE_LIST: Final = 0x55

Owner = TypeVar("Owner")

_STRUCT_BIT: Final = 0x8000
_DIMENSION_SHIFT: Final = 13
_BASE_TAG: Final = 1 << 26
"""Software control bit that tells a tag from an alias."""
_READ_WRITE: Final = 0
_READ_ONLY: Final = 2


def _symbol_type(symbol: Symbol) -> int:
    array = (1 << _DIMENSION_SHIFT) if symbol.dimension else 0
    if isinstance(symbol.data_type, Atomic):
        return symbol.data_type.code | array
    return _STRUCT_BIT | symbol.data_type.instance_id | array


_SYMBOL_ATTRIBUTES: Final[dict[int, Callable[[Symbol], bytes]]] = {
    1: lambda symbol: struct.pack("<H", len(symbol.name)) + symbol.name.encode("ascii"),
    2: lambda symbol: struct.pack("<H", _symbol_type(symbol)),
    3: lambda symbol: struct.pack("<I", 0x1000 * symbol.instance_id),
    5: lambda symbol: struct.pack("<I", 0x100 * symbol.instance_id),
    6: lambda symbol: struct.pack("<I", _BASE_TAG),
    7: lambda symbol: struct.pack("<H", symbol.data_type.size_bytes),
    8: lambda symbol: struct.pack("<III", symbol.dimension, 0, 0),
    10: lambda symbol: bytes((_READ_ONLY if symbol.read_only else _READ_WRITE,)),
}

_TEMPLATE_ATTRIBUTES: Final[dict[int, Callable[[Template], bytes]]] = {
    1: lambda template: struct.pack("<H", template.handle),
    2: lambda template: struct.pack("<H", len(template.fields)),
    # pylogix unpacks at fixed offsets and needs attribute 3 as a UINT.
    3: lambda template: struct.pack("<H", 0),
    4: lambda template: struct.pack("<I", template.definition_words),
    5: lambda template: struct.pack("<I", template.size_bytes),
}


def attribute_list(data: bytes) -> tuple[int, ...]:
    """Return the attribute numbers that a Get…List request asks for.

    Raises:
        struct.error: there are fewer than the request says.
    """
    (count,) = struct.unpack_from("<H", data)
    return struct.unpack_from(f"<{count}H", data, 2)


class SymbolDirectory:
    """Class 0x6B: which tags there are."""

    def __init__(self, symbols: Sequence[Symbol]) -> None:
        self._symbols = sorted(symbols, key=lambda symbol: symbol.instance_id)

    def execute(self, request: Request) -> Reply:
        """Return the attributes of all symbols from the instance in the path on.

        A reply that is full has status 6; the client comes back with the last instance + 1.

        Raises:
            CipError: an attribute or the path is unknown.
            struct.error: the request is too short.
        """
        start = _instance(parse_path(request.path))
        attributes = [_known(_SYMBOL_ATTRIBUTES, number) for number in attribute_list(request.data)]
        page = b""
        for symbol in self._symbols:
            if symbol.instance_id < start:
                continue
            entry = struct.pack("<I", symbol.instance_id)
            entry += b"".join(encode(symbol) for encode in attributes)
            if len(page) + len(entry) > request.room:
                return Reply(data=page, status=Status.PARTIAL_TRANSFER)
            page += entry
        return Reply(data=page)


class TemplateDirectory:
    """Class 0x6C: how UDTs are made."""

    def __init__(self, symbols: Sequence[Symbol]) -> None:
        self._templates = {
            symbol.data_type.instance_id: symbol.data_type
            for symbol in symbols
            if isinstance(symbol.data_type, Template)
        }

    def execute(self, request: Request) -> Reply:
        """Return attributes or the definition of the template in the path.

        Raises:
            CipError: the template, the service or an attribute is unknown.
            struct.error: the request is too short.
        """
        template = self._templates.get(_instance(parse_path(request.path)))
        if template is None:
            raise CipError(Status.PATH_DESTINATION_UNKNOWN)
        if request.service == GET_ATTRIBUTE_LIST:
            return Reply(data=_attributes(template, attribute_list(request.data)))
        if request.service == READ_TEMPLATE:
            return _definition(template, request)
        raise CipError(Status.SERVICE_NOT_SUPPORTED)


def _attributes(template: Template, numbers: Sequence[int]) -> bytes:
    parts = [struct.pack("<H", len(numbers))]
    for number in numbers:
        value = _known(_TEMPLATE_ATTRIBUTES, number)(template)
        parts += (struct.pack("<HH", number, Status.SUCCESS), value)
    return b"".join(parts)


def _definition(template: Template, request: Request) -> Reply:
    offset, length = struct.unpack_from("<IH", request.data)
    wanted = template.definition[offset : offset + length]
    if len(wanted) > request.room:
        return Reply(data=wanted[: request.room], status=Status.PARTIAL_TRANSFER)
    return Reply(data=wanted)


def _instance(segments: Sequence[Segment]) -> int:
    if len(segments) == 2:
        segment = segments[1]
        if isinstance(segment, Number) and segment.kind is Logical.INSTANCE:
            return segment.value
    raise CipError(Status.PATH_DESTINATION_UNKNOWN)


def _known(table: dict[int, Callable[[Owner], bytes]], number: int) -> Callable[[Owner], bytes]:
    try:
        return table[number]
    except KeyError:
        raise CipError(Status.ATTRIBUTE_NOT_SUPPORTED) from None
