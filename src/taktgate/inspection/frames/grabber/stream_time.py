"""When a stream's image was exposed, as far as that can be known. Pure.

A stream says when an image belongs in its own time, and an image arrives here some time after its
exposure. The quickest image of the last minute gives the difference between the two clocks plus the
shortest latency; taken back by the longest latency that the stream may have, it gives a moment that
is never later than the exposure. An image that was held up on its way does not move it. The minute
is there for the clocks' drift: without an end, a camera's clock that goes slow would make images
seem ever older, until no part had one.
"""

from dataclasses import dataclass, field
from typing import Final

from taktgate.edge.clock import SECOND

HALF_WINDOW_NS: Final = 30 * SECOND


@dataclass(slots=True, kw_only=True)
class StreamTime:
    """Maps one stream's time to CLOCK_MONOTONIC."""

    latency_ns: int
    """The longest from exposure to arrival."""
    _since_ns: int | None = field(default=None, init=False)
    _current_ns: int = field(default=0, init=False)
    """Smallest difference in this half of the window."""
    _before_ns: int = field(default=0, init=False)
    """The same in the half before."""

    def exposure_ns(self, stream_ns: int, arrived_ns: int) -> int:
        """Return a moment not later than the exposure, and the closest to it that can be told.

        Args:
            stream_ns: Where the image belongs in the stream's time.
            arrived_ns: When it was here.
        """
        offset_ns = arrived_ns - stream_ns
        if self._since_ns is None:
            self._since_ns, self._current_ns, self._before_ns = arrived_ns, offset_ns, offset_ns
        elif arrived_ns - self._since_ns >= HALF_WINDOW_NS:
            self._since_ns, self._before_ns = arrived_ns, self._current_ns
            self._current_ns = offset_ns
        self._current_ns = min(self._current_ns, offset_ns)
        return stream_ns + min(self._current_ns, self._before_ns) - self.latency_ns

    def restart(self) -> None:
        """Forget the difference: the stream has begun anew."""
        self._since_ns = None
