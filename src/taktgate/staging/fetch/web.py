"""Bytes from the registry: a port, and its adapter for http(s):// and file://.

The adapter is `urllib` from the standard library: one GET needs no more, `requests` is no declared
dependency of this image, and urllib hands over the bytes as they are sent, so that the length limit
holds for what reaches the disk. Proxies come from the environment, as IoT Edge sets them.
"""

import http.client
import io
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

from taktgate.staging.errors import (
    DeniedError,
    NotFoundError,
    StagingError,
    TooLargeError,
    TooSlowError,
    UnreachableError,
)
from taktgate.staging.fetch.repository import public_part

CHUNK_BYTES: Final = 1 << 18
_WAIT_AND_COME_BACK: Final = frozenset({408, 425, 429})
_NOT_THERE: Final = frozenset({404, 410})


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How long one download may take."""

    stall_s: float = 15.0
    """Longest wait for a connection, and between two pieces."""
    total_s: float = 3600.0


class Fetcher(Protocol):
    """Where bytes come from."""

    def fetch(self, url: str, *, limit_bytes: int, start: int = 0) -> Iterator[bytes]:
        """Yield the content of *url* from byte *start* on, piece by piece.

        Args:
            url: http, https or file.
            limit_bytes: the whole content may not be longer.
            start: so many bytes are there already.

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

    def fetch(self, url: str, *, limit_bytes: int, start: int = 0) -> Iterator[bytes]:
        """Yield the content of *url* from byte *start* on; no byte above the limit.

        Raises:
            RefusedError: there is no such content, or it is refused or too large.
            RetriedError: it cannot be had now.
        """
        place = _place(url)
        began = self._clock()
        position = start
        try:
            with self._open(url, place, start) as source:
                announced = _length_of(source)
                total = None if announced is None else announced + start
                if total is not None and total > limit_bytes:
                    raise TooLargeError(f"{place}: {total} bytes, limit {limit_bytes}")
                while chunk := source.read1(CHUNK_BYTES):
                    position += len(chunk)
                    if position > limit_bytes:
                        raise TooLargeError(f"{place}: more than {limit_bytes} bytes")
                    if self._clock() - began > self._limits.total_s:
                        raise TooSlowError(
                            f"{place}: not complete after {self._limits.total_s:.0f} s"
                        )
                    yield chunk
        except (OSError, http.client.HTTPException) as error:
            raise _translated(error, place) from error
        if total is not None and position != total:
            raise UnreachableError(f"{place}: ended after {position} of {total} bytes")

    def _open(self, url: str, place: str, start: int) -> AbstractContextManager[io.BufferedIOBase]:
        """Return the content of *url*, opened at byte *start*.

        The order desk lets no malformed URL pass, but a saved order or a redirect may name one.
        """
        try:
            parts = urlsplit(url)
            if parts.scheme == "file":
                return _open_file(parts, place, start)
            headers = {"Range": f"bytes={start}-"} if start else {}
            request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http and https: see _WebRedirects
            opened = self._opener.open(request, timeout=self._limits.stall_s)
        except (ValueError, OverflowError) as error:
            raise NotFoundError(f"{place}: no such place, the URL is malformed") from error
        if start and opened.status != http.client.PARTIAL_CONTENT:
            _skip(opened, start)
        content: AbstractContextManager[io.BufferedIOBase] = opened
        return content


class _WebRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects that stay on the web: urllib would go on to ftp."""

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ):
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise DeniedError(f"{public_part(req.full_url)}: redirected to {newurl[:40]!r}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open_file(parts: SplitResult, place: str, start: int) -> io.BufferedIOBase:
    if parts.netloc not in ("", "localhost"):
        raise NotFoundError(f"{place}: file:// must name no other host")
    content = Path(unquote(parts.path)).open("rb")  # noqa: SIM115 - the caller closes it
    content.seek(start)
    return content


def _skip(source: http.client.HTTPResponse, size_bytes: int) -> None:
    """Read over what is there already: the server does not know ranges."""
    while size_bytes and (chunk := source.read1(min(size_bytes, CHUNK_BYTES))):
        size_bytes -= len(chunk)


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
