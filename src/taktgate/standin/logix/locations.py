"""Where in the tag memory a request path leads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from taktgate.standin.logix.data_types import Atomic, DataType
from taktgate.standin.logix.epath import Logical, Name, Number, Segment, parse_path
from taktgate.standin.logix.errors import CipError, Extended, Status
from taktgate.standin.logix.memory import Symbol, TagMemory

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

    def span_bytes(self, elements: int) -> int:
        """Return the size of *elements* elements from here.

        Raises:
            CipError: there are not that many.
        """
        if not 0 < elements <= self.count:
            raise CipError(Status.GENERAL_ERROR, Extended.BEYOND_END)
        return elements * self.data_type.size_bytes


class Locator:
    """Resolves paths; clients repeat the same few, so answers are kept."""

    def __init__(self, memory: TagMemory) -> None:
        self._memory = memory
        self._by_instance = {symbol.instance_id: symbol for symbol in memory.symbols}
        self._known: dict[bytes, Location] = {}

    def locate(self, path: bytes) -> Location:
        """Return the location that *path* names.

        Raises:
            CipError: the tag, the member or the element does not exist.
        """
        location = self._known.get(path)
        if location is None:
            location = self._resolve(parse_path(path))
            if len(self._known) >= _PATHS_KEPT:
                self._known.clear()
            self._known[path] = location
        return location

    def _resolve(self, segments: tuple[Segment, ...]) -> Location:
        symbol, rest = self._base(segments)
        location = Location(
            symbol=symbol, data_type=symbol.data_type, offset=0, count=symbol.elements
        )
        if rest and isinstance(rest[0], Number):
            location = _element(location, rest[0])
            rest = rest[1:]
        for segment in rest:
            location = _member(location, segment)
        return location

    def _base(self, segments: tuple[Segment, ...]) -> tuple[Symbol, Sequence[Segment]]:
        symbol: Symbol | None = None
        used = 1
        if segments and isinstance(segments[0], Name):
            symbol = self._memory.symbol(segments[0].value)
            if symbol is None:
                raise CipError(Status.PATH_SEGMENT_ERROR)
        elif len(segments) > 1 and segments[0] == Number(Logical.CLASS, SYMBOL_CLASS):
            used = 2
            second = segments[1]
            if isinstance(second, Number) and second.kind is Logical.INSTANCE:
                symbol = self._by_instance.get(second.value)
        if symbol is None:
            raise CipError(Status.PATH_DESTINATION_UNKNOWN)
        return symbol, segments[used:]


def _element(location: Location, segment: Number) -> Location:
    symbol = location.symbol
    if segment.kind is not Logical.ELEMENT or not symbol.dimension:
        raise CipError(Status.PATH_SEGMENT_ERROR)
    if segment.value >= symbol.dimension:
        raise CipError(Status.GENERAL_ERROR, Extended.BEYOND_END)
    return Location(
        symbol=symbol,
        data_type=symbol.data_type,
        offset=segment.value * symbol.data_type.size_bytes,
        count=symbol.dimension - segment.value,
    )


def _member(location: Location, segment: Segment) -> Location:
    if isinstance(location.data_type, Atomic) or not isinstance(segment, Name):
        raise CipError(Status.PATH_SEGMENT_ERROR)
    field = location.data_type.members.get(segment.value)
    if field is None:
        raise CipError(Status.PATH_SEGMENT_ERROR)
    return Location(
        symbol=location.symbol,
        data_type=field.type,
        offset=location.offset + field.offset,
        count=1,
        bit=field.bit,
    )
