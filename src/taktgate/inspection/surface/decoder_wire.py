"""What infer service and decoder say to each other over a stream socket: a head in JSON, a body."""

import socket
import struct
from dataclasses import dataclass
from typing import Final, TypeVar

from taktgate.contracts.codec import STRICT_DOCUMENT, decode, encode

T = TypeVar("T")
_LENGTHS: Final = struct.Struct("<II")
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The decoder's good answer; the pixels follow."""

    __pydantic_config__ = STRICT_DOCUMENT

    width: int
    height: int
    channels: int
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The decoder's other answer: what is wrong with the body."""

    __pydantic_config__ = STRICT_DOCUMENT

    status: int
    field: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What became of a body."""

    __pydantic_config__ = STRICT_DOCUMENT

    shape: Shape | None = None
    fault: Fault | None = None


def send(stream: socket.socket, head: object, body: bytes | memoryview = b"") -> None:
    """Send one message.

    Raises:
        OSError: the other end is gone, or does not read in time.
    """
    data = encode(head)
    stream.sendall(_LENGTHS.pack(len(data), len(body)) + data)
    stream.sendall(body)


def receive(stream: socket.socket, kind: type[T]) -> tuple[T, bytes]:
    """Return head and body of the next message.

    Raises:
        EOFError: the other end has closed.
        OSError: it is gone, or does not write in time.
        ContractError: it speaks nonsense.
    """
    head_bytes, body_bytes = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if head_bytes > MAX_HEAD_BYTES or body_bytes > MAX_BODY_BYTES:
        raise EOFError("the peer speaks nonsense")
    head = decode(kind, bytes(_exactly(stream, head_bytes)))
    return head, bytes(_exactly(stream, body_bytes))


def _exactly(stream: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        count = stream.recv_into(view[done:])
        if count == 0:
            raise EOFError("the peer has closed")
        done += count
    return data
