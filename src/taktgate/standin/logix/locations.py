"""Where in the tag memory a request path leads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from taktgate.standin.logix.data_types import Atomic, DataType
from taktgate.standin.logix.epath import Logical, Name, Number, Segment, parse_path
from taktgate.standin.logix.errors import CipError, Extended, Status
from taktgate.standin.logix.memory import TagMemory
from taktgate.standin.logix.tag_table import PROGRAM_PREFIX, Symbol, TagTable

SYMBOL_CLASS: Final = 0x6B
_PATHS_KEPT: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """One element, or a run of elements, of a tag or of a member of it."""

    symbol: Symbol
    data_type: DataType
    offset: int
    count: int
    """Elements of this type from here to the end of the array."""
    bit: int | None = None
    """Set for a BOOL inside its hidden host."""
    is_array: bool = False
    """An index may follow in the path."""

    def span_bytes(self, elements: int) -> int:
        """Return the size of *elements* elements from here.

        Raises:
            CipError: there are not that many.
        """
        if not 0 < elements <= self.count:
            raise CipError(Status.GENERAL_ERROR, Extended.BEYOND_END)
        return elements * self.data_type.size_bytes


class Locator:
    """Resolves paths; clients repeat the same few, so answers are kept until the next download."""

    def __init__(self, memory: TagMemory) -> None:
        self._memory = memory
        self._table = memory.table
        self._known: dict[bytes, Location] = {}

    def locate(self, path: bytes) -> Location:
        """Return the location that *path* names.

        Raises:
            CipError: the tag, the member or the element does not exist.
        """
        if self._table is not self._memory.table:
            self._table = self._memory.table
            self._known.clear()
        location = self._known.get(path)
        if location is None:
            location = self._resolve(parse_path(path))
            if len(self._known) >= _PATHS_KEPT:
                self._known.clear()
            self._known[path] = location
        return location

    def _resolve(self, segments: tuple[Segment, ...]) -> Location:
        symbol, rest = base_symbol(self._table, segments)
        if symbol.system is not None:
            raise CipError(Status.PATH_DESTINATION_UNKNOWN)
        location = Location(
            symbol=symbol,
            data_type=symbol.data_type,
            offset=0,
            count=symbol.elements,
            is_array=bool(symbol.dimension),
        )
        for segment in rest:
            follow = _member if isinstance(segment, Name) else _element
            location = follow(location, segment)
        return location


def base_symbol(table: TagTable, segments: Sequence[Segment]) -> tuple[Symbol, Sequence[Segment]]:
    """Return the symbol that a path begins with, and the segments behind it.

    A path begins with a name, with a program's name and a name, or with the class of symbols and
    an instance, behind a program's name if it is one of that program (1756-PM020).

    Raises:
        CipError: there is no such symbol.
    """
    program, rest = split_program(segments)
    match rest:
        case [Name(value=name), *behind]:
            symbol = table.by_name(f"{PROGRAM_PREFIX}{program}.{name}" if program else name)
            if symbol is None:
                raise CipError(Status.PATH_SEGMENT_ERROR)
            return symbol, behind
        case [
            Number(kind=Logical.CLASS, value=number),
            Number(kind=Logical.INSTANCE, value=instance),
            *behind,
        ] if number == SYMBOL_CLASS:
            symbol = table.by_instance(program, instance)
            if symbol is not None:
                return symbol, behind
    raise CipError(Status.PATH_DESTINATION_UNKNOWN)


def split_program(segments: Sequence[Segment]) -> tuple[str, Sequence[Segment]]:
    """Return the program that a path is relative to, '' for the controller, and the rest."""
    prefix = PROGRAM_PREFIX.lower()
    match segments:
        case [Name(value=name), *rest] if rest and name.startswith(prefix):
            return name.removeprefix(prefix), rest
    return "", segments


def _element(location: Location, segment: Segment) -> Location:
    if not isinstance(segment, Number) or segment.kind is not Logical.ELEMENT:
        raise CipError(Status.PATH_SEGMENT_ERROR)
    if not location.is_array:
        raise CipError(Status.PATH_SEGMENT_ERROR)
    if segment.value >= location.count:
        raise CipError(Status.GENERAL_ERROR, Extended.BEYOND_END)
    return replace(
        location,
        offset=location.offset + segment.value * location.data_type.size_bytes,
        count=location.count - segment.value,
        is_array=False,
    )


def _member(location: Location, segment: Segment) -> Location:
    if isinstance(location.data_type, Atomic) or not isinstance(segment, Name):
        raise CipError(Status.PATH_SEGMENT_ERROR)
    field = location.data_type.members.get(segment.value)
    if field is None or location.is_array:
        raise CipError(Status.PATH_SEGMENT_ERROR)
    return Location(
        symbol=location.symbol,
        data_type=field.type,
        offset=location.offset + field.offset,
        count=max(1, field.dimension),
        bit=field.bit,
        is_array=bool(field.dimension),
    )
