"""Damage to the replies of a controller, and what a damaged reply still says.

Session, connection and sequence differ from run to run, so a damage says where and what, never the
outcome. Its reading of replies is the fuzzer's own: it must not share a mistake with the code.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from taktgate.plc.contract.encoding import unpack
from taktgate.plc.contract.tags import CipType, DataType, Udt
from taktgate.plc.contract.wire import ReadValue

_SPLICE_BYTES: Final = (1, 1, 2, 2, 4, 8)
_NUMBERS: Final = (0, 1, 2, 3, 4, 6, 0x1E, 0xC1, 0xC4, 0xCA, 0x2A0, 0x7F, 0x80, 0xFF, 0xFFFF)
_PLACES: Final = (range(24), range(24, 46), range(46, 50), range(50, 90), range(600))
"""Header, items, head of the message, its table, all of it."""
_TYPE_CODES: Final = {CipType.DINT: 0xC4, CipType.REAL: 0xCA, CipType.BOOL: 0xC1}
_FORMATS: Final = {CipType.DINT: "<i", CipType.REAL: "<f", CipType.BOOL: "<B"}
_MESSAGE_AT: Final = 46


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One change of a reply: what, where (modulo its length), and with what."""

    kind: str
    at: int = 0
    number: int = 0
    data: bytes = b""


def random_damage(random: Random) -> Damage:
    """Return one damage."""
    at = random.choice(random.choice(_PLACES))
    number = random.choice((random.choice(_NUMBERS), random.randrange(0x10000)))
    data = random.randbytes(random.choice((1, 2, 4, 8, 40, 300)))
    return Damage(kind=random.choice(tuple(_DAMAGES)), at=at, number=number, data=data)


def damaged(reply: bytes, damages: Sequence[Damage], *, before: bytes) -> bytes:
    """Return *reply* after *damages*; *before* is the reply to the exchange before."""
    for damage in damages:
        if not reply:
            return reply
        reply = _DAMAGES[damage.kind](reply, damage, before)
    return reply


def _flip(reply: bytes, damage: Damage, _: bytes) -> bytes:
    at = damage.at % len(reply)
    return reply[:at] + bytes((reply[at] ^ 1 << damage.number % 8,)) + reply[at + 1 :]


def _overwrite(reply: bytes, damage: Damage, _: bytes) -> bytes:
    at = damage.at % len(reply)
    return reply[:at] + struct.pack("<H", damage.number)[: len(reply) - at] + reply[at + 2 :]


def _insert(reply: bytes, damage: Damage, _: bytes) -> bytes:
    at = damage.at % len(reply)
    return reply[:at] + damage.data + reply[at:]


def _remove(reply: bytes, damage: Damage, _: bytes) -> bytes:
    at = damage.at % len(reply)
    return reply[:at] + reply[at + _SPLICE_BYTES[damage.number % len(_SPLICE_BYTES)] :]


def _cut(reply: bytes, damage: Damage, _: bytes) -> bytes:
    return reply[: damage.at % len(reply)]


def _scramble(reply: bytes, damage: Damage, _: bytes) -> bytes:
    return reply[: damage.at % len(reply)] + damage.data


def _double(reply: bytes, _: Damage, __: bytes) -> bytes:
    return reply + reply


def _old(_: bytes, __: Damage, before: bytes) -> bytes:
    return before


def _refuse(reply: bytes, damage: Damage, _: bytes) -> bytes:
    """Set the status of one service, and of the packet or not: what a refusal looks like."""
    found = _pieces(reply[_MESSAGE_AT:])
    if not found:
        return _flip(reply, Damage(kind="flip", at=48), b"")
    changed = bytearray(reply)
    at, _piece = found[damage.at % len(found)]
    changed[_MESSAGE_AT + at + 2] = (0x04, 0x05, 0x0F, 0x13, 0xFF)[damage.number % 5]
    if damage.number % 2:
        changed[48] = 0x1E
    return bytes(changed)


def _repair(reply: bytes, _: Damage, __: bytes) -> bytes:
    """Put the lengths of frame and item right, so that what lies deeper is reached."""
    if len(reply) < _MESSAGE_AT:
        return reply
    changed = bytearray(reply)
    struct.pack_into("<H", changed, 2, (len(reply) - 24) & 0xFFFF)
    struct.pack_into("<H", changed, 42, (len(reply) - 44) & 0xFFFF)
    return bytes(changed)


_DAMAGES: Final[dict[str, Callable[[bytes, Damage, bytes], bytes]]] = {
    "flip": _flip,
    "overwrite": _overwrite,
    "insert": _insert,
    "remove": _remove,
    "cut": _cut,
    "scramble": _scramble,
    "double": _double,
    "old": _old,
    "refuse": _refuse,
    "repair": _repair,
}


def answers(reply: bytes, request: bytes) -> bool:
    """Tell whether *reply* is one frame that answers *request* on its connection."""
    return (
        len(reply) >= _MESSAGE_AT
        and len(reply) == 24 + int.from_bytes(reply[2:4], "little")
        and reply[:2] == request[:2] == b"\x70\x00"
        and reply[4:8] == request[4:8]
        and reply[44:46] == request[44:46]
    )


def confirms(reply: bytes, count: int) -> bool:
    """Tell whether *reply* says of *count* writes that each was executed."""
    message = reply[_MESSAGE_AT:]
    if count == 1:
        return message == b"\xcd\0\0\0"
    pieces = _pieces(message)
    return (
        message[:4] == b"\x8a\0\0\0" and [piece for _, piece in pieces] == [b"\xcd\0\0\0"] * count
    )


def values(reply: bytes, kinds: Sequence[DataType]) -> list[ReadValue] | None:
    """Return the values of *kinds* that *reply* holds, or None where it does not hold each."""
    message = reply[_MESSAGE_AT:]
    pieces = [message] if len(kinds) == 1 else [piece for _, piece in _pieces(message)]
    if len(pieces) != len(kinds) or (len(kinds) > 1 and message[:3] != b"\x8a\0\0"):
        return None
    try:
        return [_value(piece, kind) for piece, kind in zip(pieces, kinds, strict=True)]
    except (ValueError, struct.error):
        return None


def _value(piece: bytes, kind: DataType) -> ReadValue:
    if piece[:4] != b"\xcc\0\0\0":
        raise ValueError("not read")
    if isinstance(kind, Udt):
        if piece[4:6] != b"\xa0\x02" or len(piece) != 8 + kind.size:
            raise ValueError("no structure")
        return unpack(kind, piece[8:])
    if int.from_bytes(piece[4:6], "little") != _TYPE_CODES[kind]:
        raise ValueError("another type")
    (value,) = struct.unpack_from(_FORMATS[kind], piece, 6)
    return bool(value) if kind is CipType.BOOL else value


def _pieces(message: bytes) -> list[tuple[int, bytes]]:
    """Return offset and bytes of each reply in a packet; none where it is no packet."""
    if len(message) < 6 or message[0] != 0x8A:
        return []
    data = message[4:]
    (count,) = struct.unpack_from("<H", data)
    if not 0 < count <= 200 or len(data) < 2 + 2 * count:
        return []
    starts = struct.unpack_from(f"<{count}H", data, 2)
    borders: Iterator[tuple[int, int]] = zip(starts, (*starts[1:], len(data)), strict=True)
    found = [(4 + start, data[start:end]) for start, end in borders]
    return found if all(len(piece) >= 4 for _, piece in found) else []
