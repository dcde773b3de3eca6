"""The message router: finds the object that a CIP request is for."""

import struct
from collections.abc import Callable
from typing import Final

from taktgate.standin.logix.directory import (
    GET_ATTRIBUTE_LIST,
    GET_INSTANCE_ATTRIBUTE_LIST,
    ChangeDirectory,
    SymbolDirectory,
    TemplateDirectory,
)
from taktgate.standin.logix.epath import Logical
from taktgate.standin.logix.errors import CipError, Status
from taktgate.standin.logix.firmware import STANDARD, Firmware
from taktgate.standin.logix.identity import Identity, tell_time
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
        self,
        memory: TagMemory,
        *,
        identity: Identity | None = None,
        firmware: Firmware = STANDARD,
    ) -> None:
        self.identity = identity or Identity()
        self.tags = TagServices(memory, is_strict=firmware.is_strict)
        self._log = memory.log
        self._symbols = SymbolDirectory(memory)
        self._objects: dict[int | None, Callable[[Request], Reply]] = {
            None: self._execute_on_symbol,
            0x01: lambda request: self.identity.identify(request),
            MESSAGE_ROUTER_CLASS: self._execute_all,
            0x64: lambda request: self.identity.name_program(request),
            SYMBOL_CLASS: self._execute_on_symbol,
            0x6C: TemplateDirectory(memory).execute,
            0x8B: tell_time,
        }
        if firmware.has_change_marks:
            self._objects[0xAC] = ChangeDirectory(memory).execute

    def answer(self, message: bytes, room: int, *, client: str = "") -> bytes:
        """Return the reply to *message* of *client*, at most *room* bytes long.

        A refusal is a reply too.
        """
        self._log.begin_request(client)
        return self._answer(message, room)

    def _answer(self, message: bytes, room: int) -> bytes:
        service = message[0] if message else 0
        try:
            request = parse_request(message, room)
            execute = self._objects.get(class_of(request.path))
            if execute is None:
                raise CipError(Status.PATH_DESTINATION_UNKNOWN)
            reply = encode_reply(service, execute(request))
            if len(reply) > room:
                raise CipError(Status.REPLY_TOO_LARGE)
            return reply
        except CipError as error:
            return encode_refusal(service, error)
        except struct.error:
            # Every layout is unpacked in place: running out of bytes has one meaning everywhere.
            return encode_refusal(service, CipError(Status.NOT_ENOUGH_DATA))

    def _answer_inner(self, message: bytes, room: int) -> bytes:
        if message and message[0] == _MULTIPLE_SERVICE_PACKET:
            return encode_refusal(message[0], CipError(Status.SERVICE_NOT_SUPPORTED))
        return self._answer(message, room)

    def _execute_on_symbol(self, request: Request) -> Reply:
        if request.service in (GET_INSTANCE_ATTRIBUTE_LIST, GET_ATTRIBUTE_LIST):
            return self._symbols.execute(request)
        return self.tags.execute(request)

    def _execute_all(self, request: Request) -> Reply:
        """Execute a Multiple Service Packet: in order, each for itself, not a transaction."""
        if request.service != _MULTIPLE_SERVICE_PACKET:
            raise CipError(Status.SERVICE_NOT_SUPPORTED)
        (count,) = struct.unpack_from("<H", request.data)
        offsets = struct.unpack_from(f"<{count}H", request.data, 2)
        if not 0 < count <= _MAX_SERVICES:
            raise CipError(Status.TOO_MUCH_DATA)
        position = 2 + 2 * count
        starts: list[int] = []
        replies: list[bytes] = []
        failed = False
        borders = zip(offsets, (*offsets[1:], len(request.data)), strict=True)
        for order, (start, end) in enumerate(borders):
            self._log.begin_service(order)
            reply = self._answer_inner(request.data[start:end], request.room - position)
            starts.append(position)
            replies.append(reply)
            position += len(reply)
            failed = failed or reply[2] != Status.SUCCESS
        table = struct.pack(f"<{count + 1}H", count, *starts)
        status = Status.EMBEDDED_SERVICE_ERROR if failed else Status.SUCCESS
        return Reply(data=table + b"".join(replies), status=status)
