"""The agent's end of the judge's evidence memory."""

import contextlib
import mmap
import os
import socket
from pathlib import Path
from typing import Final

from taktgate.inspection.control import PartNote
from taktgate.inspection.frames.evidence import SLOTS, STAMP
from taktgate.inspection.frames.ring import map_for_reading

PATIENCE_S: Final = 0.5
"""The judge hands its memory over once a turn."""


class EvidenceReader:
    """Reads the pixels of judged parts, as long as the judge has not written over them."""

    def __init__(self, path: Path, *, patience_s: float = PATIENCE_S) -> None:
        self._path = str(path)
        self._patience_s = patience_s
        self._memory: mmap.mmap | None = None
        self._judge_start_id: str | None = None

    def pixels(self, note: PartNote) -> bytes | None:
        """Return the raw pixels of *note*'s frame, None when they are not to be had any more."""
        frame = note.frame
        if frame is None or frame.slot is None:
            return None
        if note.judge_start_id != self._judge_start_id:
            self._connect(note.judge_start_id)
        memory = self._memory
        if memory is None:
            return None
        size = frame.width * frame.height * frame.channels
        slot_bytes = len(memory) // SLOTS
        start = frame.slot * slot_bytes
        if frame.slot >= SLOTS or STAMP.size + size > slot_bytes:
            return None
        pixels = memory[start + STAMP.size : start + STAMP.size + size]
        # Looked at after the copy: a stamp that is right now was right all the while, since a slot
        # gets a higher one each time.
        (sequence,) = STAMP.unpack_from(memory, start)
        return pixels if sequence == note.sequence else None

    def close(self) -> None:
        """Give the memory back."""
        if self._memory is not None:
            self._memory.close()
        self._memory, self._judge_start_id = None, None

    def _connect(self, judge_start_id: str) -> None:
        """Fetch the memory of the judge that runs now; a failure shows as pixels not to be had."""
        self.close()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as judge:
            judge.settimeout(self._patience_s)
            descriptors: list[int] = []
            with contextlib.suppress(OSError):
                judge.connect(self._path)
                _, descriptors, _, _ = socket.recv_fds(judge, 64, 1)
                self._memory = map_for_reading(descriptors[0]) if descriptors else None
            for descriptor in descriptors:
                os.close(descriptor)
        if self._memory is not None:
            self._judge_start_id = judge_start_id
