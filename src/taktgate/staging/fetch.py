"""Bytes from the registry: a port, and its adapter for http(s):// and file://.

The adapter is `urllib` from the standard library: one GET needs no more, `requests` is no declared
dependency of this image, and urllib hands over the bytes as they are sent, so that the length limit
holds for what reaches the disk. Proxies come from the environment, as IoT Edge sets them.
"""

import http.client
import io
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from taktgate.bundle.archive import LIMIT_BYTES
from taktgate.staging.errors import (
    DeniedError,
    NotFoundError,
    StagingError,
    TooLargeError,
    TooSlowError,
    UnreachableError,
)
from taktgate.staging.states import Request

CHUNK_BYTES: Final = 1 << 18
_WAIT_AND_COME_BACK: Final = frozenset({408, 425, 429})
_NOT_THERE: Final = frozenset({404, 410})
_URL_CHARACTERS: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How much and how long one download may be."""

    size_bytes: int = LIMIT_BYTES + (1 << 20)
    """A bundle's limit, and room for the archive's own records."""
    stall_s: float = 15.0
    """Longest wait for a connection, and between two pieces."""
    total_s: float = 3600.0


class Fetcher(Protocol):
    """Where bundles come from."""

    def fetch(self, url: str) -> Iterator[bytes]:
        """Yield the content of *url* piece by piece.

        Raises:
            RefusedError: there is no such content, or it is refused or too large.
            RetriedError: it cannot be had now.
        """


class UrlFetcher:
    """Fetches http, https and file URLs."""

    def __init__(
        self,
        *,
        limits: FetchLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits or FetchLimits()
        self._clock = clock
        self._opener = urllib.request.build_opener(_WebRedirects)

    def fetch(self, url: str) -> Iterator[bytes]:
        """Yield the content of *url*; no byte above the limit is handed over.

        Raises:
            RefusedError: there is no such content, or it is refused or too large.
            RetriedError: it cannot be had now.
        """
        limits, place = self._limits, _place(url)
        start = self._clock()
        received = 0
        try:
            with self._open(url, place) as source:
                announced = _length_of(source)
                if announced is not None and announced > limits.size_bytes:
                    raise TooLargeError(f"{place}: {announced} bytes, limit {limits.size_bytes}")
                while chunk := source.read1(CHUNK_BYTES):
                    received += len(chunk)
                    if received > limits.size_bytes:
                        raise TooLargeError(f"{place}: more than {limits.size_bytes} bytes")
                    if self._clock() - start > limits.total_s:
                        raise TooSlowError(f"{place}: not complete after {limits.total_s:.0f} s")
                    yield chunk
        except (OSError, http.client.HTTPException) as error:
            raise _translated(error, place) from error
        if announced is not None and received != announced:
            raise UnreachableError(f"{place}: ended after {received} of {announced} bytes")

    def _open(self, url: str, place: str) -> AbstractContextManager[io.BufferedIOBase]:
        """Return the content of *url*, opened.

        The order desk lets no malformed URL pass, but a saved order or a redirect may name one.
        """
        try:
            parts = urlsplit(url)
            if parts.scheme == "file":
                return _open_file(parts, place)
            opened: AbstractContextManager[io.BufferedIOBase] = self._opener.open(
                url, timeout=self._limits.stall_s
            )
        except (ValueError, OverflowError) as error:
            raise NotFoundError(f"{place}: no such place, the URL is malformed") from error
        return opened


class _WebRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects that stay on the web: urllib would go on to ftp."""

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ):
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise DeniedError(f"{public_part(req.full_url)}: redirected to {newurl[:40]!r}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open_file(parts: SplitResult, place: str) -> io.BufferedIOBase:
    if parts.netloc not in ("", "localhost"):
        raise NotFoundError(f"{place}: file:// must name no other host")
    return Path(unquote(parts.path)).open("rb")


def broken_rule(repository: str) -> str | None:
    """Return which rule for a repository's URL *repository* breaks, or None. It is not quoted.

    What passes can be fetched or fails as a fetch does; anything else is a slip in the twin.
    """
    if not _URL_CHARACTERS.fullmatch(repository):
        return "must be ASCII without spaces; write other characters as %xx"
    try:
        parts = urlsplit(repository)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        return "must have a well-formed host, and a port of 0 to 65535 if any"
    if parts.scheme != "file" and not host:
        return "must name a host"
    if "@" in parts.netloc:
        return "must not hold a user or password; an access token goes into the query"
    if "#" in repository or "\0" in unquote(parts.path):
        return "must have no fragment and no %00"
    return None


def bundle_url(request: Request, device_class: str) -> str:
    """Return where the bundle that *request* asks for lies, for *device_class*.

    A query string of the repository (a blob container's access token) stays at the end.
    """
    base, mark, query = request.repository.partition("?")
    path = f"{request.model.name}/{request.model.version}/{device_class}.bundle"
    return f"{base.rstrip('/')}/{path}{mark}{query}"


def public_part(url: str) -> str:
    """Return *url* without user, password and query: they may be secrets, and this is reported."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _place(url: str) -> str:
    try:
        return public_part(url)
    except ValueError:
        return "repository"


def _length_of(source: io.BufferedIOBase) -> int | None:
    headers = getattr(source, "headers", None)
    length = headers.get("Content-Length") if headers is not None else None
    return int(length) if length is not None and length.isascii() and length.isdigit() else None


def _translated(error: OSError | http.client.HTTPException, place: str) -> StagingError:
    """Return what *error* of urllib or of the file system means for the order."""
    if isinstance(error, urllib.error.HTTPError):
        return _of_status(error, place)
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return TooSlowError(f"{place}: no answer in time")
    if isinstance(cause, FileNotFoundError):
        return NotFoundError(f"{place}: no such file")
    if isinstance(cause, IsADirectoryError | PermissionError):
        return DeniedError(f"{place}: {cause.strerror}")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return UnreachableError(f"{place}: certificate: {cause.verify_message}")
    return UnreachableError(f"{place}: {cause}")


def _of_status(error: urllib.error.HTTPError, place: str) -> StagingError:
    error.close()
    message = f"{place}: the registry answered {error.code} {error.reason}"
    if error.code in _NOT_THERE:
        return NotFoundError(message)
    if error.code in _WAIT_AND_COME_BACK or error.code >= 500:
        return UnreachableError(message)
    return DeniedError(message)
