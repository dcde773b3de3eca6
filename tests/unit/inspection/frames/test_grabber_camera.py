"""The judge's end of a camera's process, in virtual time, against a process that says anything."""

import mmap
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.frames.camera import CameraDown, CameraEvent, CameraUp, Frame
from taktgate.inspection.frames.grabber import messages
from taktgate.inspection.frames.grabber.camera import (
    LAST_RESTART_NS,
    OPENING_LIMIT_NS,
    SILENCE_LIMIT_NS,
    GrabberCamera,
)
from taktgate.inspection.frames.grabber.link import GrabberMemory
from taktgate.inspection.frames.grabber.messages import Announced
from taktgate.inspection.frames.ring import FrameRing

SLOT_BYTES = 4096
GONE = b""


class Process:
    """A camera's process that says what it is given."""

    def __init__(self) -> None:
        self.says: deque[bytes] = deque()
        self.was_told: list[bytes] = []
        self.is_deaf = False
        self.is_killed = False
        self.was_parted = False
        self.failure = ""

    def fileno(self) -> int:
        return 99

    def receive(self) -> bytes | None:
        return self.says.popleft() if self.says else None

    def send(self, message: bytes) -> bool:
        if not self.is_deaf:
            self.was_told.append(message)
        return not self.is_deaf

    def kill(self) -> None:
        self.is_killed = True

    def is_gone(self) -> bool:
        return self.is_killed

    def part(self) -> None:
        self.was_parted = True


class Bench:
    def __init__(self, *, ring_slots: int = 3) -> None:
        self.now_ns = 1000 * SECOND
        self.ring = FrameRing(slots=ring_slots, slot_bytes=SLOT_BYTES)
        self.processes: list[Process] = []
        self.start_error: OSError | None = None
        self.camera = GrabberCamera(b"{}", self.ring, start=self._start, clock=lambda: self.now_ns)

    def _start(self, assignment: bytes, memory: GrabberMemory) -> Process:
        if self.start_error is not None:
            raise self.start_error
        self.memory = memory
        self.processes.append(Process())
        return self.processes[-1]

    @property
    def process(self) -> Process:
        return self.processes[-1]

    def fill(self, slot: int, pixels: bytes) -> None:
        """Write as the process does."""
        with mmap.mmap(self.memory.fileno(), 0) as theirs:
            theirs[slot * SLOT_BYTES : slot * SLOT_BYTES + len(pixels)] = pixels

    def advance(self, after_ns: int = MILLISECOND) -> list[CameraEvent]:
        self.now_ns += after_ns
        return self.camera.advance(self.now_ns)

    def say(self, *said: bytes) -> list[CameraEvent]:
        """Have the process say so, and return all that the camera makes of it."""
        self.process.says.extend(said)
        events = self.advance()
        while self.process.says and not self.process.is_killed:
            events += self.advance()
        return events

    def up(self) -> None:
        self.advance()
        assert self.say(messages.UP) == [CameraUp()]

    def announced(self, frame_id: int = 1, *, slot: int = 0, ahead_ns: int = 0) -> bytes:
        return messages.pack_frame(
            Announced(
                slot=slot,
                width=8,
                height=4,
                channels=1,
                frame_id=frame_id,
                exposure_ns=self.now_ns + ahead_ns,
                trigger_id=None,
            )
        )

    def close(self) -> None:
        self.camera.close()
        self.ring.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def down_reasons(events: list[CameraEvent]) -> list[str]:
    return [event.reason for event in events if isinstance(event, CameraDown)]


def test_the_process_is_started_by_the_loop_and_not_before(bench: Bench) -> None:
    assert bench.processes == []
    assert bench.camera.wake_ns == 0
    bench.advance()
    assert len(bench.processes) == 1


def test_a_frame_is_copied_into_the_ring_and_its_slot_given_back(bench: Bench) -> None:
    bench.up()
    bench.fill(2, bytes(range(32)))
    (frame,) = bench.say(bench.announced(7, slot=2))
    bench.fill(2, bytes(32))
    assert isinstance(frame, Frame)
    assert bench.ring.memory(frame.slot)[:32] == bytes(range(32))
    assert (frame.frame_id, frame.width, frame.height, frame.channels) == (7, 8, 4, 1)
    assert frame.received_ns >= frame.exposure_ns
    assert bench.process.was_told == [messages.pack_give_back(2)]
    assert bench.ring.free == bench.ring.slots - 1


def test_one_frame_a_turn_lets_the_judge_look_at_its_deadlines(bench: Bench) -> None:
    bench.up()
    bench.process.says.extend([bench.announced(1), bench.announced(2)])
    assert len(bench.advance()) == 1
    assert len(bench.advance()) == 1


def test_without_a_free_slot_the_frame_is_counted_and_its_memory_given_back() -> None:
    bench = Bench(ring_slots=1)
    bench.up()
    assert len(bench.say(bench.announced(1), bench.announced(2, slot=3))) == 1
    assert bench.camera.counters()["no_slot"] == 1
    assert bench.process.was_told[-1] == messages.pack_give_back(3)
    bench.close()


def test_a_gap_in_the_numbers_is_counted_as_lost(bench: Bench) -> None:
    bench.up()
    bench.say(bench.announced(5), bench.announced(6), bench.announced(10))
    assert bench.camera.counters()["lost"] == 3


def test_a_camera_that_came_back_may_count_anew(bench: Bench) -> None:
    bench.up()
    events = bench.say(
        bench.announced(900), messages.pack_down("unplugged"), messages.UP, bench.announced(1)
    )
    assert [type(event) for event in events] == [Frame, CameraDown, CameraUp, Frame]
    assert bench.camera.counters()["lost"] == 0
    assert bench.camera.counters()["connects"] == 2


@pytest.mark.parametrize(
    ("nonsense", "rule"),
    [
        (lambda bench: bench.announced(5), "frame ids must rise: 5 after 5"),
        (lambda bench: bench.announced(6, ahead_ns=10 * SECOND), "monotonic clock"),
        (lambda bench: bench.announced(6, slot=messages.SLOTS), "slot must be below"),
        (lambda bench: bench.announced(6)[:-1], "must be"),
        (lambda bench: messages.UP, "came up twice"),
        (lambda bench: b"Z", "unknown message b'Z'"),
        (lambda bench: messages.BEAT + b"{", "no JSON"),
    ],
)  # fmt: skip
def test_a_process_that_breaks_the_protocol_is_killed_with_the_rule_as_reason(
    bench: Bench, nonsense: object, rule: str
) -> None:
    bench.up()
    bench.say(bench.announced(5))
    assert callable(nonsense)
    (reason,) = down_reasons(bench.say(nonsense(bench)))
    assert rule in reason
    assert bench.process.is_killed
    assert bench.camera.fileno() == -1
    assert bench.camera.counters()["bad_messages"] == 1


def test_a_frame_before_the_camera_is_up_is_refused(bench: Bench) -> None:
    bench.advance()
    (reason,) = down_reasons(bench.say(bench.announced(1)))
    assert "before the camera was up" in reason


def test_silence_of_two_seconds_is_the_loss_of_the_camera(bench: Bench) -> None:
    bench.up()
    assert bench.camera.wake_ns == bench.now_ns + SILENCE_LIMIT_NS
    assert bench.advance(SILENCE_LIMIT_NS - 1) == []
    (reason,) = down_reasons(bench.advance(1))
    assert reason == "the camera's process said nothing for 2 s"
    assert bench.process.is_killed


def test_what_waited_while_the_judge_stood_still_is_heard_before_it_counts_as_silence(
    bench: Bench,
) -> None:
    bench.up()
    bench.process.says.append(messages.pack_beat({}))
    assert bench.advance(10 * SECOND) == []
    assert not bench.process.is_killed


def test_opening_a_camera_may_take_longer_than_grabbing_from_it(bench: Bench) -> None:
    bench.advance()
    assert bench.advance(OPENING_LIMIT_NS - 1) == []
    assert down_reasons(bench.advance(1)) == ["the camera's process said nothing for 30 s"]


def test_a_process_that_ends_is_replaced_with_growing_pauses(bench: Bench) -> None:
    bench.advance()
    pauses = []
    for _ in range(9):
        bench.say(GONE)
        wake_ns = bench.camera.wake_ns
        assert wake_ns is not None
        pauses.append(wake_ns - bench.now_ns)
        assert bench.advance(pauses[-1] - 1) == []
        count = len(bench.processes)
        bench.advance(1)
        assert len(bench.processes) == count + 1
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (100 * MILLISECOND, LAST_RESTART_NS)


def test_after_a_frame_the_next_loss_is_mended_at_once_again(bench: Bench) -> None:
    bench.advance()
    for _ in range(5):
        bench.say(GONE)
        bench.advance(LAST_RESTART_NS)
    bench.say(messages.UP, bench.announced(1), GONE)
    assert bench.camera.wake_ns == bench.now_ns + 100 * MILLISECOND


def test_a_process_that_cannot_be_started_is_tried_again(bench: Bench) -> None:
    bench.start_error = OSError(11, "Resource temporarily unavailable")
    (reason,) = down_reasons(bench.advance())
    assert "cannot start" in reason
    bench.start_error = None
    bench.advance(SECOND)
    bench.say(messages.UP)
    assert bench.camera.counters()["starts"] == 2


def test_a_reason_is_told_once_until_it_changes(bench: Bench) -> None:
    bench.advance()
    events = bench.say(
        messages.pack_down("no cable"),
        messages.pack_down("no cable"),
        messages.pack_down("no GigE"),
    )
    assert down_reasons(events) == ["no cable", "no GigE"]


def test_the_end_of_the_process_does_not_hide_what_it_died_of(bench: Bench) -> None:
    bench.advance()
    assert down_reasons(bench.say(messages.pack_down("ValueError: x"), GONE)) == ["ValueError: x"]


def test_a_process_that_reads_nothing_is_replaced_before_its_slots_run_out(bench: Bench) -> None:
    bench.up()
    bench.process.is_deaf = True
    events = bench.say(bench.announced(1))
    assert [type(event) for event in events] == [Frame, CameraDown]
    assert bench.process.is_killed


def test_a_trigger_reaches_the_process_or_is_counted(bench: Bench) -> None:
    bench.camera.trigger(41)
    bench.up()
    bench.camera.trigger(42)
    bench.process.is_deaf = True
    bench.camera.trigger(43)
    assert bench.process.was_told == [messages.pack_trigger(42)]
    assert bench.camera.counters()["triggers_lost"] == 2


def test_counters_of_the_camera_add_up_over_its_processes(bench: Bench) -> None:
    bench.up()
    bench.say(messages.pack_beat({"damaged": 3}), GONE)
    bench.advance(SECOND)
    bench.say(messages.pack_beat({"damaged": 2}))
    assert bench.camera.counters()["damaged"] == 5


def test_what_the_process_counts_cannot_hide_what_the_judge_counts(bench: Bench) -> None:
    bench.up()
    bench.say(messages.pack_beat({"lost": 77}))
    assert bench.camera.counters()["lost"] == 0


def test_closing_lets_the_camera_go(bench: Bench) -> None:
    bench.up()
    process = bench.process
    bench.camera.close()
    assert process.was_parted
    assert bench.camera.fileno() == -1
    bench.camera = GrabberCamera(b"{}", bench.ring, start=bench._start)


@given(
    st.lists(
        st.binary(max_size=40)
        | st.builds(lambda kind, rest: kind + rest, st.sampled_from([b"F", b"B"]), st.binary())
        | st.sampled_from([messages.UP, messages.DOWN, GONE])
        | st.integers(0, 9).map(lambda frame_id: ("frame", frame_id)),
        max_size=30,
    )
)
def test_no_process_can_raise_in_the_judge_or_lose_a_slot_of_its_ring(said: list[object]) -> None:
    bench = Bench()
    bench.advance()
    held = 0
    for each in said:
        message = each if isinstance(each, bytes) else bench.announced(each[1])  # type: ignore[index]
        bench.process.says.append(message)
        for event in bench.advance(6 * SECOND if bench.camera.fileno() < 0 else MILLISECOND):
            if isinstance(event, Frame):
                held += 1
        assert bench.ring.free == bench.ring.slots - held
    bench.close()
