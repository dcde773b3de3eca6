"""What kind of controller is played: what it supports, and how much of it there is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """The defaults are a ControlLogix of today behind a 1756-EN2T (1756-TD003).

    Raises:
        ValueError: a figure is out of its range.
    """

    is_strict: bool = False
    """Refuse bytes behind the end of a write, as other vendors' stacks do."""
    has_large_connections: bool = True
    """Know Large Forward Open (0x5B); old modules do not."""
    has_change_marks: bool = True
    """Have class 0xAC; Micro800 and very old firmware refuse it."""
    max_clients: int = 128
    """TCP connections at a time."""
    max_connections: int = 256
    """Class 3 connections at a time."""
    inactivity_s: float = 120.0
    """A TCP connection without a byte for so long is closed (TCP/IP object, attribute 13)."""

    def __post_init__(self) -> None:
        for name in ("max_clients", "max_connections"):
            value = getattr(self, name)
            if not 1 <= value <= 1000:
                raise ValueError(f"{name} must be within 1..1000, got {value}")
        if not 0.01 <= self.inactivity_s <= 3600.0:
            raise ValueError(f"inactivity_s must be within 0.01..3600, got {self.inactivity_s}")


STANDARD = Firmware()
