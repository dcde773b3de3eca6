"""Which replies of one client leave, and in which order, under a fault. No I/O, no time."""

from taktgate.standin.logix.faults import Faults


class ReplyPath:
    """Loses, doubles and swaps replies. It holds one back at most."""

    def __init__(self) -> None:
        self._count = 0
        self._held: bytes | None = None

    def leave(self, reply: bytes, faults: Faults) -> tuple[bytes, ...]:
        """Return what leaves when the controller has made *reply*."""
        self._count += 1
        if faults.drop_every and self._count % faults.drop_every == 0:
            return ()
        if faults.is_reordering and self._held is None:
            self._held = reply
            return ()
        replies = (reply, *self.release())
        if faults.is_duplicating:
            return tuple(copy for each in replies for copy in (each, each))
        return replies

    def release(self) -> tuple[bytes, ...]:
        """Return the reply that was held back, if there is one; it is held no longer."""
        held, self._held = self._held, None
        return () if held is None else (held,)
