"""What the controller tells of its tags: symbols (0x6B), templates (0x6C), change marks (0xAC)."""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from taktgate.standin.logix.data_types import Template, type_code
from taktgate.standin.logix.epath import Logical, Number, Segment, parse_path
from taktgate.standin.logix.errors import CipError, Status
from taktgate.standin.logix.locations import base_symbol, split_program
from taktgate.standin.logix.memory import TagMemory
from taktgate.standin.logix.messages import Reply, Request
from taktgate.standin.logix.tag_table import Symbol

GET_ATTRIBUTE_LIST: Final = 0x03
READ_TEMPLATE: Final = 0x4C
GET_INSTANCE_ATTRIBUTE_LIST: Final = 0x55

Owner = TypeVar("Owner")

_BASE_TAG: Final = 1 << 26
"""Software control bit that tells a tag from an alias."""


def _symbol_type(symbol: Symbol) -> int:
    if symbol.system is not None:
        return symbol.system
    return type_code(symbol.data_type, symbol.dimension)


_SYMBOL_ATTRIBUTES: Final[dict[int, Callable[[Symbol], bytes]]] = {
    1: lambda symbol: struct.pack("<H", len(symbol.name)) + symbol.name.encode("ascii"),
    2: lambda symbol: struct.pack("<H", _symbol_type(symbol)),
    3: lambda symbol: struct.pack("<I", 0x1000 * symbol.instance_id),
    5: lambda symbol: struct.pack("<I", 0x100 * symbol.instance_id),
    6: lambda symbol: struct.pack("<I", _BASE_TAG),
    7: lambda symbol: struct.pack("<H", symbol.data_type.size_bytes & 0xFFFF),
    8: lambda symbol: struct.pack("<III", symbol.dimension, 0, 0),
    10: lambda symbol: bytes((symbol.access,)),
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
    """Class 0x6B: which tags there are, in the controller and in each program."""

    def __init__(self, memory: TagMemory) -> None:
        self._memory = memory

    def execute(self, request: Request) -> Reply:
        """Return attributes of one symbol, or of all from the one in the path on.

        A reply that is full has status 6; the client comes back with the last instance + 1.

        Raises:
            CipError: an attribute, the program or the path is unknown.
            struct.error: the request is too short.
        """
        segments = parse_path(request.path)
        if request.service == GET_ATTRIBUTE_LIST:
            symbol, _ = base_symbol(self._memory.table, segments)
            numbers = attribute_list(request.data)
            return Reply(data=_attributes(_SYMBOL_ATTRIBUTES, symbol, numbers))
        program, path = split_program(segments)
        symbols = self._memory.table.scope(program)
        if symbols is None:
            raise CipError(Status.PATH_SEGMENT_ERROR)
        return _page(symbols, _instance(path), request)


def _page(symbols: Sequence[Symbol], start: int, request: Request) -> Reply:
    attributes = [_known(_SYMBOL_ATTRIBUTES, number) for number in attribute_list(request.data)]
    page = bytearray()
    for symbol in symbols:
        if symbol.instance_id < start:
            continue
        entry = struct.pack("<I", symbol.instance_id)
        entry += b"".join(encode(symbol) for encode in attributes)
        if len(page) + len(entry) > request.room:
            return Reply(data=bytes(page), status=Status.PARTIAL_TRANSFER)
        page += entry
    return Reply(data=bytes(page))


class TemplateDirectory:
    """Class 0x6C: how structures are made."""

    def __init__(self, memory: TagMemory) -> None:
        self._memory = memory

    def execute(self, request: Request) -> Reply:
        """Return attributes or the definition of the template in the path.

        Raises:
            CipError: the template, the service or an attribute is unknown.
            struct.error: the request is too short.
        """
        template = self._memory.table.templates.get(_instance(parse_path(request.path)))
        if template is None:
            raise CipError(Status.PATH_DESTINATION_UNKNOWN)
        if request.service == GET_ATTRIBUTE_LIST:
            numbers = attribute_list(request.data)
            return Reply(data=_attributes(_TEMPLATE_ATTRIBUTES, template, numbers))
        if request.service == READ_TEMPLATE:
            return _definition(template, request)
        raise CipError(Status.SERVICE_NOT_SUPPORTED)


class ChangeDirectory:
    """Class 0xAC: what tells a client that the tags are no longer those that it uploaded."""

    def __init__(self, memory: TagMemory) -> None:
        self._memory = memory

    def execute(self, request: Request) -> Reply:
        """Return the change attributes that *request* lists.

        Raises:
            CipError: the service or an attribute is unknown.
            struct.error: the request is too short.
        """
        if request.service != GET_ATTRIBUTE_LIST:
            raise CipError(Status.SERVICE_NOT_SUPPORTED)
        marks = self._memory.table.change_marks()
        table = {number: _constant(mark) for number, mark in marks.items()}
        return Reply(data=_attributes(table, None, attribute_list(request.data)))


def _constant(value: bytes) -> Callable[[None], bytes]:
    return lambda _: value


def _attributes(
    table: Mapping[int, Callable[[Owner], bytes]], owner: Owner, numbers: Sequence[int]
) -> bytes:
    parts = [struct.pack("<H", len(numbers))]
    for number in numbers:
        value = _known(table, number)(owner)
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


def _known(table: Mapping[int, Callable[[Owner], bytes]], number: int) -> Callable[[Owner], bytes]:
    try:
        return table[number]
    except KeyError:
        raise CipError(Status.ATTRIBUTE_NOT_SUPPORTED) from None
