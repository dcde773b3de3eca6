"""What is known of a controller whose tags were held against the contract and found equal."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedContract:
    """The result of one full check, and what tells later that the controller has changed since.

    A full check uploads all tag definitions and takes up to seconds on a real controller, so a
    process of its own makes it; afterwards a session only compares these marks, in one exchange.
    """

    address: str
    profile: str
    """`udt` or `flat`."""
    serial: int
    """Of the controller (identity object): another one behind the address is a foreign one."""
    product_name: str
    table_version: bytes
    """The change attributes of class 0xAC, as they came; empty where the controller has none."""
    handles: Mapping[str, int] = field(default_factory=dict)
    """Structure handle by UDT name: a write names it, and it changes with the type."""

    @property
    def can_be_recognised(self) -> bool:
        """Tell whether a later session can find out that nothing has changed."""
        return bool(self.table_version or self.handles)
