"""The controller's tag memory: bytes, the program's typed access, and a log of clients' writes."""

import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from taktgate.plc.contract.tags import Tag
from taktgate.standin.logix.data_types import Atomic, DataType, Field, Template, template_of

_FIRST_TEMPLATE: Final = 0x101
"""User-defined types have template ids 0x100..0xEFF."""
_WRITES_KEPT_NS: Final = 90_000_000_000
"""Longer than any part is on the line: its judge looks at the writes of all that time."""
_MOST_WRITES: Final = 32_768
"""Per element, whatever the clients do: room for 360 a second."""

Value = int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A controller-scope tag (class 0x6B)."""

    instance_id: int
    name: str
    data_type: DataType
    dimension: int
    read_only: bool
    """External access: clients may only read it."""

    @property
    def elements(self) -> int:
        """Return the number of elements, 1 for a scalar."""
        return max(1, self.dimension)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedWrite:
    """What one element of a tag held after a client had written to it."""

    at_ns: int
    content: bytes


def symbols_of(tags: Sequence[Tag]) -> tuple[Symbol, ...]:
    """Return the symbols for *tags*, each UDT with one template."""
    templates: dict[str, Template] = {}
    for tag in tags:
        if tag.udt.name not in templates:
            templates[tag.udt.name] = template_of(tag.udt, _FIRST_TEMPLATE + len(templates))
    return tuple(
        Symbol(
            instance_id=number,
            name=tag.name,
            data_type=templates[tag.udt.name],
            dimension=tag.dimension,
            read_only=tag.written_by == "plc",
        )
        for number, tag in enumerate(tags, start=1)
    )


class TagMemory:
    """Bytes of all tags. One thread, one event loop: no write is ever half seen."""

    def __init__(
        self, symbols: Iterable[Symbol], *, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.symbols = tuple(symbols)
        self._clock = clock
        self._by_name = {symbol.name.lower(): symbol for symbol in self.symbols}
        self._bytes = {
            symbol.name: bytearray(symbol.elements * symbol.data_type.size_bytes)
            for symbol in self.symbols
        }
        self._writes: dict[tuple[str, int], deque[LoggedWrite]] = {}

    def symbol(self, name: str) -> Symbol | None:
        """Return the tag called *name* in any case, or None."""
        return self._by_name.get(name.lower())

    def bytes_of(self, symbol: Symbol) -> bytearray:
        """Return the live bytes of a tag."""
        return self._bytes[symbol.name]

    def log_write(self, symbol: Symbol, offset: int, length: int) -> None:
        """Record that a client has written *length* bytes at *offset* of a tag."""
        now = self._clock()
        size = symbol.data_type.size_bytes
        for element in range(offset // size, (offset + length - 1) // size + 1):
            writes = self._writes.setdefault((symbol.name, element), deque(maxlen=_MOST_WRITES))
            writes.append(LoggedWrite(at_ns=now, content=self.element(symbol.name, element)))
            while writes[0].at_ns < now - _WRITES_KEPT_NS:
                writes.popleft()

    def writes(self, tag: str, element: int = 0, *, since_ns: int = 0) -> tuple[LoggedWrite, ...]:
        """Return what clients wrote to one element, oldest first; 90 s of it are kept.

        The write that stood at *since_ns* is the first.
        """
        recent: list[LoggedWrite] = []
        for write in reversed(self._writes.get((tag, element), ())):
            recent.append(write)
            if write.at_ns < since_ns:
                break
        return tuple(reversed(recent))

    def element(self, tag: str, index: int = 0) -> bytes:
        """Return a copy of one element, as the ladder's CPS makes it."""
        size = self._by_name[tag.lower()].data_type.size_bytes
        return bytes(self._bytes[tag][index * size : (index + 1) * size])

    def load(self, tag: str, member: str, index: int = 0) -> Value:
        """Return the value of a UDT member, for the controller's own program."""
        field, offset = self._locate(tag, member, index)
        data = self._bytes[tag]
        if field.bit is not None:
            return bool(data[offset] >> field.bit & 1)
        (value,) = struct.unpack_from(field.type.format, data, offset)
        return value if isinstance(value, float) else int(value)

    def store(self, tag: str, member: str, value: Value, index: int = 0) -> None:
        """Set a UDT member from the controller's own program; this is not logged."""
        field, offset = self._locate(tag, member, index)
        data = self._bytes[tag]
        if field.bit is None:
            struct.pack_into(field.type.format, data, offset, value)
        elif value:
            data[offset] |= 1 << field.bit
        else:
            data[offset] &= ~(1 << field.bit) & 0xFF

    def _locate(self, tag: str, member: str, index: int) -> tuple[Field, int]:
        data_type = self._by_name[tag.lower()].data_type
        if isinstance(data_type, Atomic):
            raise TypeError(f"{tag} is no UDT")
        field = data_type.members[member.lower()]
        return field, index * data_type.size_bytes + field.offset
