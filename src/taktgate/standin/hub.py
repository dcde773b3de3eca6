"""A hub client without a hub, that keeps what a module tells it: for tests of agents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taktgate.edge.hub import (
    Deliver,
    HubCounters,
    HubEvent,
    HubUnreachableError,
    MethodResult,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message that an agent has sent."""

    output: str
    payload: bytes
    properties: Mapping[str, str]
    ttl_s: float


@dataclass(slots=True)
class RecordingHub:
    """Implements `taktgate.edge.hub.HubClient` in the caller's thread; the test plays the cloud."""

    sent: list[SentMessage] = field(default_factory=list)
    reported: list[Mapping[str, Any]] = field(default_factory=list)
    takes_messages: bool = True
    """False plays a full outbox."""
    at_start: tuple[HubEvent, ...] = ()
    """Delivered when the agent starts the link."""
    at_send: HubEvent | None = None
    """Delivered at each message that the agent sends."""
    is_stopped: bool = False
    _deliver: Deliver = lambda _: None

    @property
    def counters(self) -> HubCounters:
        """What happened since the start."""
        return HubCounters(sent=len(self.sent))

    def start(self, deliver: Deliver) -> None:
        """Deliver the events of `at_start`, and keep *deliver* for `at_send`."""
        self._deliver = deliver
        for event in self.at_start:
            deliver(event)

    def send(
        self,
        output: str,
        payload: bytes,
        *,
        properties: Mapping[str, str] | None = None,
        ttl_s: float,
    ) -> bool:
        """Keep the message, unless the outbox is to be full."""
        if self.takes_messages:
            given = dict(properties or {})
            self.sent.append(
                SentMessage(output=output, payload=payload, properties=given, ttl_s=ttl_s)
            )
        if self.at_send is not None:
            self._deliver(self.at_send)
        return self.takes_messages

    def report(self, patch: Mapping[str, object]) -> None:
        """Keep the patch."""
        self.reported.append(patch)

    def invoke(
        self, module: str, method: str, payload: object, *, timeout_s: float
    ) -> MethodResult:
        """Find no other module.

        Raises:
            HubUnreachableError: always.
        """
        raise HubUnreachableError(f"{module}.{method}: this hub has no other modules")

    def stop(self) -> None:
        """Note that the link was closed."""
        self.is_stopped = True
