"""Request paths: padded EPATH bytes to segments (CIP Volume 1, appendix C)."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from taktgate.standin.logix.errors import CipError, Status

_SYMBOL: Final = 0x91
_LOGICAL: Final = 0x20
_LOGICAL_MASK: Final = 0xE0
_MAX_NAME_BYTES: Final = 40


class Logical(IntEnum):
    """Kinds of logical segment, as in bits 2-4 of its first byte."""

    CLASS = 0x00
    INSTANCE = 0x04
    ELEMENT = 0x08
    ATTRIBUTE = 0x10


@dataclass(frozen=True, slots=True)
class Number:
    """A logical segment: a class, an instance, an element or an attribute."""

    kind: Logical
    value: int


@dataclass(frozen=True, slots=True)
class Name:
    """A symbolic segment: a tag or a member. Logix ignores case, so it is kept in lower case."""

    value: str


Segment = Number | Name


def parse_path(path: bytes) -> tuple[Segment, ...]:
    """Return the segments of *path*.

    Raises:
        CipError: a segment is of an unknown kind or runs over the end.
    """
    segments: list[Segment] = []
    position = 0
    try:
        while position < len(path):
            parse = _parse_name if path[position] == _SYMBOL else _parse_number
            segment, position = parse(path, position)
            segments.append(segment)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise CipError(Status.PATH_SEGMENT_ERROR) from error
    return tuple(segments)


def _parse_name(path: bytes, position: int) -> tuple[Segment, int]:
    length = path[position + 1]
    start = position + 2
    name = path[start : start + length]
    if len(name) < length or not 0 < length <= _MAX_NAME_BYTES:
        raise CipError(Status.PATH_SEGMENT_ERROR)
    return Name(name.decode("ascii").lower()), start + length + length % 2


def _parse_number(path: bytes, position: int) -> tuple[Segment, int]:
    head = path[position]
    size = head & 0x03
    try:
        kind = Logical(head & 0x1C)
    except ValueError as error:
        raise CipError(Status.PATH_SEGMENT_ERROR) from error
    if head & _LOGICAL_MASK != _LOGICAL or size == 0x03:
        raise CipError(Status.PATH_SEGMENT_ERROR)
    if size == 0:
        return Number(kind, path[position + 1]), position + 2
    layout, width = ("<H", 4) if size == 1 else ("<I", 6)
    (value,) = struct.unpack_from(layout, path, position + 2)
    return Number(kind, value), position + width
