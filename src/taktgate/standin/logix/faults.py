"""Faults of a controller's communication, switched while it runs."""

from dataclasses import dataclass
from typing import Final

MAX_DELAY_MS: Final = 60_000.0
_MAX_COUNT: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What is wrong right now; the controller's program goes on as if nothing were.

    A link reads all but `torn_ms` in one place, where it meets its client.

    Raises:
        ValueError: a figure is out of its range.
    """

    delay_ms: float = 0.0
    """Each reply leaves this much later; requests are executed at once."""
    is_frozen: bool = False
    """Nothing is read or answered, connections stay; what waited is executed afterwards."""
    is_cut: bool = False
    """Connections are reset, and so is each new one."""
    is_blackhole: bool = False
    """Requests are read and dropped: never executed, never answered, afterwards neither."""
    drop_every: int = 0
    """Each n-th reply to a client is not sent, although the request was executed; 0 is off."""
    cut_after_bytes: int | None = None
    """A reply longer than this is cut there, and the connection ends with a FIN."""
    drip_ms: float = 0.0
    """A reply leaves byte by byte, one each so many milliseconds; 0 is off."""
    is_duplicating: bool = False
    """Each reply is sent twice."""
    is_reordering: bool = False
    """Of two replies the second leaves first; one alone waits for the next."""
    is_refusing_sessions: bool = False
    """RegisterSession gets status 0x02, Forward Open 0x01/0x0113: all in use."""
    torn_ms: float = 0.0
    """A write to a result slot takes effect in two halves so many milliseconds apart; 0 is off."""

    def __post_init__(self) -> None:
        for name in ("delay_ms", "drip_ms", "torn_ms"):
            value = getattr(self, name)
            if not 0.0 <= value <= MAX_DELAY_MS:
                raise ValueError(f"{name} must be within 0..{MAX_DELAY_MS:.0f}, got {value}")
        if not 0 <= self.drop_every <= _MAX_COUNT:
            raise ValueError(f"drop_every must be within 0..{_MAX_COUNT}, got {self.drop_every}")
        if self.cut_after_bytes is not None and not 0 <= self.cut_after_bytes <= _MAX_COUNT:
            raise ValueError(
                f"cut_after_bytes must be within 0..{_MAX_COUNT}, got {self.cut_after_bytes}"
            )


HEALTHY = Faults()
