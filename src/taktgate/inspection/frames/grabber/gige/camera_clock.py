"""From the camera's clock to this host's CLOCK_MONOTONIC, never later than it was. Pure.

Two ways to know how far the clocks are apart:

*latched*: the camera notes its clock on command (GigE Vision: timestamp control). That moment
lies between the sending of the command and its acknowledgement, so `sent - camera` is an offset
that errs to the early side only, by the round trip at most (some 0.1 to 1 ms).

*by arrival*: a camera that cannot do that is held against the arrival of its frames. The smallest
`arrival - camera` seen is the offset plus the shortest transfer there was. The least that a
transfer can take is taken off, and for the jitter of even the fastest frame `LATE_BY_ARRIVAL_NS`.

Quartzes drift by up to some 100 ppm: an offset is let grow by that, so that an old minimum does not
hold for ever.
"""

from typing import Final

from taktgate.edge.clock import MILLISECOND

DRIFT_PPM: Final = 200
LATE_BY_ARRIVAL_NS: Final = 2 * MILLISECOND
GIGABIT_BYTES_PER_NS: Final = 0.125


class CameraClock:
    """The offset between one camera's clock and ours."""

    def __init__(self, *, payload_bytes: int) -> None:
        self._shortest_transfer_ns = int(payload_bytes / GIGABIT_BYTES_PER_NS / 10)
        """At 10 Gbit/s, the fastest link that GigE Vision cameras have."""
        self._offset_ns: int | None = None
        self._at_ns = 0
        self.is_latched = False

    def latch(self, *, camera_ns: int, sent_ns: int) -> None:
        """Take in what the camera noted on the command that was sent at *sent_ns*."""
        self._offset_ns, self._at_ns = sent_ns - camera_ns, sent_ns
        self.is_latched = True

    def arrived(self, *, camera_ns: int, arrival_ns: int) -> None:
        """Take in a frame that was complete at *arrival_ns*; of use without a latch only."""
        if self.is_latched:
            return
        late_ns = self._shortest_transfer_ns + LATE_BY_ARRIVAL_NS
        offset_ns = arrival_ns - camera_ns - late_ns
        if self._offset_ns is not None:
            drift_ns = (arrival_ns - self._at_ns) * DRIFT_PPM // 1_000_000
            offset_ns = min(offset_ns, self._offset_ns + drift_ns)
        self._offset_ns, self._at_ns = offset_ns, arrival_ns

    def here(self, camera_ns: int, *, not_after_ns: int) -> int:
        """Return when *camera_ns* was on this host, never after *not_after_ns*."""
        if self._offset_ns is None:
            return not_after_ns
        age_ns = max(0, not_after_ns - self._at_ns)
        drift_ns = age_ns * DRIFT_PPM // 1_000_000 if self.is_latched else 0
        return min(camera_ns + self._offset_ns - drift_ns, not_after_ns)
