"""The port to the IoT hub: what a module's agent may ask of edgeHub, and what it is told.

An agent is a single-threaded loop over one inbox. `HubClient.start` is given the inbox's `put`;
every event may come from any thread, so `deliver` must only enqueue.

HubError
├── HubUnreachableError    edgeHub (or its HTTPS port) did not answer in time
└── MethodRefusedError     the other module is not there, or edgeHub refused the call
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias


class HubError(Exception):
    """Base of the port's errors."""


class HubUnreachableError(HubError):
    """edgeHub did not answer in time."""


class MethodRefusedError(HubError):
    """A direct method of another module could not be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputMessage:
    """A message that a route brought to *input*. May be late, twice, or out of order."""

    input: str
    payload: bytes
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredTwin:
    """The full desired document (without `$version`), newer than any delivered before."""

    document: Mapping[str, object]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodCall:
    """A direct method; call `respond(status, payload)` once, from any thread."""

    name: str
    payload: object
    respond: Callable[[int, object], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """The link to edgeHub came up or went down."""

    connected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFatal:
    """The link cannot recover in this process: end it, so that it is started anew."""

    reason: str


HubEvent: TypeAlias = InputMessage | DesiredTwin | MethodCall | LinkState | LinkFatal
Deliver: TypeAlias = Callable[[HubEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """Another module's answer to a direct method."""

    status: int
    payload: object


@dataclass(frozen=True, slots=True, kw_only=True)
class HubCounters:
    """What happened since the start, for metrics."""

    sent: int = 0
    dropped_expired: int = 0
    refused_full: int = 0
    reconnects: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """Limits of a hub client; every wait ends by one of them."""

    outbox_capacity: int = 1000
    retry_min_s: float = 0.2
    retry_max_s: float = 2.0
    operation_timeout_s: float = 10.0
    keep_alive_s: int = 30
    fatal_after_refusals: int = 5
    """Certificate or credential errors in a row: the trust bundle is only read at process start."""
    fatal_after_stuck_s: float = 60.0
    """edgeHub takes connections but nothing succeeds on them for this long."""

    def __post_init__(self) -> None:
        if not 0 < self.retry_min_s <= self.retry_max_s:
            raise ValueError(f"retry_min_s must be within 0..retry_max_s, got {self.retry_min_s}")
        if self.outbox_capacity < 1:
            raise ValueError(f"outbox_capacity must be at least 1, got {self.outbox_capacity}")


class HubClient(Protocol):
    """A module's link to edgeHub. No method blocks, except `invoke` and `stop`."""

    @property
    def counters(self) -> HubCounters:
        """What happened since the start."""

    def start(self, deliver: Deliver) -> None:
        """Return at once; connect in the background and retry for ever."""

    def send(
        self,
        output: str,
        payload: bytes,
        *,
        properties: Mapping[str, str] | None = None,
        ttl_s: float,
    ) -> bool:
        """Queue a JSON message; return False when the outbox is full (counted).

        A message older than *ttl_s* is dropped unsent (counted). One that was on its way when the
        link broke may arrive twice.
        """

    def report(self, patch: Mapping[str, object]) -> None:
        """Merge *patch* (null deletes) into the reported properties; only the newest state is sent.

        After a reconnect all that was ever reported is sent again.
        """

    def invoke(
        self, module: str, method: str, payload: object, *, timeout_s: float
    ) -> MethodResult:
        """Call a direct method of another module of this device.

        Raises:
            HubUnreachableError: edgeHub's HTTPS port does not answer within *timeout_s*.
            MethodRefusedError: The module is not there, too slow, or edgeHub refused the call.
        """

    def stop(self) -> None:
        """Close the link; what is still queued is lost."""
