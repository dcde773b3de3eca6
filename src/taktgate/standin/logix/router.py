"""The message router: finds the object that a CIP request is for."""

import struct
from collections.abc import Callable
from typing import Final

from taktgate.standin.logix.directory import (
    GET_INSTANCE_ATTRIBUTE_LIST,
    SymbolDirectory,
    TemplateDirectory,
)
from taktgate.standin.logix.epath import Logical
from taktgate.standin.logix.errors import CipError, Status
from taktgate.standin.logix.identity import Identity, tell_tag_table_version, tell_time
from taktgate.standin.logix.locations import SYMBOL_CLASS
from taktgate.standin.logix.memory import TagMemory
from taktgate.standin.logix.messages import (
    Reply,
    Request,
    encode_refusal,
    encode_reply,
    parse_request,
)
from taktgate.standin.logix.tag_services import TagServices

MESSAGE_ROUTER_CLASS: Final = 0x02
_CLASS_SEGMENT: Final = 0x20 | Logical.CLASS
_MULTIPLE_SERVICE_PACKET: Final = 0x0A
_MAX_SERVICES: Final = 200


def class_of(path: bytes) -> int | None:
    """Return the class that an 8-bit path names, or None when it names a tag."""
    return path[1] if len(path) > 1 and path[0] == _CLASS_SEGMENT else None


class Router:
    """Answers CIP requests; all sessions share one."""

    def __init__(
        self, memory: TagMemory, *, identity: Identity | None = None, strict: bool = False
    ) -> None:
        self.identity = identity or Identity()
        self._tags = TagServices(memory, strict=strict)
        self._symbols = SymbolDirectory(memory.symbols)
        self._objects: dict[int | None, Callable[[Request], Reply]] = {
            None: self._tags.execute,
            0x01: self.identity.identify,
            MESSAGE_ROUTER_CLASS: self._execute_all,
            0x64: self.identity.name_program,
            SYMBOL_CLASS: self._execute_on_symbol,
            0x6C: TemplateDirectory(memory.symbols).execute,
            0x8B: tell_time,
            0xAC: tell_tag_table_version,
        }

    def answer(self, message: bytes, room: int) -> bytes:
        """Return the reply to *message*, at most *room* bytes long; a refusal is a reply too."""
        service = message[0] if message else 0
        try:
            request = parse_request(message, room)
            execute = self._objects.get(class_of(request.path))
            if execute is None:
                raise CipError(Status.PATH_DESTINATION_UNKNOWN)
            return encode_reply(service, execute(request))
        except CipError as error:
            return encode_refusal(service, error)
        except struct.error:
            # Every layout is unpacked in place: running out of bytes has one meaning everywhere.
            return encode_refusal(service, CipError(Status.NOT_ENOUGH_DATA))

    def _answer_inner(self, message: bytes, room: int) -> bytes:
        if message[:1] == bytes((_MULTIPLE_SERVICE_PACKET,)):
            return encode_refusal(message[0], CipError(Status.SERVICE_NOT_SUPPORTED))
        return self.answer(message, room)

    def _execute_on_symbol(self, request: Request) -> Reply:
        if request.service == GET_INSTANCE_ATTRIBUTE_LIST:
            return self._symbols.execute(request)
        return self._tags.execute(request)

    def _execute_all(self, request: Request) -> Reply:
        """Execute a Multiple Service Packet: in order, each for itself, not a transaction."""
        if request.service != _MULTIPLE_SERVICE_PACKET:
            raise CipError(Status.SERVICE_NOT_SUPPORTED)
        (count,) = struct.unpack_from("<H", request.data)
        offsets = struct.unpack_from(f"<{count}H", request.data, 2)
        if not 0 < count <= _MAX_SERVICES:
            raise CipError(Status.TOO_MUCH_DATA)
        head = 2 + 2 * count
        room = request.room - head
        replies: list[bytes] = []
        for start, end in zip(offsets, (*offsets[1:], len(request.data)), strict=True):
            reply = self._answer_inner(request.data[start:end], room)
            replies.append(reply)
            room -= len(reply)
        starts = [head + sum(map(len, replies[:number])) for number in range(count)]
        table = struct.pack(f"<{count + 1}H", count, *starts)
        failed = any(reply[2] != Status.SUCCESS for reply in replies)
        status = Status.EMBEDDED_SERVICE_ERROR if failed else Status.SUCCESS
        return Reply(data=table + b"".join(replies), status=status)
