"""The seam inside the hub client: what the link needs of a vendor's SDK, and how that fails.

LinkLostError                 the link broke, or an operation on it failed: connect anew
├── LinkRefusedError          edgeHub's certificate or our credentials were refused
└── LinkStuckError            an operation was not answered within its limit
OperationRefusedError         edgeHub answered an operation with an error; the link is fine
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from taktgate.edge.hub import InputMessage, MethodResult
from taktgate.edge.hub_outbox import OutgoingMessage


class LinkLostError(Exception):
    """The link broke, or an operation on it failed."""


class LinkRefusedError(LinkLostError):
    """edgeHub's certificate or our credentials were refused."""


class LinkStuckError(LinkLostError):
    """An operation was not answered within its limit."""


class OperationRefusedError(Exception):
    """edgeHub answered an operation with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivers:
    """Who is told what arrives; may be called from any thread, in order of arrival."""

    on_message: Callable[[InputMessage], None]
    on_desired_patch: Callable[[Mapping[str, Any]], None]
    on_method: Callable[[str, str, object], None]
    """Called with request id, method name and payload."""
    on_disconnected: Callable[[], None]


class HubTransport(Protocol):
    """One vendor SDK. Every call ends within a time limit and raises only this module's errors."""

    @property
    def is_connected(self) -> bool:
        """Tell whether the link is up."""

    async def connect(self, receivers: Receivers) -> None:
        """Connect and subscribe to messages, methods and twin changes."""

    async def disconnect(self) -> None:
        """Give up the link, so that `connect` may be called again."""

    async def close(self) -> None:
        """End for good and release all threads."""

    async def send(self, message: OutgoingMessage) -> None:
        """Send a message and wait for its receipt."""

    async def twin(self) -> Mapping[str, Any]:
        """Return the twin: `{"desired": ..., "reported": ...}`."""

    async def report(self, patch: dict[str, object]) -> None:
        """Send a patch of the reported properties and wait for its receipt."""

    async def answer(self, request_id: str, status: int, payload: object) -> None:
        """Answer a direct method."""

    async def invoke(
        self, module: str, method: str, payload: object, *, timeout_s: float
    ) -> MethodResult:
        """Call a direct method of another module of this device."""
