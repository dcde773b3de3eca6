"""The URL of a repository, as the twin gives it: its rules, and places in it."""

import re
from typing import Final
from urllib.parse import unquote, urlsplit

_URL_CHARACTERS: Final = re.compile(r"[!-~]+")


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


def place_in(repository: str, folder: str) -> str:
    """Return the URL of *folder* in *repository*.

    A query string of the repository (a blob container's access token) stays at the end.
    """
    base, mark, query = repository.partition("?")
    return f"{base.rstrip('/')}/{folder}{mark}{query}"


def public_part(url: str) -> str:
    """Return *url* without user, password and query: they may be secrets, and this is reported."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
