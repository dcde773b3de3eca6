"""How long things take on a light device: drawn from a seed, so that a rehearsal repeats itself."""

import hashlib
from dataclasses import dataclass, field


def chance(*names: object) -> float:
    """Return a number in 0..1 (1 excluded) that belongs to *names*, the same each time."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time in seconds of the world, evenly spread."""

    shortest_s: float
    longest_s: float

    def __post_init__(self) -> None:
        """Refuse a span that runs backwards.

        Raises:
            ValueError: It does.
        """
        if not 0.0 <= self.shortest_s <= self.longest_s:
            raise ValueError(f"span must be 0 <= shortest <= longest, got {self}")

    def draw(self, *names: object) -> float:
        """Return the time that belongs to *names*."""
        return self.shortest_s + (self.longest_s - self.shortest_s) * chance(*names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a light device is, in seconds of the world."""

    pull: Span = field(default_factory=lambda: Span(shortest_s=5.0, longest_s=40.0))
    """From a changed deployment until its modules run."""
    fetch: Span = field(default_factory=lambda: Span(shortest_s=3.0, longest_s=20.0))
    """From the order until the bundle is on the disk."""
    verify: Span = field(default_factory=lambda: Span(shortest_s=0.5, longest_s=2.0))
    load: Span = field(default_factory=lambda: Span(shortest_s=1.0, longest_s=4.0))
    """Until the runner has passed its golden images."""
    line_stop: Span = field(default_factory=lambda: Span(shortest_s=60.0, longest_s=900.0))
    """Until the line stops for an order that waits for it."""
    part: Span = field(default_factory=lambda: Span(shortest_s=0.8, longest_s=2.0))
    """From part to part."""
    revert: Span = field(default_factory=lambda: Span(shortest_s=0.2, longest_s=0.5))
    trial_parts: int = 60


_NO_TIME = Span(shortest_s=0.0, longest_s=0.0)
AT_ONCE = Pace(
    pull=_NO_TIME,
    fetch=_NO_TIME,
    verify=_NO_TIME,
    load=_NO_TIME,
    line_stop=_NO_TIME,
    part=_NO_TIME,
    revert=_NO_TIME,
)
"""Takes no time at all: for measurements of what the hub and the wire take."""
