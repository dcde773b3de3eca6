"""The controller's tag memory: bytes, the program's typed access, and a log of clients' writes."""

import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from taktgate.plc.contract.tags import CipType, Tag, Udt
from taktgate.standin.logix.data_types import Atomic, DataType, Field, Template, template_of
from taktgate.standin.logix.tag_table import Access, Symbol, TagTable
from taktgate.standin.logix.write_log import LoggedWrite, Origin, WriteLog

__all__ = ["LoggedWrite", "Symbol", "TagMemory", "Value", "symbols_of"]

FIRST_TEMPLATE = 0x101
"""User-defined types have template ids 0x100..0xEFF."""

Value = int | float | bool


def symbols_of(tags: Sequence[Tag]) -> tuple[Symbol, ...]:
    """Return the symbols for *tags*, each UDT with one template."""
    types: dict[Udt | CipType, DataType] = {kind: Atomic[kind.value] for kind in CipType}
    udts = dict.fromkeys(tag.type for tag in tags if isinstance(tag.type, Udt))
    for number, udt in enumerate(udts, start=FIRST_TEMPLATE):
        types[udt] = template_of(udt, number)
    return tuple(
        Symbol(
            instance_id=number,
            name=tag.name,
            data_type=types[tag.type],
            dimension=tag.dimension,
            access=Access.READ_ONLY if tag.written_by == "plc" else Access.READ_WRITE,
        )
        for number, tag in enumerate(tags, start=1)
    )


class TagMemory:
    """Bytes of all tags. One thread, one event loop: no write is ever half seen.

    A download replaces the table; who keeps things by table compares `table` for identity.
    """

    def __init__(
        self, symbols: Iterable[Symbol], *, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.table = TagTable(symbols)
        self.log = WriteLog()
        self._clock = clock
        self._bytes = {symbol.path: bytearray(symbol.size_bytes) for symbol in self.symbols}

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """Return the symbols of the table in force."""
        return self.table.symbols

    def install(self, symbols: Iterable[Symbol], *, keeps_values: bool = True) -> None:
        """Replace the tag table, as a download does; all of it or, on an error, nothing.

        With *keeps_values* a tag whose type is unchanged keeps its value, as after an online edit
        or when the engineer uploads tag values before; a new or changed one is zero. That is the
        worse case for safety: an old PASS survives. Without, all are zero, as a plain download
        brings the values that were saved with the project.
        """
        table = TagTable(symbols, version=self.table.version + 1)
        kept = self._kept(table) if keeps_values else {}
        self._bytes = {
            symbol.path: kept.get(symbol.path) or bytearray(symbol.size_bytes)
            for symbol in table.symbols
        }
        self.table = table

    def _kept(self, table: TagTable) -> Mapping[str, bytearray]:
        return {
            old.path: self._bytes[old.path]
            for old in self.symbols
            if (new := table.by_name(old.path)) is not None and _shape(new) == _shape(old)
        }

    def symbol(self, name: str) -> Symbol | None:
        """Return the tag called *name* in any case, or None."""
        return self.table.by_name(name)

    def fits(self, tags: Sequence[Tag]) -> bool:
        """Tell whether *tags* are there as the contract has them: the program can run on them."""
        wanted = symbols_of(tags)
        found = [self.table.by_name(symbol.path) for symbol in wanted]
        return all(
            symbol is not None and _shape(symbol) == _shape(wish)
            for symbol, wish in zip(found, wanted, strict=True)
        )

    def bytes_of(self, symbol: Symbol) -> bytearray:
        """Return the live bytes of a tag."""
        return self._bytes[symbol.path]

    def write(
        self, symbol: Symbol, offset: int, value: bytes, *, origin: Origin | None = None
    ) -> None:
        """Put what a client sends into a tag, and log each element that it touches."""
        data = self._bytes[symbol.path]
        size = symbol.data_type.size_bytes
        end = offset + len(value)
        begin = offset // size * size
        before = bytes(data[begin : -(-end // size) * size])
        data[offset:end] = value
        client, request, order = origin or self.log.origin
        now = self._clock()
        for start in range(begin, end, size):
            first, last = max(offset, start), min(end, start + size)
            self.log.add(
                LoggedWrite(
                    at_ns=now,
                    content=bytes(data[start : start + size]),
                    previous=before[start - begin : start - begin + size],
                    tag=symbol.path,
                    element=start // size,
                    offset=first - start,
                    length=last - first,
                    client=client,
                    request=request,
                    order=order,
                    number=self.log.next_number(),
                )
            )

    def writes(self, tag: str, element: int = 0, *, since_ns: int = 0) -> tuple[LoggedWrite, ...]:
        """Return what clients wrote to one element, oldest first; 90 s of it are kept.

        The write that stood at *since_ns* is the first.
        """
        return self.log.of_element(tag, element, since_ns)

    def element(self, tag: str, index: int = 0) -> bytes:
        """Return a copy of one element, as the ladder's CPS makes it."""
        symbol = self._known(tag)
        size = symbol.data_type.size_bytes
        return bytes(self._bytes[symbol.path][index * size : (index + 1) * size])

    def whole(self, tag: str) -> bytes:
        """Return a copy of all elements."""
        return bytes(self._bytes[self._known(tag).path])

    def load(self, tag: str, member: str, index: int = 0) -> Value:
        """Return the value of a UDT member, for the controller's own program."""
        field, data, offset = self._locate(tag, member, index)
        if field.bit is not None:
            return bool(data[offset] >> field.bit & 1)
        (value,) = struct.unpack_from(_atomic(field.type).format, data, offset)
        return value if isinstance(value, float) else int(value)

    def store(self, tag: str, member: str, value: Value, index: int = 0) -> None:
        """Set a UDT member from the controller's own program; this is not logged."""
        field, data, offset = self._locate(tag, member, index)
        if field.bit is None:
            struct.pack_into(_atomic(field.type).format, data, offset, value)
        elif value:
            data[offset] |= 1 << field.bit
        else:
            data[offset] &= ~(1 << field.bit) & 0xFF

    def _known(self, tag: str) -> Symbol:
        symbol = self.table.by_name(tag)
        if symbol is None:
            raise KeyError(tag)
        return symbol

    def _locate(self, tag: str, member: str, index: int) -> tuple[Field, bytearray, int]:
        symbol = self._known(tag)
        data_type = symbol.data_type
        if not isinstance(data_type, Template):
            raise TypeError(f"{tag} is no UDT")
        field = data_type.members[member.lower()]
        return field, self._bytes[symbol.path], index * data_type.size_bytes + field.offset


def _atomic(data_type: DataType) -> Atomic:
    if isinstance(data_type, Template):
        raise TypeError(f"{data_type.name} is a structure")
    return data_type


def _shape(symbol: Symbol) -> tuple[bytes, int]:
    return symbol.data_type.wire_type, symbol.dimension
