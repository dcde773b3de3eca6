"""What reached the hub, to be read along: in the place of `az iot hub monitor-events`."""

import asyncio
import base64
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.device_link import Telemetry

KEPT: Final = 10_000
LARGEST_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedMessage:
    """A message as the feed shows it. `encoding` says what `body` is: json, text or base64."""

    number: int
    at: str
    device: str
    module: str
    output: str
    body: Any
    encoding: str
    properties: Mapping[str, str]
    system: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """Some messages in order. `last` is what to ask for next; `lost` were gone before."""

    messages: tuple[FeedMessage, ...]
    last: int
    lost: int


class TelemetryFeed:
    """Keeps the last 10,000 messages, numbered from 1. All calls on one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: deque[tuple[str, Telemetry]] = deque(maxlen=KEPT)
        self._arrived = asyncio.Event()
        self.count = 0

    def take(self, telemetry: Telemetry) -> None:
        """Keep a message."""
        self._kept.append((self._clock.utc().isoformat(timespec="milliseconds"), telemetry))
        self.count += 1
        self._arrived.set()
        self._arrived = asyncio.Event()

    async def read(self, after: int, wait_s: float) -> FeedPage:
        """Return the messages that follow number *after*; wait for the first one if there is none.

        Args:
            after: A number that was read; 0 for all that is kept.
            wait_s: How long to wait, in seconds of the wall.
        """
        if after >= self.count and wait_s > 0:
            arrived = self._arrived
            try:
                async with asyncio.timeout(wait_s):
                    await arrived.wait()
            except TimeoutError:
                pass
        return self._page(min(after, self.count))

    def _page(self, after: int) -> FeedPage:
        oldest = self.count - len(self._kept)
        start = max(after, oldest)
        chosen = list(self._kept)[start - oldest : start - oldest + LARGEST_PAGE]
        messages = tuple(
            _message(start + offset + 1, at, telemetry)
            for offset, (at, telemetry) in enumerate(chosen)
        )
        return FeedPage(messages=messages, last=start + len(chosen), lost=start - after)


def _message(number: int, at: str, telemetry: Telemetry) -> FeedMessage:
    body, encoding = _body(telemetry.payload)
    return FeedMessage(
        number=number,
        at=at,
        device=telemetry.device,
        module=telemetry.module,
        output=telemetry.output,
        body=body,
        encoding=encoding,
        properties=telemetry.properties,
        system=telemetry.system,
    )


def _body(payload: bytes) -> tuple[Any, str]:
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(payload).decode("ascii"), "base64"
    try:
        return json.loads(text), "json"
    except (ValueError, RecursionError):
        return text, "text"
