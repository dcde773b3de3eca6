"""The types a tag may have: Logix atomics, and UDTs as templates made from the tag table."""

import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from taktgate.plc.contract.tags import CipType, Udt

_MEMBER: Final = struct.Struct("<HHI")
_HIDDEN_HOST: Final = "ZZZZZZZZZZ"
_STRUCT_TYPE: Final = struct.pack("<H", 0x02A0)


class Atomic(Enum):
    """A Logix elementary type: type code, size in bytes, struct format."""

    BOOL = (0xC1, 1, "<?")
    SINT = (0xC2, 1, "<b")
    INT = (0xC3, 2, "<h")
    DINT = (0xC4, 4, "<i")
    REAL = (0xCA, 4, "<f")

    @property
    def code(self) -> int:
        """Return the CIP type code."""
        return self.value[0]

    @property
    def size_bytes(self) -> int:
        """Return the size of one element."""
        return self.value[1]

    @property
    def format(self) -> str:
        """Return the `struct` format of one element."""
        return self.value[2]

    @property
    def wire_type(self) -> bytes:
        """Return the type field of a read reply or write request."""
        return struct.pack("<H", self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One member of a template, hidden hosts included."""

    name: str
    type: Atomic
    offset: int
    bit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A UDT as the controller keeps it (class 0x6C)."""

    instance_id: int
    name: str
    size_bytes: int
    fields: tuple[Field, ...]
    members: Mapping[str, Field]
    """By name in lower case."""
    definition: bytes
    """What Read Template returns."""
    definition_words: int
    handle: int
    """What clients must send with a write, so that a changed type is noticed."""

    @property
    def wire_type(self) -> bytes:
        """Return the type field of a read reply or write request."""
        return _STRUCT_TYPE + struct.pack("<H", self.handle)


DataType = Atomic | Template


def template_of(udt: Udt, instance_id: int) -> Template:
    """Return the template of *udt*."""
    fields = _fields(udt)
    text = _definition(udt.name, fields)
    words = math.ceil((len(text) + 23) / 4)
    # Clients ask for `words * 4 - 21` or `- 23` bytes; pylogix waits for ever for missing ones.
    definition = text.ljust(math.ceil((words * 4 - 23) / 4) * 4, b"\0")
    return Template(
        instance_id=instance_id,
        name=udt.name,
        size_bytes=udt.size,
        fields=fields,
        members=MappingProxyType({field.name.lower(): field for field in fields}),
        definition=definition,
        definition_words=words,
        handle=zlib.crc32(text) & 0xFFFF,
    )


def _fields(udt: Udt) -> tuple[Field, ...]:
    """Return the members with the hidden SINT that Logix puts in front of each group of BOOLs."""
    fields: list[Field] = []
    hosted: set[int] = set()
    for member in udt.members:
        if member.type is CipType.BOOL and member.offset not in hosted:
            hosted.add(member.offset)
            host = f"{_HIDDEN_HOST}{udt.name[:10]}{len(fields)}"
            fields.append(Field(name=host, type=Atomic.SINT, offset=member.offset))
        kind = Atomic[member.type.value]
        fields.append(Field(name=member.name, type=kind, offset=member.offset, bit=member.bit))
    return tuple(fields)


def _definition(name: str, fields: tuple[Field, ...]) -> bytes:
    """Return the template text: member table, then names, each ended by NUL.

    Two letters per member follow the type's name: pylogix indexes them.
    """
    table = b"".join(
        _MEMBER.pack(field.bit or 0, field.type.code, field.offset) for field in fields
    )
    names = [f"{name};n" + "EC" * len(fields), *(field.name for field in fields)]
    return table + b"".join(text.encode("ascii") + b"\0" for text in names)
