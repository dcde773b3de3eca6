"""Faults of a controller's communication, switched while it runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What is wrong right now; the controller's program goes on as if nothing were.

    A server reads this in one place, where it meets a client's connection.
    """

    delay_ms: float = 0.0
    """Each reply leaves this much later; requests are executed at once."""
    is_frozen: bool = False
    """Nothing is read or answered, connections stay; what waited is executed afterwards."""
    is_cut: bool = False
    """Connections are reset, and so is each new one."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.delay_ms <= 60_000.0:
            raise ValueError(f"delay_ms must be within 0..60000, got {self.delay_ms}")


HEALTHY = Faults()
