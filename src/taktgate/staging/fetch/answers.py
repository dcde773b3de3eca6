"""What a server's answer means: where its content begins, and what a refusal is worth."""

import re
import ssl
import urllib.error
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qs, parse_qsl, quote_plus, urlsplit

from taktgate.staging.errors import (
    DeniedError,
    NotFoundError,
    RetriedError,
    StagingError,
    TooSlowError,
    UnreachableError,
)

LONGEST_RETRY_S: Final = 3600.0
"""A server that asks for a longer rest is asked again after so long."""
_TELLING_CHARACTERS: Final = 4
_PARTIAL_CONTENT: Final = 206
_OK: Final = 200
_PROXY_LOGIN: Final = 407
_WAIT_AND_COME_BACK: Final = frozenset({408, 425, 429})
_NOT_THERE: Final = frozenset({404, 410})
_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_MOMENT: Final = re.compile(r"[0-9TZ:.+-]{8,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Which part of a content an answer carries."""

    begins_at: int
    ends_at: int | None
    """None: it ends with the connection, or says so as it goes."""
    total_bytes: int | None
    """Of the whole content."""


def extent_of(status: int, headers: Message, *, start: int, is_chunked: bool) -> Extent | None:
    """Return which part an answer to a request from byte *start* on carries.

    None: not one that begins there, or at 0. A range that is not the one asked for must not be
    believed (RFC 9110, section 14.4); the whole content always can be asked for.
    """
    length = None if is_chunked else _number(headers.get("Content-Length"))
    if status == _OK:
        return Extent(begins_at=0, ends_at=length, total_bytes=length)
    match = _RANGE.fullmatch(headers.get("Content-Range", ""))
    if status != _PARTIAL_CONTENT or not start or match is None:
        return None
    first, last = int(match[1]), int(match[2])
    total = _number(match[3])
    is_sound = first == start <= last and (total is None or last < total)
    if not is_sound or length not in (None, last + 1 - first):
        return None
    return Extent(begins_at=first, ends_at=last + 1, total_bytes=total)


def coding_of(headers: Message) -> str | None:
    """Return the coding of a content that is not handed over as it lies there."""
    coding = str(headers.get("Content-Encoding", "identity")).strip().lower()
    return None if coding in ("", "identity") else coding


def translated(error: Exception, place: str, url: str) -> StagingError:
    """Return what *error* of urllib or of the file system means for the order.

    Its message never holds what the query of *url* says: that is an access token.
    """
    if isinstance(error, urllib.error.HTTPError):
        return _of_status(error, place, url)
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, FileNotFoundError):
        return NotFoundError(f"{place}: no such file")
    if isinstance(cause, IsADirectoryError | PermissionError):
        return DeniedError(f"{place}: {cause.strerror}")
    if isinstance(cause, TimeoutError):
        return TooSlowError(f"{place}: {scrubbed(str(cause), url)}")
    if isinstance(cause, ssl.SSLCertVerificationError):
        return UnreachableError(f"{place}: certificate: {cause.verify_message}")
    return UnreachableError(f"{place}: {scrubbed(str(cause) or type(cause).__name__, url)}")


def scrubbed(text: str, url: str) -> str:
    """Return the beginning of *text*, which others chose, without what the query of *url* says."""
    query = urlsplit(url).query
    values = {value for _, value in parse_qsl(query)}
    secrets = {query, *values, *map(quote_plus, values)}
    for secret in sorted(filter(_is_telling, secrets), key=len, reverse=True):
        text = text.replace(secret, "...")
    return "".join(filter(str.isprintable, text))[:120]


def _is_telling(value: str) -> bool:
    """Tell whether *value* is long enough to be a secret: "1" is none, and is everywhere."""
    return len(value) >= _TELLING_CHARACTERS


def _of_status(error: urllib.error.HTTPError, place: str, url: str) -> StagingError:
    error.close()
    message = f"{place}: the registry answered {error.code} {scrubbed(str(error.reason), url)}"
    if error.code in _NOT_THERE:
        return NotFoundError(message)
    if error.code == _PROXY_LOGIN:
        return UnreachableError(f"{message}: the proxy wants a login")
    if error.code in _WAIT_AND_COME_BACK or error.code >= 500:
        return _asked_to_rest(UnreachableError(message), error.headers)
    return DeniedError(message + _about_token(error, url))


def _about_token(error: urllib.error.HTTPError, url: str) -> str:
    """Say what Azure Storage says, and that a token may have expired: the commonest cause."""
    code = scrubbed(error.headers.get("x-ms-error-code", ""), url)
    said = f" ({code})" if code else ""
    query = parse_qs(urlsplit(url).query)
    if error.code not in (401, 403) or not query:
        return said
    ends = query.get("se", [""])[0]
    until = f"; it is good until {ends}" if _MOMENT.fullmatch(ends) else ""
    return f"{said}: the access token in the URL may have expired{until}"


def _asked_to_rest(error: RetriedError, headers: Message) -> RetriedError:
    """Return *error* with how long the server wants to be left alone (RFC 9110, 10.2.3).

    A date counts from the server's own: our wall clock may be years off.
    """
    after = headers.get("Retry-After", "").strip()
    seconds = _number(after)
    if seconds is None and after:
        try:
            then = parsedate_to_datetime(after)
            seconds = int((then - parsedate_to_datetime(headers["Date"])).total_seconds())
        except (TypeError, ValueError):
            return error
    if seconds is not None and seconds > 0:
        error.retry_after_s = min(float(seconds), LONGEST_RETRY_S)
    return error


def _number(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 18:
        return None
    return int(text)
