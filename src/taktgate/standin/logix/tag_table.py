"""The tags of one download of the controller, and how they are found."""

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from taktgate.standin.logix.data_types import Atomic, DataType, Template

PROGRAM_PREFIX: Final = "Program:"
_VERSION_STEP: Final = 0x9E37_79B1


class Access(IntEnum):
    """External access of a tag, as attribute 10 of a symbol tells it."""

    READ_WRITE = 0
    READ_ONLY = 2
    NONE = 3


class SystemType(IntEnum):
    """Symbols that are no tags: the project tree shows in the same list, marked by bit 12."""

    PROGRAM = 0x1068
    MAP = 0x1069
    ROUTINE = 0x106D
    TASK = 0x1070


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A tag of the controller or of one program (class 0x6B)."""

    instance_id: int
    """Unique in its scope; a download may give it to another tag."""
    name: str
    data_type: DataType
    dimension: int = 0
    """Number of elements of an array, else 0."""
    access: Access = Access.READ_WRITE
    program: str = ""
    """The program that it belongs to; empty in controller scope."""
    system: SystemType | None = None
    """Set for what is no tag."""

    @property
    def path(self) -> str:
        """Return the name by which clients reach it: `Program:Main.Step` or `VIS01_Sts`."""
        return f"{PROGRAM_PREFIX}{self.program}.{self.name}" if self.program else self.name

    @property
    def elements(self) -> int:
        """Return the number of elements, 1 for a scalar."""
        return max(1, self.dimension)

    @property
    def size_bytes(self) -> int:
        """Return the size of the whole tag."""
        return self.elements * self.data_type.size_bytes


class TagTable:
    """All symbols, as they stay until the next download. *version* counts the downloads."""

    def __init__(self, symbols: Iterable[Symbol], *, version: int = 1) -> None:
        self.symbols = tuple(symbols)
        self.version = version
        self._by_name = {symbol.path.lower(): symbol for symbol in self.symbols}
        self._by_instance = {
            (symbol.program.lower(), symbol.instance_id): symbol for symbol in self.symbols
        }
        self._scopes = _scopes(self.symbols)
        self.templates: Mapping[int, Template] = MappingProxyType(
            {template.instance_id: template for template in _templates(self.symbols)}
        )

    def by_name(self, path: str) -> Symbol | None:
        """Return the tag called `Name` or `Program:Main.Name` in any case, or None."""
        return self._by_name.get(path.lower())

    def by_instance(self, program: str, instance_id: int) -> Symbol | None:
        """Return the symbol with this number in a program, or in the controller for ''."""
        return self._by_instance.get((program.lower(), instance_id))

    def scope(self, program: str) -> tuple[Symbol, ...] | None:
        """Return the symbols of a program by number, or None when there is no such program."""
        return self._scopes.get(program.lower())

    def change_marks(self) -> Mapping[int, bytes]:
        """Return attributes 1, 2 (INT), 3, 4, 10 (DINT) of class 0xAC.

        A client that finds one changed uploads its tags again (1756-PM020, "Create and maintain a
        symbol object list"; libplctag issue #453). What they mean is not published; ours change
        with each download and with each difference between two tables.
        """
        stamp = (_checksum(self.symbols) + self.version * _VERSION_STEP) & 0xFFFF_FFFF
        mark = struct.pack("<I", stamp)
        audit = struct.pack("<I", zlib.crc32(mark))
        return {1: b"\x05\0", 2: b"\x01\0", 3: mark, 4: mark, 10: audit}


def _scopes(symbols: Iterable[Symbol]) -> dict[str, tuple[Symbol, ...]]:
    scopes: dict[str, list[Symbol]] = {"": []}
    for symbol in symbols:
        scopes.setdefault(symbol.program.lower(), []).append(symbol)
    return {
        program: tuple(sorted(members, key=lambda symbol: symbol.instance_id))
        for program, members in scopes.items()
    }


def _templates(symbols: Iterable[Symbol]) -> Iterator[Template]:
    waiting = [symbol.data_type for symbol in symbols]
    seen: set[int] = set()
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, Atomic) or id(kind) in seen:
            continue
        seen.add(id(kind))
        yield kind
        waiting += [field.type for field in kind.fields]


def _checksum(symbols: Iterable[Symbol]) -> int:
    checksum = 0
    for symbol in symbols:
        facts = (symbol.path, symbol.instance_id, symbol.dimension, int(symbol.access))
        checksum = zlib.crc32(repr(facts).encode() + symbol.data_type.wire_type, checksum)
    return checksum
