"""One TCP connection's conversation, without I/O: bytes in, replies out."""

import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from taktgate.standin.logix.connections import (
    CONNECTION_MANAGER_CLASS,
    UNCONNECTED_BYTES,
    ConnectionTable,
    ManagerService,
    unwrap,
)
from taktgate.standin.logix.encapsulation import (
    Command,
    EncapsulationStatus,
    Frame,
    FrameParser,
    ItemType,
    address_and_data,
    encode_items,
    encode_list,
)
from taktgate.standin.logix.errors import CipError, EncapsulationError, Status
from taktgate.standin.logix.messages import encode_refusal, encode_reply, parse_request
from taktgate.standin.logix.router import Router, class_of

_PROTOCOL_VERSION: Final = 1
_REGISTRATION_BYTES: Final = 4
_CIP_OVER_TCP: Final = 0x20
_SERVICES: Final = struct.pack("<HH16s", _PROTOCOL_VERSION, _CIP_OVER_TCP, b"Communications")
_session_ids: Final[Iterator[int]] = itertools.count(0x1000_0001)


class Session:
    """The state of one client: its session handle and its connections."""

    def __init__(
        self,
        router: Router,
        *,
        host: str,
        port: int,
        connections: ConnectionTable | None = None,
        client: str = "",
    ) -> None:
        self._router = router
        self._address = (host, port)
        self._client = client
        self._parser = FrameParser()
        self._connections = ConnectionTable() if connections is None else connections
        self._id: int | None = None
        self.is_over = False
        """True when the client has ended the session."""
        self.is_deaf = False
        """Fault: what comes in is dropped, frame by frame."""
        self.is_refusing = False
        """Fault: no session is to be had."""
        self._commands: dict[int, Callable[[Frame], Frame | None]] = {
            Command.NOP: self._ignore,
            Command.LIST_SERVICES: self._list_services,
            Command.LIST_IDENTITY: self._list_identity,
            Command.REGISTER_SESSION: self._register,
            Command.UNREGISTER_SESSION: self._unregister,
            Command.SEND_RR_DATA: self._send_rr_data,
            Command.SEND_UNIT_DATA: self._send_unit_data,
        }

    def receive(self, data: bytes) -> Iterator[bytes]:
        """Return the replies to what *data* completes, to be taken and sent one by one.

        Raises:
            EncapsulationError: (while iterating) the client sends rubbish; drop it.
        """
        for frame in self._parser.feed(data):
            if self.is_deaf:
                continue
            reply = self._commands.get(frame.command, self._refuse)(frame)
            if reply is not None:
                yield reply.encode()
            if self.is_over:
                return

    def forget(self) -> None:
        """Forget that the client has registered; it is not told."""
        self._id = None

    def end(self) -> None:
        """Give the connections back: the client is gone."""
        self._connections.drop(self)

    def _ignore(self, _frame: Frame) -> Frame | None:
        return None

    def _refuse(self, frame: Frame) -> Frame:
        return frame.reply(status=EncapsulationStatus.INVALID_COMMAND)

    def _list_services(self, frame: Frame) -> Frame:
        return frame.reply(encode_list(ItemType.SERVICE_INFORMATION, _SERVICES))

    def _list_identity(self, frame: Frame) -> Frame:
        identity = self._router.identity.listing(*self._address)
        return frame.reply(encode_list(ItemType.IDENTITY, identity))

    def _register(self, frame: Frame) -> Frame:
        if self._id is not None:
            return self._refuse(frame)
        if len(frame.data) != _REGISTRATION_BYTES:
            return frame.reply(status=EncapsulationStatus.INVALID_LENGTH)
        if self.is_refusing:
            return frame.reply(frame.data, status=EncapsulationStatus.INSUFFICIENT_MEMORY)
        if frame.data[:2] != struct.pack("<H", _PROTOCOL_VERSION):
            return frame.reply(frame.data, status=EncapsulationStatus.UNSUPPORTED_PROTOCOL)
        self._id = next(_session_ids) & 0xFFFF_FFFF
        return replace(frame, session=self._id)

    def _unregister(self, _frame: Frame) -> Frame | None:
        self.is_over = True
        return None

    def _is_foreign(self, frame: Frame) -> bool:
        return self._id is None or frame.session != self._id

    def _send_rr_data(self, frame: Frame) -> Frame:
        if self._is_foreign(frame):
            return frame.reply(status=EncapsulationStatus.INVALID_SESSION)
        _, message = address_and_data(
            frame.data, address=ItemType.NULL_ADDRESS, payload=ItemType.UNCONNECTED_DATA
        )
        reply = self._answer_unconnected(message)
        items = [(int(ItemType.NULL_ADDRESS), b""), (int(ItemType.UNCONNECTED_DATA), reply)]
        return frame.reply(encode_items(items))

    def _answer_unconnected(self, message: bytes) -> bytes:
        service = message[0] if message else 0
        try:
            request = parse_request(message, UNCONNECTED_BYTES)
            if class_of(request.path) != CONNECTION_MANAGER_CLASS:
                return self._execute(message, UNCONNECTED_BYTES)
            if service == ManagerService.UNCONNECTED_SEND:
                return self._execute(unwrap(request.data), UNCONNECTED_BYTES)
            return encode_reply(service, self._connections.execute(self, request))
        except CipError as error:
            return encode_refusal(service, error)
        except struct.error:
            return encode_refusal(service, CipError(Status.NOT_ENOUGH_DATA))

    def _execute(self, message: bytes, room: int) -> bytes:
        return self._router.answer(message, room, client=self._client)

    def _send_unit_data(self, frame: Frame) -> Frame | None:
        """Answer inside a connection; a request on an unknown one is dropped, as targets do.

        A repeated sequence count is a retransmission: it gets the stored reply and is not executed.
        """
        if self._is_foreign(frame):
            return frame.reply(status=EncapsulationStatus.INVALID_SESSION)
        address, payload = address_and_data(
            frame.data, address=ItemType.CONNECTED_ADDRESS, payload=ItemType.CONNECTED_DATA
        )
        if len(address) != 4 or len(payload) < 2:
            raise EncapsulationError("items", "connected address or sequence count is cut short")
        connection = self._connections.use(self, int.from_bytes(address, "little"))
        if connection is None:
            return None
        sequence = int.from_bytes(payload[:2], "little")
        if sequence != connection.last_sequence:
            connection.last_reply = self._execute(payload[2:], connection.reply_bytes)
            connection.last_sequence = sequence
        client = struct.pack("<I", connection.to_client_id)
        items = [
            (int(ItemType.CONNECTED_ADDRESS), client),
            (int(ItemType.CONNECTED_DATA), payload[:2] + connection.last_reply),
        ]
        return frame.reply(encode_items(items))
