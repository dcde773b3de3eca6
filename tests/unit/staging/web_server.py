"""A web server that answers as a test says, over real TCP."""

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Handler = http.server.BaseHTTPRequestHandler
Answer = Callable[[Handler], None]


class WebServer:
    """Answers by *answer*, and keeps what it was asked."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, str | None]] = []
        """Path and range of each request."""
        asked = self.asked

        class _Handler(Handler):
            def do_GET(self) -> None:  # noqa: N802 - as http.server asks for it
                asked.append((self.path, self.headers.get("Range")))
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        if tls is not None:
            listener = self._server.socket
            self._server.socket = tls.wrap_socket(
                listener, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/b"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def web_server(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    server = WebServer(answer, tls)
    try:
        yield server
    finally:
        server.close()


def status(code: int, **headers: str) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer


def whole(content: bytes, length: int | None = -1, **headers: str) -> Answer:
    """Answer with all of *content*; *length* is what is said of it, None says nothing."""

    def answer(handler: Handler) -> None:
        said = len(content) if length == -1 else length
        lengths = {} if said is None else {"Content_Length": str(said)}
        status(200, **lengths, **headers)(handler)
        handler.wfile.write(content)

    return answer


def ranges(content: bytes) -> Answer:
    """Answer as a server does that knows ranges."""

    def answer(handler: Handler) -> None:
        asked = handler.headers.get("Range")
        if asked is None:
            whole(content)(handler)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            status(416)(handler)
            return
        partial(content, start, len(content) - 1)(handler)

    return answer


def partial(content: bytes, first: int, last: int, total: str | None = None) -> Answer:
    """Answer with a part, whatever was asked for."""

    def answer(handler: Handler) -> None:
        body = content[first : last + 1]
        said = f"bytes {first}-{last}/{total or len(content)}"
        status(206, Content_Range=said, Content_Length=str(len(body)))(handler)
        handler.wfile.write(body)

    return answer
