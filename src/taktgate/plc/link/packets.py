"""EtherNet/IP frames of one session and its connection: requests, and why a reply is not believed.

Sources: encapsulation CIP Volume 2, chapter 2; Forward Open CIP Volume 1, 3-5.5. No I/O.
The stand-in controller has a codec of its own, on purpose: see `standin/logix/__init__.py`.
"""

import ipaddress
import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from taktgate.plc.errors import LinkDeadError, LinkRefusedError
from taktgate.plc.link.cip import REPLY, Answer, Service, object_path, request

HEADER_BYTES: Final = 24
LARGE_BYTES: Final = 4000
SMALL_BYTES: Final = 500
"""Connection sizes every Logix grants: by Large Forward Open, and by the one before it."""
MOST_BYTES: Final = HEADER_BYTES + 4096
"""The longest frame that is believed: no connection of ours carries as much."""
SEQUENCE_BYTES: Final = 2
"""Of the connection size, the sequence count takes these."""
SEQUENCE_AT: Final = 44
MESSAGE_AT: Final = 46
"""Of the CIP message in a frame on a connection."""
_UNCONNECTED_AT: Final = 40

_HEADER: Final = struct.Struct("<HHII8sI")
_NO_CONTEXT: Final = bytes(8)
_CONNECTED: Final = struct.Struct("<IHHHHIHH")
_UNCONNECTED: Final = struct.Struct("<IHHHHHH")
_LIMIT_S: Final = 5
"""How long a target may take for a request outside a connection, as it is told."""
_REGISTER: Final = struct.pack("<HH", 1, 0)
_TICKS: Final = b"\x0a\x05"
"""Priority and time-out ticks of connection manager requests: 5 x 1024 ms."""
_INTERVAL_US: Final = 2_000_000
_TIMES_FOUR: Final = 0
"""A connection that carried nothing for 4 x 2 s is closed by the controller: it has few, and a
writer that died politely or not must not hold one for longer. Ours is used every tick."""
_POINT_TO_POINT: Final = 0x4200
_CLASS_3: Final = 0xA3
_VENDOR: Final = 0x5447
"""Of the originator: only a part of the name by which a connection is closed. None is ours."""
_MANAGER: Final = object_path(0x06)
_ROUTER: Final = object_path(0x02)
_CHOSEN_ID: Final = slice(52, 56)
"""Of the connection id for replies in the frame of a Forward Open."""
_PORTS: Final = {"backplane": 1, "bp": 1, "enet": 2}
_EXTENDED: Final = 15
"""A port number from here on would need a segment of another form."""


class Command(IntEnum):
    """Encapsulation commands."""

    REGISTER_SESSION = 0x65
    UNREGISTER_SESSION = 0x66
    SEND_RR_DATA = 0x6F
    SEND_UNIT_DATA = 0x70


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionIds:
    """What the client chooses of a connection: the id in replies, and by what it closes it."""

    for_replies: int
    serial: int
    originator: int


def route_of(address: str) -> bytes:
    """Return the port segments from the host of *address* to its controller.

    Forms as pycomm3 takes them: `host`, `host:port`, `host/slot`, `host/bp/0`, further pairs of
    port and link, also with commas or backslashes. Without a route it is slot 0.

    Raises:
        LinkRefusedError: it is none of these.
    """
    _, *route = re.split(r"[/\\,]", address.strip())
    if len(route) < 2:
        route = ["bp", *(route or ["0"])]
    if len(route) % 2:
        raise LinkRefusedError(f"{address}: route must be pairs of port and link")
    pairs = zip(route[::2], route[1::2], strict=True)
    try:
        return b"".join(_port_segment(port, link) for port, link in pairs)
    except ValueError as error:
        raise LinkRefusedError(f"{address}: {error}") from error


def _port_segment(port: str, link: str) -> bytes:
    number = _PORTS.get(port.lower()) or int(port)
    if not 0 < number < _EXTENDED:
        raise ValueError(f"port must be within 1..{_EXTENDED - 1}, is {port}")
    if link.isdecimal():
        return bytes((number, int(link)))
    name = str(ipaddress.ip_address(link)).encode("ascii")
    return bytes((number | 0x10, len(name))) + name + bytes(len(name) % 2)


def frame(command: int, session: int, data: bytes = b"", context: bytes = _NO_CONTEXT) -> bytes:
    """Return the bytes of one encapsulation message."""
    return _HEADER.pack(command, len(data), session, 0, context, 0) + data


def register() -> bytes:
    """Return the frame that asks for a session."""
    return frame(Command.REGISTER_SESSION, 0, _REGISTER)


def session_in(reply: bytes) -> int:
    """Return the session that *reply* grants.

    Raises:
        LinkRefusedError: none.
    """
    _, _, session, status, _, _ = _HEADER.unpack_from(reply)
    if status or not session or reply[HEADER_BYTES:] != _REGISTER:
        raise LinkRefusedError(f"the controller refused the session: status 0x{status:02X}")
    return int(session)


def unconnected(session: int, message: bytes) -> bytes:
    """Return the frame that carries *message* outside a connection."""
    items = _UNCONNECTED.pack(0, _LIMIT_S, 2, 0, 0, 0xB2, len(message))
    return frame(Command.SEND_RR_DATA, session, items + message)


def connected(session: int, connection: int, message: bytes) -> bytes:
    """Return the frame that carries *message* on a connection; its sequence count is 0."""
    length = SEQUENCE_BYTES + len(message)
    items = _CONNECTED.pack(0, 0, 2, 0xA1, 4, connection, 0xB1, length)
    return frame(Command.SEND_UNIT_DATA, session, items + bytes(SEQUENCE_BYTES) + message)


def forward_open(ids: ConnectionIds, route: bytes, size_bytes: int) -> bytes:
    """Return the message that asks for a class 3 connection of *size_bytes* each way."""
    is_large = size_bytes > SMALL_BYTES
    layout = "<IIHHIB3xIIIIB" if is_large else "<IIHHIB3xIHIHB"
    size = _POINT_TO_POINT << 16 | size_bytes if is_large else _POINT_TO_POINT | size_bytes
    flow = (_INTERVAL_US, size)
    triad = (ids.serial, _VENDOR, ids.originator)
    body = struct.pack(layout, 0, ids.for_replies, *triad, _TIMES_FOUR, *flow, *flow, _CLASS_3)
    path = route + _ROUTER
    service = Service.LARGE_FORWARD_OPEN if is_large else Service.FORWARD_OPEN
    return request(service, _MANAGER, _TICKS + body + bytes((len(path) // 2,)) + path)


def connection_in(answer: Answer, ids: ConnectionIds) -> int:
    """Return the connection id for requests that *answer* grants.

    Raises:
        LinkDeadError: it grants another connection than *ids*.
    """
    head = struct.pack("<IHHI", ids.for_replies, ids.serial, _VENDOR, ids.originator)
    if len(answer.data) < 4 + len(head) or answer.data[4 : 4 + len(head)] != head:
        raise LinkDeadError("reply grants a connection that was not asked for")
    return int.from_bytes(answer.data[:4], "little")


def forward_close(ids: ConnectionIds, route: bytes) -> bytes:
    """Return the message that gives a connection back."""
    triad = struct.pack("<HHI", ids.serial, _VENDOR, ids.originator)
    path = route + _ROUTER
    data = _TICKS + triad + bytes((len(path) // 2, 0)) + path
    return request(Service.FORWARD_CLOSE, _MANAGER, data)


def unregister(session: int) -> bytes:
    """Return the frame that ends a session; it is not answered."""
    return frame(Command.UNREGISTER_SESSION, session)


def status_in(reply: bytes) -> int:
    """Return the encapsulation status of a reply, 0 when the frame was taken."""
    return int.from_bytes(reply[8:12], "little")


def unconnected_message(reply: bytes) -> bytes:
    """Return the CIP message in a checked reply outside a connection."""
    return reply[_UNCONNECTED_AT:]


def chosen_reply_id(frame: bytes | bytearray) -> int | None:
    """Return the connection id for replies that *frame* chooses, or None: it opens none."""
    opens = (Service.FORWARD_OPEN, Service.LARGE_FORWARD_OPEN)
    if frame[0] != Command.SEND_RR_DATA or len(frame) < _CHOSEN_ID.stop:
        return None
    if frame[_UNCONNECTED_AT] not in opens:
        return None
    return int.from_bytes(frame[_CHOSEN_ID], "little")


def find_doubt(sent: bytes | bytearray, reply: bytes, reply_id: int | None) -> str | None:
    """Return why *reply* may not be believed as the answer to *sent*, or None.

    *reply* has a whole header; *reply_id* is the connection id that replies must carry.
    """
    command, length, session, status, context, _ = _HEADER.unpack_from(reply)
    asked, _, own_session, _, own_context, _ = _HEADER.unpack_from(sent)
    if len(reply) != HEADER_BYTES + length:
        return "more bytes than one reply"
    if command != asked:
        return "reply to another command"
    # On a connection the context means nothing and a target may leave it out (Volume 2, 2-4.8).
    is_connected = command == Command.SEND_UNIT_DATA
    if context != own_context and not (is_connected and context == _NO_CONTEXT):
        return "reply with a foreign sender context"
    if command != Command.REGISTER_SESSION and session != own_session:
        return "reply of another session"
    if is_connected:
        if status:
            return f"encapsulation status 0x{status:02X}"
        return _doubt_about_items(sent, reply, reply_id)
    if command == Command.SEND_RR_DATA and not status:
        return _doubt_about_unconnected(sent, reply)
    return None


def _doubt_about_items(sent: bytes | bytearray, reply: bytes, reply_id: int | None) -> str | None:
    if len(reply) < MESSAGE_AT:
        return "reply is cut short"
    handle, _, *items, length = _CONNECTED.unpack_from(reply, HEADER_BYTES)
    count, address, size, connection, data = items
    if (handle, count, address, size, data) != (0, 2, 0xA1, 4, 0xB1):
        return "reply with other items than a connection's"
    if length != len(reply) - SEQUENCE_AT:
        return "reply with an item of another length"
    if reply_id is not None and connection != reply_id:
        return "reply on another connection"
    if reply[SEQUENCE_AT:MESSAGE_AT] != sent[SEQUENCE_AT:MESSAGE_AT]:
        return "reply to another request (sequence count)"
    return _doubt_about_service(sent, reply, MESSAGE_AT)


def _doubt_about_unconnected(sent: bytes | bytearray, reply: bytes) -> str | None:
    if len(reply) < _UNCONNECTED_AT:
        return "reply is cut short"
    handle, _, *items, length = _UNCONNECTED.unpack_from(reply, HEADER_BYTES)
    if handle or items != [2, 0, 0, 0xB2] or length != len(reply) - _UNCONNECTED_AT:
        return "reply with other items than asked"
    if sent[_UNCONNECTED_AT] == Service.UNCONNECTED_SEND:
        # Answered by the routed service, or by the router that could not deliver it.
        return None
    return _doubt_about_service(sent, reply, _UNCONNECTED_AT)


def _doubt_about_service(sent: bytes | bytearray, reply: bytes, at: int) -> str | None:
    if len(reply) <= at or reply[at] != sent[at] | REPLY:
        return f"no reply to service 0x{sent[at]:02X}: {reply[at : at + 8].hex()}"
    return None
