"""One client's TCP connection: the one place where faults of the communication take hold."""

import asyncio
import logging
import socket
import struct
import time
from typing import Final, Protocol, cast

from taktgate.standin.logix.errors import EncapsulationError
from taktgate.standin.logix.faults import HEALTHY, Faults
from taktgate.standin.logix.outbox import Outbox
from taktgate.standin.logix.reply_path import ReplyPath
from taktgate.standin.logix.session import Session

log = logging.getLogger(__name__)

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""struct linger: on, 0 s."""


class Host(Protocol):
    """What a link needs of the controller that it leads to."""

    @property
    def faults(self) -> Faults:
        """Return the faults in force."""
        ...

    def admit(self, link: "ClientLink", address: tuple[str, int], client: str) -> Session | None:
        """Return a session for a new client, or None when there are too many."""
        ...

    def dismiss(self, link: "ClientLink") -> None:
        """Note that a client is gone."""
        ...


class ClientLink(asyncio.Protocol):
    """Carries frames between a client and its session; asyncio sets TCP_NODELAY on it."""

    session: Session | None = None
    """None when the client was not admitted."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._faults = HEALTHY
        self._is_congested = False
        self._is_plain = True
        """Nothing is wrong: replies take the short way, which benchmarks measure."""
        self._reply_path = ReplyPath()
        self.heard_s = time.monotonic()
        """When bytes last came."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a session, or reset a client too many."""
        self._transport = cast("asyncio.Transport", transport)
        self._outbox = Outbox(
            send=self._transport.write, finish=self._transport.close, drained=self._adjust
        )
        host, port = self._transport.get_extra_info("sockname")[:2]
        peer = self._transport.get_extra_info("peername") or ("", 0)
        self.session = self._host.admit(self, (host, port), f"{peer[0]}:{peer[1]}")
        if self.session is None:
            self.abort()
            return
        self.obey(self._host.faults)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what the client held."""
        self._outbox.discard()
        if self.session is not None:
            self.session.end()
        self._host.dismiss(self)

    def pause_writing(self) -> None:
        """Read no more from a client that does not take its replies."""
        self._is_congested = True
        self._adjust()

    def resume_writing(self) -> None:
        """Read on."""
        self._is_congested = False
        self._adjust()

    def data_received(self, data: bytes) -> None:
        """Execute what *data* completes."""
        self.heard_s = time.monotonic()
        session = self.session
        if session is None:
            return
        try:
            for reply in session.receive(data):
                if self._is_plain:
                    self._transport.write(reply)
                else:
                    self._send(reply)
        except EncapsulationError as error:
            log.warning("a client sent no EtherNet/IP", extra={"error": str(error)})
            self.abort()
        if session.is_over:
            self._outbox.end()

    def obey(self, faults: Faults) -> None:
        """Behave as *faults* say. A client that does not take its replies is not read either."""
        self._faults = faults
        if self.session is not None:
            self.session.is_deaf = faults.is_blackhole
            self.session.is_refusing = faults.is_refusing_sessions
        if faults.is_cut:
            self.abort()
            return
        if not faults.is_reordering:
            for reply in self._reply_path.release():
                self._outbox.put(reply)
        self._adjust()

    def end(self) -> None:
        """Close the connection once what waits has left."""
        self._outbox.end()

    def abort(self) -> None:
        """Reset the connection: RST, where asyncio alone would send a FIN."""
        self._transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
        )
        self._transport.abort()

    def _adjust(self) -> None:
        self._is_plain = self._faults == HEALTHY and self._outbox.is_empty
        if self._faults.is_frozen or self._is_congested or self._outbox.is_full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _send(self, reply: bytes) -> None:
        faults = self._faults
        for each in self._reply_path.leave(reply, faults):
            limit = faults.cut_after_bytes
            is_cut = limit is not None and len(each) > limit
            self._outbox.put(
                each[:limit] if is_cut else each,
                delay_s=faults.delay_ms / 1000,
                drip_s=faults.drip_ms / 1000,
            )
            if is_cut:
                self._outbox.end()
        if self._outbox.is_full:
            self._adjust()
