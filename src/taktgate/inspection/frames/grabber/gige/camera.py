"""A GigE Vision camera as a `Grabber`: grabbed from, triggered, and noticed when it goes."""

import contextlib
import threading
from collections.abc import Callable
from typing import Final

from taktgate.edge.camera_settings import GigeCameraSettings
from taktgate.edge.clock import SECOND, monotonic_ns
from taktgate.inspection.frames.grabber.gige import gvcp
from taktgate.inspection.frames.grabber.gige.aravis import Aravis
from taktgate.inspection.frames.grabber.gige.camera_clock import CameraClock
from taktgate.inspection.frames.grabber.gige.connection import (
    Connection,
    ControlLost,
    connect,
    disconnect,
    read_long,
)
from taktgate.inspection.frames.grabber.gige.frame_ids import FrameIds
from taktgate.inspection.frames.grabber.gige.pixels import damage_of, pixels_of
from taktgate.inspection.frames.grabber.gige.trigger_pairs import (
    FRAME_LIMIT_NS,
    SentTrigger,
    TriggerPairs,
)
from taktgate.inspection.frames.grabber.port import CameraLostError, Grabbed

SILENCE_NS: Final = 1 * SECOND
"""Without a frame for so long the camera is asked whether it is there, and again each time."""
LATCH_EVERY_NS: Final = 10 * SECOND
_TIMESTAMP_CONTROL, _TIMESTAMP_HIGH, _TIMESTAMP_LOW = 0x0944, 0x0948, 0x094C
_LATCH: Final = 2
"""GigE Vision 1.2, bootstrap registers: bit 30 of timestamp control (value 2) latches."""


class GigeCamera:
    """Implements `Grabber` with Aravis. `trigger` may be called from another thread."""

    def __init__(
        self, settings: GigeCameraSettings, *, clock: Callable[[], int] = monotonic_ns
    ) -> None:
        self._settings = settings
        self._now_ns = clock
        self._aravis: Aravis | None = None
        self._stream: _Stream | None = None
        self._damaged: dict[str, int] = {}
        self._totals = {"frames": 0, "lost_blocks": 0, "triggers_lost": 0}

    def open(self) -> None:
        """Connect, set the features and start.

        Raises:
            CameraLostError: no such camera, somebody else controls it, or it refuses a feature.
            CameraMissingLibraryError: Aravis is not installed.
        """
        self.close()
        if self._aravis is None:
            self._aravis = Aravis()
        lost = ControlLost()
        connection = connect(self._aravis, self._settings, lost)
        self._stream = _Stream(self._aravis, connection, lost, now_ns=self._now_ns())

    def grab(self, timeout_s: float) -> Grabbed | None:
        """Return the next whole frame; None when none came in time, or a damaged one (counted).

        Raises:
            CameraLostError: the camera is gone; noticed within SILENCE_NS and a second.
        """
        stream = self._stream
        if stream is None:
            raise CameraLostError("the camera is not open")
        stream.keep_clock(self._now_ns())
        buffer = stream.next_buffer(timeout_s)
        now_ns = self._now_ns()
        if buffer is None:
            stream.look_after(now_ns)
            return None
        stream.seen_ns = now_ns
        sent = stream.sent_trigger(now_ns) if self._settings.trigger == "software" else None
        grabbed = self._frame(stream, buffer, sent, now_ns)
        self._totals["frames"] += grabbed is not None
        return grabbed

    def trigger(self, trigger_id: int) -> None:
        """Send a software trigger, unless it could not be told which frame is its own."""
        stream = self._stream
        if stream is not None and self._settings.trigger == "software":
            stream.send_trigger(trigger_id, self._now_ns())

    def counters(self) -> dict[str, int]:
        """Return frames, and by name what was damaged or lost."""
        totals = dict(self._totals)
        if self._stream is not None:
            totals["lost_blocks"] += self._stream.ids.lost
            totals["triggers_lost"] += self._stream.pairs.lost
        return {**totals, **self._damaged}

    def close(self) -> None:
        """Stop, and give camera and buffers back."""
        stream, self._stream = self._stream, None
        if stream is not None:
            self._totals["lost_blocks"] += stream.ids.lost
            self._totals["triggers_lost"] += stream.pairs.lost
            stream.close()

    def _frame(
        self, stream: "_Stream", buffer: int, sent: SentTrigger | None, now_ns: int
    ) -> Grabbed | None:
        damage = damage_of(stream.aravis, buffer)
        if damage is not None:
            self._count(damage)
            return None
        frame_id = stream.ids.unroll(stream.aravis.call("arv_buffer_get_frame_id", buffer))
        if frame_id is None:
            self._count("out_of_order")
            return None
        pixels = pixels_of(stream.aravis, buffer)
        if pixels is None:
            self._count("pixel_format")
            return None
        exposure_ns = stream.exposure_ns(buffer, now_ns)
        if self._settings.timestamp == "exposure_end":
            exposure_ns -= stream.connection.exposure_ns
        if sent is not None:
            exposure_ns = max(exposure_ns, sent.sent_ns)  # not before it was asked for
        return Grabbed(
            pixels=pixels,
            frame_id=frame_id,
            exposure_ns=exposure_ns,
            trigger_id=None if sent is None else sent.trigger_id,
        )

    def _count(self, damage: str) -> None:
        self._damaged[damage] = self._damaged.get(damage, 0) + 1


class _Stream:
    """What lives as long as one connection."""

    def __init__(
        self, aravis: Aravis, connection: Connection, lost: ControlLost, *, now_ns: int
    ) -> None:
        self.aravis = aravis
        self.connection = connection
        self.ids = FrameIds()
        self.pairs = TriggerPairs(limit_ns=FRAME_LIMIT_NS + connection.exposure_ns)
        self.seen_ns = now_ns
        self._lost = lost
        self._clock = CameraClock(payload_bytes=connection.payload_bytes)
        self._latched_ns: int | None = None
        self._held: int | None = None
        self._lock = threading.Lock()
        """Over `pairs`: triggers come from another thread."""

    def next_buffer(self, timeout_s: float) -> int | None:
        """Give the last buffer back and return the next one.

        Raises:
            CameraLostError: the camera no longer obeys.
        """
        self._give_back()
        if self._lost.is_set:
            raise CameraLostError("the camera no longer obeys: control was lost")
        timeout_us = max(0, int(timeout_s * 1_000_000))
        self._held = self.aravis.call(
            "arv_stream_timeout_pop_buffer", self.connection.stream, timeout_us
        )
        return self._held

    def send_trigger(self, trigger_id: int, now_ns: int) -> None:
        """Trigger, unless two frames could then be mistaken for each other."""
        with self._lock:
            is_due = self.pairs.trigger(trigger_id, now_ns)
        if is_due:
            with contextlib.suppress(CameraLostError):  # its frame will be missed, and that is seen
                self.aravis.attempt("arv_camera_software_trigger", self.connection.camera)

    def sent_trigger(self, now_ns: int) -> SentTrigger | None:
        """Return the trigger of a frame that has just come, None when that is not known."""
        with self._lock:
            return self.pairs.frame(now_ns)

    def exposure_ns(self, buffer: int, now_ns: int) -> int:
        """Return when the camera stamped *buffer*, on this host's clock and never too late."""
        camera_ns = self.aravis.call("arv_buffer_get_timestamp", buffer)
        self._clock.arrived(camera_ns=camera_ns, arrival_ns=now_ns)
        return self._clock.here(camera_ns, not_after_ns=now_ns)

    def keep_clock(self, now_ns: int) -> None:
        """Hold the clocks against each other, where the camera can note its own on command."""
        ticks_per_s, device = self.connection.ticks_per_s, self.connection.device
        is_asked = self._latched_ns is not None
        if not ticks_per_s or (is_asked and not self._clock.is_latched):
            return
        if self._latched_ns is not None and now_ns - self._latched_ns < LATCH_EVERY_NS:
            return
        self._latched_ns = now_ns
        with contextlib.suppress(CameraLostError):  # the next one comes
            self.aravis.attempt("arv_device_write_register", device, _TIMESTAMP_CONTROL, _LATCH)
            ticks = read_long(self.aravis, device, _TIMESTAMP_HIGH, _TIMESTAMP_LOW)
            if ticks:  # a camera without the function leaves 0 there
                self._clock.latch(camera_ns=ticks * SECOND // ticks_per_s, sent_ns=now_ns)

    def look_after(self, now_ns: int) -> None:
        """Ask a camera that has been silent whether it is there.

        Raises:
            CameraLostError: it is not.
        """
        address = self.connection.address
        if now_ns - self.seen_ns < SILENCE_NS or address is None:
            return
        if not gvcp.is_there(address):
            raise CameraLostError(f"the camera at {address} does not answer")
        self.seen_ns = now_ns

    def close(self) -> None:
        """Give everything back."""
        self._give_back()
        disconnect(self.aravis, self.connection)

    def _give_back(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self.aravis.call("arv_stream_push_buffer", self.connection.stream, held)
