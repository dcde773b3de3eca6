"""CIP messages to a Logix controller and what they are answered: both sides of each, without I/O.

Tags are named by symbolic path only: instance ids change with a download (CIP Volume 1, appendix C;
tag services: 1756-PM020). Nothing of a reply is used before all of it has been checked.
"""

import itertools
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from taktgate.plc.contract.encoding import unpack, unpack_atomic
from taktgate.plc.contract.tags import CipType, DataType, Udt
from taktgate.plc.contract.wire import ReadValue, TagRead
from taktgate.plc.errors import LinkDeadError

REPLY: Final = 0x80
"""Set in the service code of a reply."""
PARTLY_REFUSED: Final = 0x1E
"""General status of a Multiple Service Packet of which a service was refused."""

_SEGMENT: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_:]*)(?:\[(?P<index>[0-9]+)\])?")
_STRUCTURE: Final = 0x02A0
_ATOMICS: Final = {CipType.DINT: (0xC4, 4), CipType.REAL: (0xCA, 4), CipType.BOOL: (0xC1, 1)}
"""Type code and bytes (1756-PM020, "Logix data types")."""
_BOOLS: Final = (b"\0", b"\1", b"\xff")
_ONE_ELEMENT: Final = struct.pack("<H", 1)
_HEAD_BYTES: Final = 4
_WORDS: Final = {
    0x01: "connection failure",
    0x04: "no such tag or member",
    0x05: "no such object",
    0x06: "only a part of it fits",
    0x08: "service not supported",
    0x0F: "no external access",
    0x13: "too little data",
    0x1E: "a service of the packet was refused",
    0xFF: "general error",
    0x0100: "connection is in use",
    0x0107: "no such connection",
    0x0109: "connection size refused",
    0x0113: "out of connections",
    0x2105: "beyond the end of the tag",
    0x2107: "another type",
}


class Service(IntEnum):
    """Service codes of a request."""

    GET_ATTRIBUTES_ALL = 0x01
    GET_ATTRIBUTE_LIST = 0x03
    MULTIPLE_SERVICE_PACKET = 0x0A
    READ_TAG = 0x4C
    WRITE_TAG = 0x4D
    FORWARD_CLOSE = 0x4E
    UNCONNECTED_SEND = 0x52
    FORWARD_OPEN = 0x54
    LARGE_FORWARD_OPEN = 0x5B


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one service came to. `data` is there only when it was not refused."""

    status: int
    extended: tuple[int, ...] = ()
    data: bytes = b""

    @property
    def is_good(self) -> bool:
        """True when the service was executed."""
        return self.status == 0

    def __str__(self) -> str:
        codes = (self.status, *self.extended)
        return ", ".join(f"{_WORDS.get(code, 'status')} (0x{code:02X})" for code in codes)


def tag_path(path: str) -> bytes:
    """Return the symbolic path of *path*, as in `VIS01_Result[3]` or `VIS01_Sts.BootId`.

    Raises:
        ValueError: it is none: our bug.
    """
    parts: list[bytes] = []
    for text in path.split("."):
        found = _SEGMENT.fullmatch(text)
        if found is None:
            raise ValueError(f"path must be names and indices, is {path!r}")
        name = found["name"].encode("ascii")
        parts += (bytes((0x91, len(name))), name, bytes(len(name) % 2))
        if found["index"] is not None:
            parts.append(_element(int(found["index"])))
    return b"".join(parts)


def _element(index: int) -> bytes:
    return bytes((0x28, index)) if index < 0x100 else struct.pack("<BxH", 0x29, index)


def object_path(class_id: int, instance: int = 1) -> bytes:
    """Return the logical path of an object; both numbers are below 256."""
    return bytes((0x20, class_id, 0x24, instance))


def request(service: int, path: bytes, data: bytes = b"") -> bytes:
    """Return the message that asks for *service* of what is at *path*."""
    return bytes((service, len(path) // 2)) + path + data


def read_tag(path: str) -> bytes:
    """Return the message that reads one element."""
    return request(Service.READ_TAG, tag_path(path), _ONE_ELEMENT)


def write_tag(path: str, type_field: bytes, data: bytes) -> bytes:
    """Return the message that writes one element; it ends with *data*."""
    return request(Service.WRITE_TAG, tag_path(path), type_field + _ONE_ELEMENT + data)


def several(messages: Sequence[bytes]) -> bytes:
    """Return one message for *messages*: a Multiple Service Packet, unless it is only one."""
    if len(messages) == 1:
        return messages[0]
    head = request(Service.MULTIPLE_SERVICE_PACKET, object_path(0x02))
    return head + _table(messages) + b"".join(messages)


def confirmation_of_writes(count: int) -> bytes:
    """Return the one reply to *count* writes in a packet that says that all were executed."""
    replies = [bytes((Service.WRITE_TAG | REPLY, 0, 0, 0))] * count
    if count == 1:
        return replies[0]
    head = bytes((Service.MULTIPLE_SERVICE_PACKET | REPLY, 0, 0, 0))
    return head + _table(replies) + b"".join(replies)


def _table(messages: Sequence[bytes]) -> bytes:
    """Return count and offsets; an offset counts from the count's first byte (PM020, chapter 1)."""
    offsets = [2 + 2 * len(messages)]
    for message in messages[:-1]:
        offsets.append(offsets[-1] + len(message))
    return struct.pack(f"<{1 + len(offsets)}H", len(offsets), *offsets)


def parse_answers(message: bytes, services: Sequence[int]) -> list[Answer]:
    """Return the answer to each of *services*, which `several` put into one message.

    Raises:
        LinkDeadError: *message* is no reply to them, or refuses all of them at once.
    """
    if len(services) == 1:
        return [parse_answer(message, services[0])]
    return parse_packet(message, services)


def parse_packet(message: bytes, services: Sequence[int]) -> list[Answer]:
    """Return the answer to each of *services* in the reply to a Multiple Service Packet.

    Raises:
        LinkDeadError: *message* is no reply to them, or refuses all of them at once.
    """
    whole = parse_answer(message, Service.MULTIPLE_SERVICE_PACKET)
    if whole.status not in (0, PARTLY_REFUSED) or whole.extended:
        raise LinkDeadError(f"the request was refused: {whole}")
    pieces = _pieces(whole.data, len(services))
    answers = [parse_answer(*each) for each in zip(pieces, services, strict=True)]
    if whole.status == PARTLY_REFUSED and all(answer.is_good for answer in answers):
        raise LinkDeadError("reply says that a service was refused, and shows none")
    return answers


def parse_answer(message: bytes, service: int) -> Answer:
    """Return the answer to *service* in *message*.

    Raises:
        LinkDeadError: it answers something else, or runs over the end.
    """
    if len(message) < _HEAD_BYTES or message[0] != service | REPLY or message[1] != 0:
        raise LinkDeadError(f"no reply to service 0x{service:02X}: {message[:8].hex()}")
    status, words = message[2], message[3]
    end = _HEAD_BYTES + 2 * words
    if end > len(message):
        raise LinkDeadError("status of a reply runs over its end")
    if status == 0 and (words or (service == Service.WRITE_TAG and len(message) > end)):
        raise LinkDeadError("confirmation with something behind it")
    extended = struct.unpack_from(f"<{words}H", message, _HEAD_BYTES)
    # Of a packet that was refused in part the data tells which part.
    has_data = status in (0, PARTLY_REFUSED)
    return Answer(status=status, extended=extended, data=message[end:] if has_data else b"")


def _pieces(data: bytes, count: int) -> list[bytes]:
    """Return the replies in the data of a packet, which has to hold *count* and nothing else."""
    start = 2 + 2 * count
    if len(data) < start or int.from_bytes(data[:2], "little") != count:
        raise LinkDeadError(f"a packet of {count} services has another number of replies")
    offsets = (*struct.unpack_from(f"<{count}H", data, 2), len(data))
    gaps = itertools.pairwise(offsets)
    if offsets[0] != start or any(end - begin < _HEAD_BYTES for begin, end in gaps):
        raise LinkDeadError("offsets of a packet's replies are not in order")
    return [data[begin:end] for begin, end in itertools.pairwise(offsets)]


def type_field(kind: DataType, handles: Mapping[str, int]) -> bytes:
    """Return how a request or a reply names the type; *handles* are those of the structures.

    Raises:
        ValueError: a structure's handle is not known.
    """
    if not isinstance(kind, Udt):
        return struct.pack("<H", _ATOMICS[kind][0])
    if kind.name not in handles:
        raise ValueError(f"structure handle of {kind.name} is not known")
    return struct.pack("<HH", _STRUCTURE, handles[kind.name])


def check_writes(message: bytes, paths: Sequence[str]) -> None:
    """Accept *message* when it says of each write to *paths* that it was executed.

    Raises:
        LinkDeadError: names the first tag that was refused, or says why it is no such reply.
    """
    answers = parse_answers(message, [Service.WRITE_TAG] * len(paths))
    for path, answer in zip(paths, answers, strict=True):
        if not answer.is_good:
            raise LinkDeadError(f"tag {path}: {answer}")


def values_in(
    message: bytes, reads: Sequence[TagRead], handles: Mapping[str, int]
) -> list[ReadValue]:
    """Return the value of each of *reads* in the reply to a request for them.

    Raises:
        LinkDeadError: names the first tag that was refused, or is of another type.
        ValueError: a structure's handle is not known.
    """
    answers = parse_answers(message, [Service.READ_TAG] * len(reads))
    values: list[ReadValue] = []
    for read, answer in zip(reads, answers, strict=True):
        if not answer.is_good:
            raise LinkDeadError(f"tag {read.path}: {answer}")
        try:
            values.append(value_in(answer.data, read.type, type_field(read.type, handles)))
        except LinkDeadError as error:
            raise LinkDeadError(f"tag {read.path}: {error}") from error
    return values


def handle_in(data: bytes) -> int | None:
    """Return the structure handle in what a read came to, or None: it was no structure."""
    if len(data) < 4 or int.from_bytes(data[:2], "little") != _STRUCTURE:
        return None
    return int.from_bytes(data[2:4], "little")


def value_in(data: bytes, kind: DataType, wanted: bytes) -> ReadValue:
    """Return the value in what a read came to: type field *wanted*, then one element of *kind*.

    Raises:
        LinkDeadError: it is of another type or size.
    """
    if data[: len(wanted)] != wanted:
        raise LinkDeadError(f"is of type {data[: len(wanted)].hex()}, not {wanted.hex()}")
    element = data[len(wanted) :]
    size = kind.size if isinstance(kind, Udt) else _ATOMICS[kind][1]
    # An odd number of bytes may be filled up to a word.
    if len(element) != size and not (size % 2 and element[size:] == b"\0"):
        raise LinkDeadError(f"has {len(element)} bytes, not {size}")
    element = element[:size]
    if isinstance(kind, Udt):
        return unpack(kind, element)
    if kind is CipType.BOOL and element not in _BOOLS:
        raise LinkDeadError(f"is 0x{element.hex()}, no BOOL")
    return unpack_atomic(kind, element)
