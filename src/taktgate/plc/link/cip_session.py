"""A session with a controller and its class 3 connection, over a socket that is connected."""

import os
import struct
from typing import Final

from taktgate.plc.errors import LinkDeadError, LinkRefusedError
from taktgate.plc.link import packets
from taktgate.plc.link.cip import Answer, Service, parse_answer, request
from taktgate.plc.link.packets import ConnectionIds
from taktgate.plc.link.safe_socket import SafeSocket

_SEQUENCE: Final = struct.Struct("<H")
_LAST_SEQUENCE: Final = 0xFFFF
_CHOICE: Final = struct.Struct("<IHI")


class CipSession:
    """Registered and connected after `open`; the caller drops *channel* after any LinkError."""

    def __init__(self, channel: SafeSocket, route: bytes) -> None:
        self._channel = channel
        self._route = route
        for_replies, serial, originator = _CHOICE.unpack(os.urandom(_CHOICE.size))
        self._ids = ConnectionIds(for_replies=for_replies, serial=serial, originator=originator)
        self._session = 0
        self._connection: int | None = None
        self._sequence = 0
        self.connection_bytes = 0
        """What the longest message on the connection may take, its sequence count included."""

    def open(self) -> None:
        """Register, and open the largest connection that the controller grants.

        Raises:
            LinkRefusedError: it grants none.
            LinkDeadError: no answer that can be trusted came in time.
        """
        self._session = packets.session_in(self._channel.exchange(packets.register()))
        refusals: list[str] = []
        for size_bytes in (packets.LARGE_BYTES, packets.SMALL_BYTES):
            message = packets.forward_open(self._ids, self._route, size_bytes)
            answer = self._ask_unconnected(message)
            if answer.is_good:
                self._connection = packets.connection_in(answer, self._ids)
                self.connection_bytes = size_bytes
                return
            refusals.append(f"{size_bytes} bytes: {answer}")
        raise LinkRefusedError(f"the controller refused a connection of {'; of '.join(refusals)}")

    def frame_for(self, message: bytes) -> bytearray:
        """Return the frame that carries *message*, to be sent by `exchange` as often as wanted.

        Raises:
            LinkDeadError: no connection is open.
        """
        if self._connection is None:
            raise LinkDeadError("no connection is open")
        return bytearray(packets.connected(self._session, self._connection, message))

    def reply_for(self, message: bytes) -> bytearray:
        """Return the frame in which a controller answers *message*, to be given to `exchange`.

        Raises:
            LinkDeadError: no connection is open.
        """
        if self._connection is None:
            raise LinkDeadError("no connection is open")
        return bytearray(packets.connected(self._session, self._ids.for_replies, message))

    def exchange(self, frame: bytearray, expected: bytearray | None = None) -> bytes:
        """Send *frame* with the next sequence count; return the CIP message of its reply.

        *expected* is the reply that there should be: when it comes, that is seen at once.

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
        """
        # A controller takes an equal count for a repetition and executes nothing; 0 is never sent.
        self._sequence = self._sequence % _LAST_SEQUENCE + 1
        _SEQUENCE.pack_into(frame, packets.SEQUENCE_AT, self._sequence)
        if expected is None:
            return self._channel.exchange(frame)[packets.MESSAGE_AT :]
        _SEQUENCE.pack_into(expected, packets.SEQUENCE_AT, self._sequence)
        return self._channel.exchange(frame, expected)[packets.MESSAGE_AT :]

    def ask(self, service: int, path: bytes, data: bytes = b"") -> Answer:
        """Return what *service* of the object at *path* comes to, on the connection.

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
        """
        return self.ask_message(request(service, path, data))

    def ask_message(self, message: bytes) -> Answer:
        """Return what the request *message* comes to, on the connection.

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
        """
        return parse_answer(self.exchange(self.frame_for(message)), message[0])

    def close(self) -> None:
        """Give connection and session back; the controller closes the socket.

        Raises:
            LinkDeadError: the controller does not answer, and keeps them until they expire.
        """
        if self._connection is not None:
            self._connection = None
            self._ask_unconnected(packets.forward_close(self._ids, self._route))
        if self._session:
            self._channel.send(packets.unregister(self._session))

    def _ask_unconnected(self, message: bytes) -> Answer:
        reply = self._channel.exchange(packets.unconnected(self._session, message))
        if packets.status_in(reply):
            raise LinkRefusedError(f"encapsulation status 0x{packets.status_in(reply):02X}")
        return parse_answer(packets.unconnected_message(reply), Service(message[0]))
