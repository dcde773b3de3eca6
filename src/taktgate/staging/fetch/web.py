"""Bytes from the registry: a port, and its adapter for http(s):// and file://.

The adapter is `urllib` from the standard library: one GET needs no more, `requests` is no declared
dependency of this image, and urllib hands over the bytes as they are sent, so that the length limit
holds for what reaches the disk. Proxies come from the environment, as IoT Edge sets them.

A download is taken up by `Range` alone, without `If-Range`: a bundle's URL holds the digest of its
content, and what comes is held against that digest anyway.
"""

import contextlib
import http.client
import io
import os
import ssl
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from taktgate.staging.errors import (
    DeniedError,
    NotFoundError,
    TooLargeError,
    UnreachableError,
)
from taktgate.staging.fetch.answers import Extent, coding_of, extent_of, translated
from taktgate.staging.fetch.connection import opener
from taktgate.staging.fetch.patience import FetchLimits, Patience
from taktgate.staging.fetch.repository import public_part

PIECE_BYTES: Final = 1 << 20
_RANGE_NOT_SATISFIABLE: Final = 416


class Fetcher(Protocol):
    """Where bytes come from."""

    def fetch(self, url: str, *, limit_bytes: int, start: int = 0) -> Iterator[bytes]:
        """Yield the content of *url* from byte *start* on, piece by piece.

        A server without ranges sends what is there already once more: an empty piece stands for up
        to PIECE_BYTES of that.

        Args:
            url: http, https or file.
            limit_bytes: the whole content may not be longer.
            start: so many bytes are there already.

        Raises:
            RefusedError: there is no such content, or it is refused or too large.
            RetriedError: it cannot be had now.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """An open content, or a part of it."""

    stream: io.BufferedIOBase
    extent: Extent


class UrlFetcher:
    """Fetches http, https and file URLs."""

    def __init__(
        self, *, limits: FetchLimits | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        """Hold servers to *limits*; without *tls* the system's authorities are trusted."""
        self._limits = limits or FetchLimits()
        self._tls = tls

    def fetch(self, url: str, *, limit_bytes: int, start: int = 0) -> Iterator[bytes]:
        """Yield the content of *url* from byte *start* on; no byte above the limit.

        Raises:
            RefusedError: there is no such content, or it is refused or too large.
            RetriedError: it cannot be had now.
        """
        place = _place(url)
        try:
            content = self._open(url, place, start)
            with content.stream:
                yield from _pieces(content, place, limit_bytes=limit_bytes, start=start)
        except (OSError, http.client.HTTPException) as error:
            # `from None`: the cause may quote the URL, and a traceback is logged with its causes.
            raise translated(error, place, url) from None

    def _open(self, url: str, place: str, start: int) -> _Content:
        """Return the content of *url*, from byte *start* on or as a whole.

        The order desk lets no malformed URL pass, but a saved order or a redirect may name one.
        """
        try:
            parts = urlsplit(url)
            if parts.scheme == "file":
                return _open_file(parts, place, start)
            part = self._open_web(url, place, start)
            if part is None:
                part = self._open_web(url, place, 0)
        except (ValueError, OverflowError, http.client.InvalidURL):
            raise NotFoundError(f"{place}: no such place, the URL is malformed") from None
        if part is None:
            raise UnreachableError(f"{place}: answered with a part that nobody asked for")
        return part

    def _open_web(self, url: str, place: str, start: int) -> _Content | None:
        """Return the content of *url*, None when the server does not make sense of *start*."""
        patience = Patience(self._limits)
        headers = {"Range": f"bytes={start}-"} if start else {}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http and https: see connection.py
        try:
            opened = opener(patience, self._trust).open(request, timeout=self._limits.stall_s)
        except urllib.error.HTTPError as error:
            if error.code == _RANGE_NOT_SATISFIABLE and start:
                error.close()
                return None
            raise
        with contextlib.ExitStack() as on_refusal:
            on_refusal.callback(opened.close)
            if (coding := coding_of(opened.headers)) is not None:
                raise UnreachableError(f"{place}: comes as {coding[:20]!r}, not as it lies there")
            extent = extent_of(
                opened.status, opened.headers, start=start, is_chunked=bool(opened.chunked)
            )
            if extent is None:
                return None
            on_refusal.pop_all()
        patience.begin_content()
        return _Content(stream=opened, extent=extent)

    def _trust(self) -> ssl.SSLContext:
        """Return whom to trust by TLS; loaded once, since that takes tens of milliseconds."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _pieces(content: _Content, place: str, *, limit_bytes: int, start: int) -> Iterator[bytes]:
    extent = content.extent
    total = extent.total_bytes
    if total is not None and total > limit_bytes:
        raise TooLargeError(f"{place}: {total} bytes, limit {limit_bytes}")
    end = limit_bytes + 1 if extent.ends_at is None else extent.ends_at
    position = extent.begins_at
    while position < end and (piece := content.stream.read1(min(PIECE_BYTES, end - position))):
        known = max(0, start - position)
        position += len(piece)
        if position > limit_bytes:
            raise TooLargeError(f"{place}: more than {limit_bytes} bytes")
        yield piece[known:]
    promised = extent.ends_at if total is None else total
    if promised is not None and position != promised:
        raise UnreachableError(f"{place}: ended after {position} of {promised} bytes")


def _open_file(parts: SplitResult, place: str, start: int) -> _Content:
    if parts.netloc not in ("", "localhost"):
        raise NotFoundError(f"{place}: file:// must name no other host")
    # Not blocking: opening a pipe would wait for somebody who writes.
    descriptor = os.open(Path(unquote(parts.path)), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    stream = open(descriptor, "rb")  # noqa: SIM115 - the caller closes it
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        stream.close()
        raise DeniedError(f"{place}: is no file")
    begin = stream.seek(start if start <= status.st_size else 0)
    extent = Extent(begins_at=begin, ends_at=None, total_bytes=status.st_size)
    return _Content(stream=stream, extent=extent)


def _place(url: str) -> str:
    try:
        return public_part(url)
    except ValueError:
        return "repository"
