"""The hostile registry behind a real HTTP server on this machine."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from taktgate.standin.hostile_registry.repository import HostileRegistry


class HostileServer(http.server.ThreadingHTTPServer):
    """Serves a registry, and counts what it sends.

    Attributes:
        registry: What is served.
        sent_bytes: By path, as far as the other side took them.
    """

    daemon_threads = True

    def __init__(self, registry: HostileRegistry) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.registry = registry
        self.sent_bytes: dict[str, int] = {}

    @property
    def url(self) -> str:
        """Where the repository is."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: HostileServer

    def do_GET(self) -> None:
        """Send what the registry answers."""
        path = urlsplit(self.path).path.lstrip("/")
        answer = self.server.registry.answer(path)
        if answer is None:
            self.send_error(404)
            return
        self.send_response(200)
        if isinstance(answer, bytes):
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        with suppress(ConnectionError):
            for piece in (answer,) if isinstance(answer, bytes) else answer():
                self.wfile.write(piece)
                sent = self.server.sent_bytes
                sent[path] = sent.get(path, 0) + len(piece)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a test has its own words."""


@contextmanager
def serving(registry: HostileRegistry) -> Iterator[HostileServer]:
    """Serve *registry* within the block."""
    server = HostileServer(registry)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
