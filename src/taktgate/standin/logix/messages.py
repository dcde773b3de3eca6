"""A CIP request and its reply, as the message router sees them."""

import struct
from dataclasses import dataclass
from typing import Final

from taktgate.standin.logix.errors import CipError, Status

REPLY_HEADER_BYTES: Final = 4
_REPLY_BIT: Final = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A service for the object at a path."""

    service: int
    path: bytes
    data: bytes
    room: int
    """Bytes that the data of the reply may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer of an object."""

    data: bytes = b""
    status: Status = Status.SUCCESS


def parse_request(message: bytes, room: int) -> Request:
    """Return the request in *message*, whose whole reply may take *room* bytes.

    Raises:
        CipError: the path runs over the end.
    """
    if len(message) < 2:
        raise CipError(Status.NOT_ENOUGH_DATA)
    end = 2 + 2 * message[1]
    if end > len(message):
        raise CipError(Status.PATH_SEGMENT_ERROR)
    return Request(
        service=message[0],
        path=message[2:end],
        data=message[end:],
        room=room - REPLY_HEADER_BYTES,
    )


def encode_reply(service: int, reply: Reply) -> bytes:
    """Return the bytes of *reply* to *service*."""
    return bytes((service | _REPLY_BIT, 0, reply.status, 0)) + reply.data


def encode_refusal(service: int, error: CipError) -> bytes:
    """Return the bytes of the reply that refuses *service*."""
    head = bytes((service | _REPLY_BIT, 0, error.status, 0 if error.extended is None else 1))
    return head if error.extended is None else head + struct.pack("<H", error.extended)
