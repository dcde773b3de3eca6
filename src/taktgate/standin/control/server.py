"""The steered end of the control channel: takes commands, publishes events."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from taktgate.standin.control.commands import Command, ControlError, Event, parse_command

_MAX_LINE_BYTES: Final = 64 * 1024
_MAX_UNREAD_BYTES: Final = 1024 * 1024
_LONGEST_PATH: Final = 107
"""sun_path of unix(7), less its final NUL."""


class ControlServer:
    """Serves one process's control channel.

    A client that leaves more than 1 MiB of events unread is dropped: it cannot hold up the line.
    """

    def __init__(
        self, path: Path, *, obey: Callable[[Command], Event], greet: Callable[[], Event]
    ) -> None:
        self._path = path
        self._obey = obey
        self._greet = greet
        self._clients: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen at the path; a stale socket there is replaced.

        Raises:
            ControlError: the path cannot be a socket's.
        """
        if len(str(self._path)) > _LONGEST_PATH:
            raise ControlError("--control", f"must be at most {_LONGEST_PATH} characters long")
        try:
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(
                self._serve, str(self._path), limit=_MAX_LINE_BYTES
            )
        except OSError as error:
            raise ControlError("--control", f"{self._path}: {error.strerror}") from error

    async def close(self) -> None:
        """Drop all clients and remove the path."""
        if self._server is not None:
            self._server.close()
        for client in tuple(self._clients):
            client.close()
        self._path.unlink(missing_ok=True)

    def publish(self, event: Event) -> None:
        """Send *event* to every client."""
        line = _encode(event)
        for client in tuple(self._clients):
            if client.transport.get_write_buffer_size() > _MAX_UNREAD_BYTES:
                self._clients.discard(client)
                client.transport.abort()
            else:
                client.write(line)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_encode(self._greet()))
        self._clients.add(writer)
        try:
            while line := await reader.readline():
                writer.write(_encode(self._answer(line)))
                await writer.drain()
        except (ValueError, ConnectionError, asyncio.CancelledError):
            # An endless line, a client that is gone, or our own end: all mean goodbye.
            pass
        finally:
            self._clients.discard(writer)
            writer.close()

    def _answer(self, line: bytes) -> Event:
        reply: dict[str, Any] = {"event": "reply", "id": None, "ok": True}
        try:
            command = parse_command(line)
            reply["id"] = command.get("id")
            return reply | self._obey(command)
        except ControlError as error:
            return reply | {"ok": False, "field": error.field, "rule": error.rule}


def _encode(event: Event) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"
