"""How many requests there were, by path and status: who hammers a station shows in its metrics.

What uvicorn itself turns away (no HTTP, too many at once) never comes as far.
"""

from collections.abc import Collection
from typing import Final

from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS: Final = Counter(
    "taktgate_surface_requests", "Requests to the control surface", ["path", "status"]
)
OTHER: Final = "other"
"""All paths that there are not: a label takes few values, whatever is asked for."""


class RequestCounting:
    """Counts around the application."""

    def __init__(self, app: ASGIApp, *, paths: Collection[str]) -> None:
        self._app = app
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and count the answer as it begins."""

        async def count_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = scope["path"] if scope["path"] in self._paths else OTHER
                REQUESTS.labels(path=path, status=str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, count_and_send)
