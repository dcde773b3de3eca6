"""How long replies and frames may take on a line that grants its parts more than usual. Pure."""

from typing import Final

_USUAL_DEADLINE_MS: Final = 200
"""What the times of config/station.yaml are made for."""
_LONGEST_REPLY_TIMEOUT_MS: Final = 1000
_WIDEST_WINDOW: Final = 0.75
"""Of the time from one part to the next: frame windows must not overlap."""


def reply_timeout_ms(shipped_ms: int, *, deadline_ms: int) -> int:
    """Return `plc.reply_timeout_ms` for a line with *deadline_ms*: in its share, 1 s at most."""
    return min(round(_share(deadline_ms) * shipped_ms), _LONGEST_REPLY_TIMEOUT_MS)


def frame_window_ms(shipped_ms: int, *, deadline_ms: int, rate: float) -> int:
    """Return `camera.frame_window_ms` for a line with *deadline_ms* and *rate* parts a second.

    It grows with the deadline as far as the next part leaves room, and never shrinks.
    """
    widest_ms = round(_WIDEST_WINDOW * 1000 / rate)
    return max(shipped_ms, min(round(_share(deadline_ms) * shipped_ms), widest_ms))


def _share(deadline_ms: int) -> float:
    return max(1.0, deadline_ms / _USUAL_DEADLINE_MS)
