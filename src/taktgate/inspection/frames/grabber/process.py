"""The process of one camera. Started by the judge, dies with it, serves one socket.

The main thread grabs; a second one listens to the judge, so that a trigger never waits for a grab
to come to its end. A camera that is lost is opened again with growing pauses, for ever.
"""

import contextlib
import logging
import mmap
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

import numpy as np

from taktgate.contracts.codec import ContractError
from taktgate.edge.logs import set_up_logging
from taktgate.edge.process import OrphanedError, die_with_parent
from taktgate.inspection.errors import CameraProtocolError
from taktgate.inspection.frames.grabber import messages
from taktgate.inspection.frames.grabber.opening import open_grabber, read_assignment
from taktgate.inspection.frames.grabber.port import (
    CameraLostError,
    CameraMissingLibraryError,
    Grabbed,
    Grabber,
)

log = logging.getLogger(__name__)

GRAB_S: Final = 0.1
"""One grab waits so long for a frame; then the process looks around."""
FIRST_PAUSE_S: Final = 0.2
LAST_PAUSE_S: Final = 5.0
MISSING_LIBRARY_PAUSE_S: Final = 60.0
MAX_REFUSED: Final = 10
"""So many frames in a row of a kind that is not taken, and it is the camera that is wrong."""


class GrabberProcess:
    """One camera, its slots in the shared memory, and the socket to the judge."""

    def __init__(
        self,
        grabber: Grabber,
        judge: socket.socket,
        memory: mmap.mmap,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._grabber = grabber
        self._judge = judge
        self._slot_bytes = len(memory) // messages.SLOTS
        self._memory = np.frombuffer(memory, np.uint8)
        self._free = deque(range(messages.SLOTS))
        self._clock_s = clock_s
        self._beat_at_s = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._counters: Counter[str] = Counter(refused=0, no_free_slot=0)
        self._refused_in_a_row = 0
        self._is_ending = threading.Event()

    def run(self) -> None:
        """Grab until the judge closes the socket.

        Raises:
            OSError: the judge is gone in the middle of a message.
        """
        threading.Thread(target=self._listen, name="judge", daemon=True).start()
        while not self._is_ending.is_set():
            self._rest(self._serve_until_lost())

    def _serve_until_lost(self) -> float:
        """Open the camera and pass its frames on; return how long to wait for the next try."""
        try:
            self._grabber.open()
            self._judge.send(messages.UP)
            while not self._is_ending.is_set():
                self._pass_on(self._grabber.grab(GRAB_S))
                self._beat()
        except CameraMissingLibraryError as error:
            self._say_down(str(error))
            return MISSING_LIBRARY_PAUSE_S
        except CameraLostError as error:
            self._say_down(str(error))
        finally:
            self._grabber.close()
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LAST_PAUSE_S)
        return pause_s

    def _rest(self, pause_s: float) -> None:
        end_s = self._clock_s() + pause_s
        while (left_s := end_s - self._clock_s()) > 0 and not self._is_ending.is_set():
            self._beat()
            self._is_ending.wait(min(left_s, messages.BEAT_S))

    def _pass_on(self, grabbed: Grabbed | None) -> None:
        """Lay a frame into a free slot and announce it.

        Raises:
            CameraLostError: this camera's frames are none that are taken.
        """
        if grabbed is None or self._is_refused(grabbed):
            return
        try:
            slot = self._free.popleft()
        except IndexError:
            self._counters["no_free_slot"] += 1
            return
        pixels = grabbed.pixels
        start = slot * self._slot_bytes
        self._memory[start : start + pixels.size] = pixels.reshape(-1)
        announced = messages.Announced(
            slot=slot,
            width=pixels.shape[1],
            height=pixels.shape[0],
            channels=1 if pixels.ndim == 2 else 3,
            frame_id=grabbed.frame_id,
            exposure_ns=grabbed.exposure_ns,
            trigger_id=grabbed.trigger_id,
        )
        self._judge.send(messages.pack_frame(announced))
        self._pause_s = FIRST_PAUSE_S

    def _is_refused(self, grabbed: Grabbed) -> bool:
        """Tell whether a frame is of a kind that is not taken; counted, and logged the first time.

        Raises:
            CameraLostError: it is always so.
        """
        refusal = self._refusal(grabbed)
        if not refusal:
            self._refused_in_a_row = 0
            return False
        self._counters["refused"] += 1
        self._refused_in_a_row += 1
        if self._refused_in_a_row == 1:
            log.error("frame refused", extra={"error": refusal})
        if self._refused_in_a_row >= MAX_REFUSED:
            self._refused_in_a_row = 0
            raise CameraLostError(f"none of its frames is taken: {refusal}")
        return True

    def _refusal(self, grabbed: Grabbed) -> str:
        """Return why this frame is none that we take, "" when it is."""
        pixels = grabbed.pixels
        rules = {
            f"pixels must be uint8, got {pixels.dtype}": pixels.dtype == np.uint8,
            f"pixels must be [height, width] or [height, width, 3], got {pixels.shape}": (
                pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
            ),
            "pixels must lie row by row without a gap": pixels.flags.c_contiguous,
            f"a frame must be 1 to {self._slot_bytes} bytes, got {pixels.nbytes}": (
                0 < pixels.nbytes <= self._slot_bytes
            ),
        }
        return next((rule for rule, holds in rules.items() if not holds), "")

    def _say_down(self, reason: str) -> None:
        self._judge.send(messages.pack_down(reason))

    def _beat(self) -> None:
        if self._clock_s() < self._beat_at_s:
            return
        self._beat_at_s = self._clock_s() + messages.BEAT_S
        counters = {**self._grabber.counters(), **self._counters}
        self._judge.send(messages.pack_beat(counters))

    def _listen(self) -> None:
        """Take the judge's words until it closes the socket."""
        try:
            with contextlib.suppress(OSError):
                while data := self._judge.recv(messages.MAX_MESSAGE_BYTES):
                    self._obey(data)
        finally:
            self._is_ending.set()

    def _obey(self, data: bytes) -> None:
        kind = data[:1]
        if kind == messages.TRIGGER:
            self._grabber.trigger(messages.unpack_trigger(data))
        elif kind == messages.GIVE_BACK:
            self._free.append(messages.unpack_give_back(data))
        else:
            raise CameraProtocolError(f"the judge says {kind!r}")


def main() -> int:
    """Grab for the judge at the other end of the socket that the first argument numbers."""
    set_up_logging("inference/camera")
    try:
        die_with_parent()
    except OrphanedError:
        return 0  # nobody wants this process any more
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the judge's to act on
    with socket.socket(fileno=int(sys.argv[1])) as judge:
        judge.setblocking(True)
        data, descriptors, _, _ = socket.recv_fds(judge, messages.MAX_MESSAGE_BYTES, 1)
        if not data:
            return 0
        try:
            grabber = open_grabber(read_assignment(data[1:]))
        except ContractError as error:
            judge.send(messages.pack_down(str(error)))
            return 1
        memory = mmap.mmap(descriptors[0], 0)
        os.close(descriptors[0])
        try:
            GrabberProcess(grabber, judge, memory).run()
        except (BrokenPipeError, ConnectionResetError):
            return 0  # the judge has closed the socket
        except Exception as error:
            log.exception("the camera's process ends")
            judge.send(messages.pack_down(f"{type(error).__name__}: {error}"))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
