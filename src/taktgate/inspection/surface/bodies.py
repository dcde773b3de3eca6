"""Reading a body within limits of size and time, and telling what it is said to be."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from taktgate.inspection.surface.errors import BadInputError
from taktgate.inspection.surface.pixels import Media


async def read_body(request: Request, *, limit_bytes: int, limit_s: float) -> bytes:
    """Return the body of *request*.

    Raises:
        BadInputError: 413 as soon as it is known to be too large, 408 when it comes too slowly,
            400 when its sender has gone.
    """
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said[:19]) > limit_bytes:
        raise _too_large(limit_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(limit_s):
            async for piece in request.stream():
                body += piece
                if len(body) > limit_bytes:
                    raise _too_large(limit_bytes)
    except TimeoutError:
        rule = f"must be complete within {limit_s:g} s"
        raise BadInputError(rule, field="body", status=408) from None
    except ClientDisconnect:
        raise BadInputError("its sender has gone", field="body", status=400) from None
    return bytes(body)


def media_of(request: Request) -> Media:
    """Return the content type of *request*; none at all stands for JSON, as in the article.

    Raises:
        BadInputError: 415.
    """
    said = request.headers.get("content-type", Media.JSON)
    try:
        return Media(said.partition(";")[0].strip().lower())
    except ValueError:
        known = ", ".join(Media)
        raise BadInputError(f"must be one of {known}", field="Content-Type", status=415) from None


def _too_large(limit_bytes: int) -> BadInputError:
    return BadInputError(f"must have at most {limit_bytes} bytes", field="body", status=413)
