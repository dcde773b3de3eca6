"""A wire between two protocols in one process; a cut loses what is on its way."""

import asyncio
from collections import deque

DELAY_S = 0.002


class WireEnd(asyncio.Transport):
    """One end of a wire."""

    def __init__(self, own: asyncio.Protocol) -> None:
        super().__init__()
        self._own = own
        self._peer: WireEnd | None = None
        self._under_way: deque[bytes] = deque()
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*; it arrives `DELAY_S` later unless the wire is cut before."""
        if not self._is_closing and self._peer is not None:
            # Timers of one moment go off in any order: each takes what is next.
            self._under_way.append(bytes(data))
            asyncio.get_running_loop().call_later(DELAY_S, self._arrive)

    def is_closing(self) -> bool:
        """Tell whether this end was closed."""
        return self._is_closing

    def abort(self) -> None:
        """Cut the wire."""
        for end in (self, self._peer):
            if end is not None:
                end._end()

    def close(self) -> None:
        """Cut the wire after what was sent has arrived."""
        if not self._is_closing:
            self._is_closing = True
            if not self._under_way:
                asyncio.get_running_loop().call_later(DELAY_S, self.abort)

    def _arrive(self) -> None:
        peer = self._peer
        if peer is None or not self._under_way:
            return
        data = self._under_way.popleft()
        if not peer._is_closing:
            peer._own.data_received(data)
        if self._is_closing and not self._under_way:
            self.abort()

    def _end(self) -> None:
        if self._peer is not None:
            self._is_closing = True
            self._peer = None
            self._under_way.clear()
            asyncio.get_running_loop().call_soon(self._own.connection_lost, None)


def connect(one: asyncio.Protocol, other: asyncio.Protocol) -> None:
    """Lay a wire between two protocols."""
    ends = WireEnd(one), WireEnd(other)
    ends[0]._peer, ends[1]._peer = ends[1], ends[0]
    other.connection_made(ends[1])
    one.connection_made(ends[0])
