"""Shared access signatures: made by the service connection string, checked by hub and edgeHub."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

from taktgate.standin.azure.errors import AzureStandInError

PREFIX = "SharedAccessSignature "


class SasRefusedError(AzureStandInError):
    """The token is malformed, expired, for another resource, or signed with another key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SasToken:
    """A parsed token; nothing in it is trusted before `check` has passed."""

    resource: str
    signed_text: str
    signature: bytes
    expiry_s: int
    key_name: str | None


def parse(text: str) -> SasToken:
    """Parse *text*.

    Raises:
        SasRefusedError: The text is not a shared access signature.
    """
    if not text.startswith(PREFIX):
        raise SasRefusedError("token does not start with 'SharedAccessSignature '")
    raw = dict(part.partition("=")[::2] for part in text.removeprefix(PREFIX).split("&"))
    fields = dict(parse_qsl(text.removeprefix(PREFIX).replace("+", "%2B")))
    try:
        return SasToken(
            resource=unquote(raw["sr"]),
            signed_text=f"{raw['sr']}\n{raw['se']}",
            signature=base64.b64decode(fields["sig"], validate=True),
            expiry_s=int(raw["se"]),
            key_name=fields.get("skn"),
        )
    except (KeyError, ValueError) as error:
        raise SasRefusedError(f"token has a missing or malformed field: {error}") from error


def check(
    token: SasToken,
    *,
    resource: str,
    key: bytes,
    wall_clock_s: Callable[[], float] = time.time,
) -> None:
    """Check that *token* was signed with *key* for *resource* (or a parent of it) and is in time.

    Raises:
        SasRefusedError: It was not.
    """
    if token.expiry_s <= wall_clock_s():
        raise SasRefusedError("token has expired")
    wanted, given = resource.lower(), token.resource.lower()
    if wanted != given and not wanted.startswith(given + "/"):
        raise SasRefusedError(f"token is for {token.resource!r}, not for {resource!r}")
    if not hmac.compare_digest(sign(key, token.signed_text), token.signature):
        raise SasRefusedError("signature does not match")


def sign(key: bytes, text: str) -> bytes:
    """Return the HMAC-SHA256 of *text* under *key*."""
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def make(resource: str, *, key: bytes, lifetime_s: int, key_name: str | None = None) -> str:
    """Return a token for *resource*, valid for *lifetime_s* from now."""
    quoted = quote(resource, safe="")
    expiry_s = int(time.time()) + lifetime_s
    digest = base64.b64encode(sign(key, f"{quoted}\n{expiry_s}")).decode("ascii")
    named = f"&skn={key_name}" if key_name else ""
    return f"{PREFIX}sr={quoted}&sig={quote(digest, safe='')}&se={expiry_s}{named}"
