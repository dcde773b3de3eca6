"""The process of a blocking camera, in a thread here, with a library that does as it is told."""

import mmap
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.waiting import WITHIN_S, wait_until

from taktgate.edge.clock import monotonic_ns
from taktgate.inspection.frames.grabber import messages
from taktgate.inspection.frames.grabber.messages import Announced
from taktgate.inspection.frames.grabber.port import (
    CameraLostError,
    CameraMissingLibraryError,
    Grabbed,
)
from taktgate.inspection.frames.grabber.process import MAX_REFUSED, GrabberProcess

SLOT_BYTES = 4096


class Library:
    """A camera's library."""

    def __init__(self) -> None:
        self.gives: deque[Grabbed | Exception] = deque()
        self.open_error: Exception | None = None
        self.opened = 0
        self.triggers: list[int] = []
        self.is_blocking = threading.Event()
        self.go_on = threading.Event()
        self.has_run_dry = threading.Event()
        """It was asked for more than it had: what it gave has been dealt with."""

    def open(self) -> None:
        self.opened += 1
        if self.open_error is not None:
            raise self.open_error

    def grab(self, timeout_s: float) -> Grabbed | None:
        if self.is_blocking.is_set():
            self.go_on.wait(2 * WITHIN_S)
        if not self.gives:
            self.has_run_dry.set()
            time.sleep(0.001)
            return None
        given = self.gives.popleft()
        if isinstance(given, Exception):
            raise given
        return given

    def trigger(self, trigger_id: int) -> None:
        self.triggers.append(trigger_id)

    def counters(self) -> dict[str, int]:
        return {"damaged": 4}

    def close(self) -> None:
        pass


class Bench:
    """The judge's place."""

    def __init__(self) -> None:
        self.library = Library()
        self.judge, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.judge.settimeout(WITHIN_S)
        self.memory = mmap.mmap(-1, messages.SLOTS * SLOT_BYTES)
        self.process = GrabberProcess(self.library, theirs, self.memory)
        self.theirs = theirs
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.process.run()
        except (BrokenPipeError, ConnectionResetError):
            return

    def hear(self, kind: bytes) -> bytes:
        """Return the next message of this kind; others are passed over."""
        while (message := self.judge.recv(messages.MAX_MESSAGE_BYTES))[:1] != kind:
            assert message, "the process has ended"
        return message

    def frame(self) -> Announced:
        return messages.unpack_frame(self.hear(messages.FRAME), slot_bytes=SLOT_BYTES)

    def close(self) -> None:
        self.library.go_on.set()
        self.judge.close()
        if self.thread.ident is not None:
            self.thread.join(WITHIN_S)
        assert not self.thread.is_alive()
        self.theirs.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def grabbed(pixels: Any, frame_id: int = 1) -> Grabbed:
    return Grabbed(pixels=pixels, frame_id=frame_id, exposure_ns=monotonic_ns(), trigger_id=9)


GOOD = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def test_a_frame_lies_in_the_shared_memory_when_it_is_announced(bench: Bench) -> None:
    bench.library.gives.append(grabbed(GOOD, 41))
    bench.thread.start()
    frame = bench.frame()
    assert (frame.frame_id, frame.width, frame.height, frame.channels) == (41, 4, 4, 3)
    assert frame.trigger_id == 9
    start = frame.slot * SLOT_BYTES
    assert bench.memory[start : start + 48] == GOOD.tobytes()


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint16),
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros(16, np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 8), np.uint8)[:, ::2],
        np.zeros((4, 8), np.uint8).T,
        np.zeros((65, 64), np.uint8),
    ],
    ids=["16 bits", "float", "RGBA", "one channel", "flat", "empty", "stride", "turned", "large"],
)
def test_a_frame_of_the_wrong_kind_is_refused_and_the_next_one_taken(
    bench: Bench, pixels: object
) -> None:
    bench.library.gives += [grabbed(pixels, 1), grabbed(GOOD, 2)]
    bench.thread.start()
    assert bench.frame().frame_id == 2


def test_frames_that_were_refused_are_counted(bench: Bench) -> None:
    bench.library.gives += [grabbed(np.zeros(16, np.uint8)), grabbed(GOOD)]
    bench.thread.start()
    bench.frame()
    assert messages.unpack_beat(bench.hear(messages.BEAT))["refused"] == 1


def test_a_camera_of_which_no_frame_is_taken_is_lost_for_that_reason(bench: Bench) -> None:
    large = np.zeros((65, 64), np.uint8)
    bench.library.gives += [grabbed(large, number) for number in range(MAX_REFUSED)]
    bench.thread.start()
    assert messages.unpack_down(bench.hear(messages.DOWN)) == (
        "none of its frames is taken: a frame must be 1 to 4096 bytes, got 4160"
    )


def test_frames_wait_for_no_judge_that_gives_no_slot_back(bench: Bench) -> None:
    count = messages.SLOTS + 3
    bench.library.gives += [grabbed(GOOD, number) for number in range(1, count + 1)]
    bench.thread.start()
    slots = {bench.frame().slot for _ in range(messages.SLOTS)}
    assert len(slots) == messages.SLOTS
    assert bench.library.has_run_dry.wait(WITHIN_S)
    bench.judge.send(messages.pack_give_back(2))
    wait_until(lambda: 2 in bench.process._free)
    bench.library.gives.append(grabbed(GOOD, 99))
    frame = bench.frame()
    assert (frame.frame_id, frame.slot) == (99, 2)


def test_a_trigger_does_not_wait_for_the_grab_that_goes_on(bench: Bench) -> None:
    bench.library.is_blocking.set()
    bench.thread.start()
    bench.hear(messages.UP)
    bench.judge.send(messages.pack_trigger(77))
    wait_until(lambda: bench.library.triggers == [77])


def test_a_lost_camera_is_told_with_its_reason_and_opened_again(bench: Bench) -> None:
    bench.library.gives += [CameraLostError("cable"), grabbed(GOOD, 5)]
    bench.thread.start()
    assert messages.unpack_down(bench.hear(messages.DOWN)) == "cable"
    bench.hear(messages.UP)
    assert bench.frame().frame_id == 5


def test_a_camera_that_cannot_be_opened_is_tried_again_while_the_process_shows_its_life(
    bench: Bench,
) -> None:
    bench.library.open_error = CameraLostError("not there")
    bench.thread.start()
    bench.hear(messages.DOWN)
    assert messages.unpack_beat(bench.hear(messages.BEAT))["damaged"] == 4
    wait_until(lambda: bench.library.opened >= 3)


def test_a_missing_library_is_not_looked_for_all_the_time(bench: Bench) -> None:
    bench.library.open_error = CameraMissingLibraryError("apt install libcamera")
    bench.thread.start()
    assert messages.unpack_down(bench.hear(messages.DOWN)) == "apt install libcamera"
    for _ in range(3):
        bench.hear(messages.BEAT)
    assert bench.library.opened == 1
