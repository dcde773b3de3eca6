"""A camera whose library blocks, as the judge sees it: a process that announces frames.

Nothing here waits, and nothing that the process says is believed unchecked: a frame is copied from
the process's memory into the judge's ring (786 KB cost some 35 us) before anybody looks at it, so
that it cannot change any more. A process that ends, falls silent or breaks the protocol is killed
and started anew, with growing pauses. What a camera's loss costs is the parts until then.
"""

import logging
from collections.abc import Callable
from typing import Final

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.edge.clock import monotonic_ns as now
from taktgate.inspection.errors import CameraProtocolError
from taktgate.inspection.frames.camera import CameraDown, CameraEvent, CameraUp, Frame
from taktgate.inspection.frames.grabber import messages
from taktgate.inspection.frames.grabber.link import GrabberMemory, Link
from taktgate.inspection.frames.ring import FrameRing

log = logging.getLogger(__name__)

FIRST_RESTART_NS: Final = 100 * MILLISECOND
LAST_RESTART_NS: Final = 5 * SECOND
SILENCE_LIMIT_NS: Final = 2 * SECOND
"""A process whose camera is up and that says nothing for so long hangs: it says something every
0.25 s, and no library call in it may take longer than a second."""
OPENING_LIMIT_NS: Final = 30 * SECOND
"""The same while it starts or opens its camera: looking for one on a network takes its time."""
MAX_MESSAGES_A_TURN: Final = 16
"""After so many, or one frame, the judge gets to look at its deadlines."""
_COUNTERS: Final = (
    "frames", "lost", "no_slot", "starts", "connects", "bad_messages", "triggers_lost",
)  # fmt: skip


class GrabberCamera:
    """The frame source of every camera that runs in a process of its own."""

    def __init__(
        self,
        assignment: bytes,
        ring: FrameRing,
        *,
        start: Callable[[bytes, GrabberMemory], Link],
        clock: Callable[[], int] = now,
    ) -> None:
        """Prepare; the process is started by the first `advance`.

        Args:
            assignment: The camera's settings as JSON, which the process reads.
            ring: Where frames go.
            start: Starts the process.
            clock: CLOCK_MONOTONIC.
        """
        self._assignment = assignment
        self._ring = ring
        self._memory = GrabberMemory(ring.slot_bytes)
        self._start_link = start
        self._clock = clock
        self._link: Link | None = None
        self._ending: list[Link] = []
        self._is_up = False
        self._last_reason = ""
        self._start_at_ns = 0
        self._pause_ns = FIRST_RESTART_NS
        self._heard_ns = 0
        self._is_deaf = False
        """The process no longer reads what it is told; its slots would run out."""
        self._last_frame_id: int | None = None
        self._counters = dict.fromkeys(_COUNTERS, 0)
        self._said: dict[str, int] = {}
        """The process's own counters; those of earlier processes are in `_before`."""
        self._before: dict[str, int] = {}

    @property
    def wake_ns(self) -> int | None:
        """Return when to start the process, or to take its silence for its end."""
        return self._start_at_ns if self._link is None else self._heard_ns + self._silence_limit_ns

    @property
    def wants_write(self) -> bool:
        """Return False: what cannot be sent at once is not sent."""
        return False

    def trigger(self, trigger_id: int) -> None:
        """Have the camera expose for this part; a trigger that does not get through is counted."""
        if self._link is None or not self._link.send(messages.pack_trigger(trigger_id)):
            self._counters["triggers_lost"] += 1

    def fileno(self) -> int:
        """Return the socket's descriptor, -1 while there is no process."""
        return -1 if self._link is None else self._link.fileno()

    def counters(self) -> dict[str, int]:
        """Return how often what happened, here and in the camera's process."""
        names = {*self._said, *self._before}
        theirs = {name: self._said.get(name, 0) + self._before.get(name, 0) for name in names}
        return {**theirs, **self._counters}

    def advance(self, now_ns: int) -> list[CameraEvent]:
        """Start the process, take in what it says, or give it up."""
        self._ending = [link for link in self._ending if not link.is_gone()]
        if self._link is None:
            return self._start(now_ns) if now_ns >= self._start_at_ns else []
        events: list[CameraEvent] = []
        try:
            self._listen(self._link, now_ns, events)
        except CameraProtocolError as error:
            self._counters["bad_messages"] += 1
            events += self._lose(str(error), now_ns)
        return events

    def close(self) -> None:
        """Let the camera go and end its process; waits half a second at most."""
        for link in (*self._ending, *([] if self._link is None else [self._link])):
            link.part()
        self._ending, self._link = [], None
        self._memory.close()

    @property
    def _silence_limit_ns(self) -> int:
        return SILENCE_LIMIT_NS if self._is_up else OPENING_LIMIT_NS

    def _start(self, now_ns: int) -> list[CameraEvent]:
        """Have the process started."""
        self._counters["starts"] += 1
        self._heard_ns, self._is_deaf = now_ns, False
        try:
            self._link = self._start_link(self._assignment, self._memory)
        except OSError as error:
            return self._lose(f"the camera's process cannot start: {error}", now_ns)
        return []

    def _listen(self, link: Link, now_ns: int, events: list[CameraEvent]) -> None:
        """Add to *events* what the process says.

        Raises:
            CameraProtocolError: it says what it must not.
        """
        for _ in range(MAX_MESSAGES_A_TURN):
            message = link.receive()
            if message is None:
                break
            if not message:
                events += self._lose(self._why_ended(link), now_ns)
                return
            self._heard_ns = now_ns
            event = self._understand(link, message)
            if event is not None:
                events.append(event)
            if message[:1] == messages.FRAME:
                break
        if self._is_deaf:
            events += self._lose("the camera's process does not listen", now_ns)
        elif now_ns - self._heard_ns >= self._silence_limit_ns:
            silent_s = self._silence_limit_ns / SECOND
            events += self._lose(f"the camera's process said nothing for {silent_s:g} s", now_ns)

    def _why_ended(self, link: Link) -> str:
        if link.failure:
            return f"the camera's process cannot start: {link.failure}"
        why = "the camera's process ended"
        return why if self._is_up else self._last_reason or why

    def _understand(self, link: Link, message: bytes) -> CameraEvent | None:
        """Return what *message* means to the judge.

        Raises:
            CameraProtocolError: it is none of the process's messages.
        """
        kind = message[:1]
        if kind == messages.FRAME:
            return self._take(link, message)
        if kind == messages.BEAT:
            self._said = messages.unpack_beat(message)
            return None
        if kind == messages.UP:
            return self._up()
        if kind == messages.DOWN:
            return self._down(messages.unpack_down(message))
        raise CameraProtocolError(f"unknown message {kind!r}")

    def _up(self) -> CameraUp:
        """Return that the camera is here.

        Raises:
            CameraProtocolError: it was here already: what does the process mean?
        """
        if self._is_up:
            raise CameraProtocolError("the camera came up twice")
        log.info("camera connected")
        self._counters["connects"] += 1
        self._is_up, self._last_reason, self._last_frame_id = True, "", None
        return CameraUp()

    def _take(self, link: Link, message: bytes) -> Frame | None:
        """Copy a frame into the ring and give its slot back.

        Raises:
            CameraProtocolError: the frame cannot be.
        """
        announced = messages.unpack_frame(message, slot_bytes=self._memory.slot_bytes)
        self._count(announced)
        slot = self._ring.take()
        if slot is not None:
            with (
                self._memory.pixels(announced) as theirs,
                self._ring.memory(slot) as whole,
                whole[: announced.size_bytes] as ours,
            ):
                ours[:] = theirs
        received_ns = self._clock()
        self._is_deaf = not link.send(messages.pack_give_back(announced.slot))
        if slot is None:
            self._counters["no_slot"] += 1
            return None
        self._counters["frames"] += 1
        self._pause_ns = FIRST_RESTART_NS
        return Frame(
            frame_id=announced.frame_id,
            exposure_ns=announced.exposure_ns,
            received_ns=received_ns,
            width=announced.width,
            height=announced.height,
            channels=announced.channels,
            slot=slot,
            trigger_id=announced.trigger_id,
        )

    def _count(self, frame: messages.Announced) -> None:
        """Check what can only be checked against what was said before, and count gaps.

        Raises:
            CameraProtocolError: the frame contradicts it.
        """
        if not self._is_up:
            raise CameraProtocolError("a frame came before the camera was up")
        if not 0 < frame.exposure_ns <= self._clock():
            raise CameraProtocolError("exposure time is not on this host's monotonic clock")
        last = self._last_frame_id
        if last is not None:
            if frame.frame_id <= last:
                raise CameraProtocolError(f"frame ids must rise: {frame.frame_id} after {last}")
            self._counters["lost"] += frame.frame_id - last - 1
        self._last_frame_id = frame.frame_id

    def _lose(self, reason: str, now_ns: int) -> list[CameraEvent]:
        """End the process and plan the next one."""
        if self._link is not None:
            self._link.kill()
            self._ending.append(self._link)
            self._link = None
        for name, count in self._said.items():
            self._before[name] = self._before.get(name, 0) + count
        self._said = {}
        self._start_at_ns = now_ns + self._pause_ns
        self._pause_ns = min(2 * self._pause_ns, LAST_RESTART_NS)
        event = self._down(reason)
        return [] if event is None else [event]

    def _down(self, reason: str) -> CameraEvent | None:
        """Return the camera's loss, None when it is known for this very reason."""
        is_news = self._is_up or reason != self._last_reason
        self._is_up, self._last_reason = False, reason
        if not is_news:
            return None
        log.warning("no camera", extra={"error": reason})
        return CameraDown(reason=reason)
