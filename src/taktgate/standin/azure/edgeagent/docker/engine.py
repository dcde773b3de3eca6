"""The Docker Engine API over its unix socket: requests, answers and errors.

docs.docker.com/reference/api/engine/version/v1.43; docs.docker.com/reference/api/engine (versions
and their negotiation).
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from taktgate.standin.azure.edgeagent.errors import (
    ConflictError,
    EngineUnreachableError,
    NotFoundError,
    StepFailedError,
)
from taktgate.standin.azure.json_types import JsonObject

PREFERRED_VERSION = (1, 43)
OLDEST_VERSION = (1, 41)
CONNECT_S = 5.0
ANSWER_S = 60.0
_HOST = "http://docker"


class DockerEngine:
    """Speaks to one engine."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None
        self._prefix = ""

    async def open(self) -> JsonObject:
        """Connect, agree on a version, and return what the engine says of itself.

        Raises:
            EngineUnreachableError: No engine answers there, or it is too old.
        """
        connector = aiohttp.UnixConnector(path=str(self._socket), limit=0)
        self._session = aiohttp.ClientSession(connector=connector)
        try:
            about = await self.call("GET", "/version")
            version = agreed_version(about)
        except StepFailedError as error:
            await self.close()
            raise EngineUnreachableError(str(error)) from error
        self._prefix = f"/v{version[0]}.{version[1]}"
        return about

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: JsonObject | None = None,
        timeout_s: float | None = ANSWER_S,
    ) -> JsonObject:
        """Return the JSON object of an answer, `{}` if it has none.

        Raises:
            EngineUnreachableError: The engine does not answer.
            StepFailedError: It refuses; the message is its own.
        """
        async with self.answer(
            method, path, query=query, body=body, timeout_s=timeout_s
        ) as response:
            content = await response.read()
        parsed = _json(content)
        return parsed if isinstance(parsed, dict) else {}

    @asynccontextmanager
    async def answer(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: JsonObject | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = ANSWER_S,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Hold an answer that is to be read in parts; errors as `call`."""
        if self._session is None:
            raise EngineUnreachableError(f"container engine at {self._socket} is not open")
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_S, sock_read=timeout_s)
        try:
            async with self._session.request(
                method,
                _HOST + self._prefix + path,
                params=query,
                json=body,
                headers=headers,
                timeout=timeout,
            ) as response:
                if response.status >= 400:
                    raise _refusal(response.status, await response.read())
                yield response
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise EngineUnreachableError(
                f"container engine at {self._socket} does not answer "
                f"({type(error).__name__}: {error}); rule: a Docker Engine listens there"
            ) from error


def agreed_version(about: Mapping[str, Any]) -> tuple[int, int]:
    """Return the API version to speak with an engine that says *about* of itself.

    Raises:
        EngineUnreachableError: It is older than what is spoken here, or no engine.
    """
    newest = _version(about.get("ApiVersion"))
    if newest is None or newest < OLDEST_VERSION:
        wanted = f"{OLDEST_VERSION[0]}.{OLDEST_VERSION[1]}"
        raise EngineUnreachableError(
            f"container engine's ApiVersion {about.get('ApiVersion')!r}; rule: at least {wanted}"
        )
    oldest = _version(about.get("MinAPIVersion")) or OLDEST_VERSION
    return min(max(PREFERRED_VERSION, oldest), newest)


def _version(text: Any) -> tuple[int, int] | None:
    major, _, minor = text.partition(".") if isinstance(text, str) else ("", "", "")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


def _refusal(status: int, content: bytes) -> StepFailedError:
    parsed = _json(content)
    message = parsed.get("message") if isinstance(parsed, dict) else None
    text = str(message or f"container engine answered {status}")
    kind = {404: NotFoundError, 409: ConflictError}.get(status, StepFailedError)
    return kind(text)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content.strip() else None
    except ValueError:
        return None
