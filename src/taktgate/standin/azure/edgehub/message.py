"""A message as edgeHub keeps it on its way from the sender to an endpoint."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedMessage:
    """A message that a module or edgeHub itself has sent; *system* has the wire names (`$.mid`)."""

    source: str
    """The path that a route's FROM is held against."""
    sender: str
    """The module's id."""
    payload: bytes
    output: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)
    inner: Mapping[str, str] = field(default_factory=dict)
    """System properties that routes may ask for but no wire carries; they are not stored."""
    size_bytes: int = field(init=False)
    """The bytes of body and properties, as the 256 KiB limit counts them."""

    def __post_init__(self) -> None:
        texts = "".join(
            text for bag in (self.properties, self.system) for item in bag.items() for text in item
        )
        object.__setattr__(self, "size_bytes", len(self.payload) + len(texts.encode()))

    def head_to_json(self) -> str:
        """Return all but the payload."""
        head = (self.source, self.sender, self.output, dict(self.properties), dict(self.system))
        return json.dumps(head, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_row(cls, head: str, payload: bytes) -> "RoutedMessage":
        """Return the message of a stored row; the inverse of `head_to_json`."""
        source, sender, output, properties, system = json.loads(head)
        return cls(
            source=source,
            sender=sender,
            output=output,
            payload=payload,
            properties=properties,
            system=system,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message in the queue of one endpoint and priority."""

    seq: int
    """The place in the store: it grows with time, over all queues."""
    message: RoutedMessage
    priority: int
    stored_at_s: float
    """The world's date in seconds (UTC)."""
    expires_at_s: float | None
    """The world's date in seconds, or None for never."""

    def is_expired(self, now_s: float) -> bool:
        """Tell whether the time to live was over at *now_s*."""
        return self.expires_at_s is not None and self.expires_at_s <= now_s
