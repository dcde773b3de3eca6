"""uvicorn's HTTP protocol with the two limits that it lacks: connections, and slow requests."""

import asyncio
from typing import ClassVar, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from taktgate.inspection.surface.limits import Limits

_COMING: Final = (h11.IDLE, h11.SEND_BODY)


class BoundedProtocol(H11Protocol):
    """A connection that is closed when it is one too many, or when its request does not come."""

    limits: ClassVar = Limits()
    _timer: asyncio.TimerHandle | None = None

    # uvicorn narrows asyncio's argument in the same way.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.abort()
        else:
            self._arm()

    def data_received(self, data: bytes) -> None:
        """Take *data*; the timer runs while a request is incomplete."""
        self._arm()
        super().data_received(data)
        if self.conn.their_state not in _COMING:
            self._disarm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.limits.request_s, self.transport.abort)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bounded_protocol(limits: Limits) -> type[BoundedProtocol]:
    """Return the protocol with *limits*: uvicorn takes a class, not an object."""
    return type("Protocol", (BoundedProtocol,), {"limits": limits})
