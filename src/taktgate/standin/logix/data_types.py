"""The types a tag may have: Logix atomics, and structures as templates (1756-PM020, chapter 2)."""

import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final, Union

from taktgate.plc.contract.tags import CipType, Udt

HIDDEN_HOST: Final = "ZZZZZZZZZZ"
"""Begins the name of the SINT that Logix puts in front of each group of BOOLs."""
_MEMBER: Final = struct.Struct("<HHI")
_STRUCT_TYPE: Final = struct.pack("<H", 0x02A0)
_ARRAY_BIT: Final = 0x2000
_STRUCT_BIT: Final = 0x8000


class Atomic(Enum):
    """A Logix elementary type: type code, size in bytes, struct format."""

    BOOL = (0xC1, 1, "<?")
    SINT = (0xC2, 1, "<b")
    INT = (0xC3, 2, "<h")
    DINT = (0xC4, 4, "<i")
    LINT = (0xC5, 8, "<q")
    REAL = (0xCA, 4, "<f")
    DWORD = (0xD3, 4, "<I")
    """32 BOOLs: what an array of BOOL is made of."""

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
    type: Union[Atomic, "Template"]
    offset: int
    bit: int | None = None
    """Of a BOOL inside its hidden host."""
    dimension: int = 0
    """Number of elements of an array, else 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A structure as the controller keeps it (class 0x6C)."""

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


def type_code(data_type: DataType, dimension: int) -> int:
    """Return the 16 bits that symbols and members tell their type by."""
    array = _ARRAY_BIT if dimension else 0
    if isinstance(data_type, Atomic):
        return data_type.code | array
    return _STRUCT_BIT | data_type.instance_id | array


def make_template(
    name: str,
    fields: Sequence[Field],
    *,
    instance_id: int,
    size_bytes: int,
    handle: int | None = None,
) -> Template:
    """Return the template of a structure whose layout is known.

    The handle changes with the layout, that of the structures inside included; predefined
    structures bring their own.
    """
    text = _definition(name, fields)
    inner = b"".join(field.type.wire_type for field in fields)
    words = math.ceil((len(text) + 23) / 4)
    # Clients ask for `words * 4 - 21` or `- 23` bytes; pylogix waits for ever for missing ones.
    definition = text.ljust(math.ceil((words * 4 - 23) / 4) * 4, b"\0")
    return Template(
        instance_id=instance_id,
        name=name,
        size_bytes=size_bytes,
        fields=tuple(fields),
        members=MappingProxyType({field.name.lower(): field for field in fields}),
        definition=definition,
        definition_words=words,
        handle=zlib.crc32(text + inner) & 0xFFFF if handle is None else handle,
    )


def template_of(udt: Udt, instance_id: int) -> Template:
    """Return the template of *udt*, a structure of the contract."""
    fields: list[Field] = []
    hosted: set[int] = set()
    for member in udt.members:
        if member.type is CipType.BOOL and member.offset not in hosted:
            hosted.add(member.offset)
            fields.append(hidden_host(udt.name, len(fields), member.offset))
        kind = Atomic[member.type.value]
        fields.append(Field(name=member.name, type=kind, offset=member.offset, bit=member.bit))
    return make_template(udt.name, fields, instance_id=instance_id, size_bytes=udt.size)


def hidden_host(structure: str, number: int, offset: int) -> Field:
    """Return the SINT that holds up to eight BOOLs of *structure*."""
    return Field(name=f"{HIDDEN_HOST}{structure[:10]}{number}", type=Atomic.SINT, offset=offset)


def _definition(name: str, fields: Sequence[Field]) -> bytes:
    """Return the template text: member table, then names, each ended by NUL.

    Two letters per member follow the type's name: pylogix indexes them.
    """
    table = b"".join(
        _MEMBER.pack(
            field.dimension or field.bit or 0, type_code(field.type, field.dimension), field.offset
        )
        for field in fields
    )
    names = [f"{name};n" + "EC" * len(fields), *(field.name for field in fields)]
    return table + b"".join(text.encode("ascii") + b"\0" for text in names)
