"""The pixels of judged parts, for the part record: copied aside once the verdict is out.

A ring in sealed memory of its own. The judge writes round and round and waits for nobody; the agent
has as long as the ring is deep, and learns from the stamp whether it was too slow. The memory is
handed over by a socket to whoever connects: an agent that restarts comes again.
"""

import logging
import socket
import struct
from pathlib import Path
from typing import Final

from taktgate.inspection.frames.ring import SLOT_BYTES, FrameRing

log = logging.getLogger(__name__)

SLOTS: Final = 8
"""A quarter of a second of parts at 30 a second. Pages that no frame touches cost no memory, but
with locked memory (real-time rights) all of them are there."""
STAMP: Final = struct.Struct("<Q")
"""Before each slot's pixels: the sequence of the part it holds, 0 while it is being written."""
_BACKLOG: Final = 4


class EvidenceMemory:
    """The writing end."""

    def __init__(self, path: Path, *, slots: int = SLOTS, slot_bytes: int = SLOT_BYTES) -> None:
        """Make the memory and listen on *path*.

        Raises:
            OSError: no memory or no socket is to be had.
        """
        self._ring = FrameRing(slots=slots, slot_bytes=STAMP.size + slot_bytes)
        self._ring.touch()
        self._next = 0
        path.unlink(missing_ok=True)
        self._path = path
        self._listener = socket.socket(
            socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        self._listener.bind(str(path))
        path.chmod(0o660)
        self._listener.listen(_BACKLOG)

    def fileno(self) -> int:
        """Return the descriptor to wait on: somebody wants the memory."""
        return self._listener.fileno()

    def serve(self) -> None:
        """Hand the memory, for reading, to one that has connected; never waits."""
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return  # it has thought better of it
        with peer:
            peer.setblocking(False)
            try:
                socket.send_fds(peer, [b"evidence"], [self._ring.fileno()])
            except OSError as error:
                log.warning("the evidence memory was not taken", extra={"error": str(error)})

    def keep(self, sequence: int, pixels: memoryview) -> int:
        """Copy the frame of the part with this *sequence* aside; return the slot it lies in.

        Costs one copy (some 35 us for 512x512x3) after the part's verdict.
        """
        slot, self._next = self._next, (self._next + 1) % self._ring.slots
        memory = self._ring.memory(slot)
        STAMP.pack_into(memory, 0, 0)
        memory[STAMP.size : STAMP.size + len(pixels)] = pixels
        STAMP.pack_into(memory, 0, sequence)
        return slot

    def close(self) -> None:
        """Stop handing out and give the memory back; who holds it still, keeps it."""
        self._listener.close()
        self._path.unlink(missing_ok=True)
        self._ring.close()
