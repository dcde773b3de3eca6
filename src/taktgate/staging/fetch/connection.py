"""HTTP connections on which no wait is without a limit: not in a head, not in a body, not in TLS.

`http.client` bounds each single wait, so a server that drips its headers may hold it for days. Here
every read of the socket is told to a `Patience`.
"""

import http.client
import io
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from taktgate.staging.errors import DeniedError
from taktgate.staging.fetch.patience import Patience
from taktgate.staging.fetch.repository import public_part

_BUFFER_BYTES: Final = 1 << 16
_WEB: Final = ("http", "https")
_SECRET_CHARACTERS: Final = 16
"""From this length on a value of a query is taken for a secret; a SAS's signature has 44."""


def opener(patience: Patience, tls: Callable[[], ssl.SSLContext]) -> urllib.request.OpenerDirector:
    """Return what opens http and https URLs patiently; proxies come from the environment."""
    return urllib.request.build_opener(
        _WebRedirects(), _HttpHandler(patience), _HttpsHandler(patience, tls)
    )


class _PatientReader(io.RawIOBase):
    """Reads a socket, one wait at a time."""

    def __init__(
        self, source: socket.socket, patience: Patience, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._raw = source.makefile("rb", buffering=0)
        self._patience = patience
        self._clock = clock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        began_s = self._clock()
        try:
            self._source.settimeout(self._patience.next_wait_s)
            count: int | None = self._raw.readinto(buffer)
        except TimeoutError:
            self._patience.give_up()
        self._patience.waited(self._clock() - began_s, came_bytes=count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PatientSocket:
    """As much of a socket as `http.client.HTTPResponse` takes."""

    def __init__(self, source: socket.socket, patience: Patience) -> None:
        self._source = source
        self._patience = patience

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a patient reader of the socket."""
        return io.BufferedReader(_PatientReader(self._source, self._patience), _BUFFER_BYTES)


def _response(patience: Patience, source: socket.socket, **facts: Any) -> http.client.HTTPResponse:
    # It asks a socket for `makefile` alone, which ours has; its stub wants a whole socket.
    return http.client.HTTPResponse(_PatientSocket(source, patience), **facts)  # type: ignore[arg-type]


def _connect(
    kind: type[http.client.HTTPConnection], patience: Patience, host: str, **facts: Any
) -> http.client.HTTPConnection:
    connection = kind(host, **facts)
    connection.response_class = partial(_response, patience)  # type: ignore[assignment]
    return connection


class _HttpHandler(urllib.request.HTTPHandler):
    """Opens http URLs."""

    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self._patience = patience

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        connect: Any = partial(_connect, http.client.HTTPConnection, self._patience)
        return self.do_open(connect, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    """Opens https URLs."""

    def __init__(self, patience: Patience, tls: Callable[[], ssl.SSLContext]) -> None:
        # Not that of HTTPSHandler: from Python 3.12 on it loads the authorities, needed or not.
        urllib.request.AbstractHTTPHandler.__init__(self)
        self._patience = patience
        self._tls = tls

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        connect: Any = partial(_connect, http.client.HTTPSConnection, self._patience)
        return self.do_open(connect, req, context=self._tls())


class _WebRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects that stay on the web, keep TLS, and take no token to another host.

    urllib would go on to ftp and from https to http. It adds no query of ours to a place, but a
    server that moved often does: then another host would read the token.
    """

    def http_error_302(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers
    ):
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except Exception:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ):
        here, there = urlsplit(req.full_url), urlsplit(newurl)
        place = public_part(req.full_url)
        if there.scheme not in _WEB or (here.scheme == "https" and there.scheme != "https"):
            raise DeniedError(f"{place}: redirected from {here.scheme} to {there.scheme[:16]!r}")
        if there.hostname != here.hostname and _tells(newurl, here.query):
            raise DeniedError(f"{place}: redirected to another host with the access token")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _tells(url: str, query: str) -> bool:
    """Tell whether *url* repeats *query*, or a value in it that may be a secret."""
    if not query:
        return False
    values = [value for _, value in parse_qsl(query) if len(value) >= _SECRET_CHARACTERS]
    read = unquote(url)
    return query in url or any(value in read or value in url for value in values)
