"""Etags of the hub's entities and the check of `If-Match`.

Measured on a live hub (mwalser/terraform-provider-iothub CONCEPT.md, appendix D, "ETag formats"):
a twin's etag is a counter of eight bytes (`AAAAAAAAAAE=`), an identity's and a configuration's a
number as text, all in base64.
"""

import base64

from taktgate.standin.azure.errors import HubRequestError


def twin_etag(changes: int) -> str:
    """Return the etag of a twin whose tags and desired properties changed so many times."""
    return base64.b64encode(changes.to_bytes(8, "big")).decode("ascii")


def number_etag(number: int) -> str:
    """Return the etag of an identity or configuration."""
    return base64.b64encode(str(number).encode()).decode("ascii")


def check_etag(etag: str, if_match: str | None) -> None:
    """Check a request's If-Match, quoted or not; None asks for nothing.

    Raises:
        HubRequestError: 412, the entity has changed.
    """
    if if_match is None:
        return
    given = {each.strip().removeprefix("W/").strip('"') for each in if_match.split(",")}
    if not given & {"*", etag}:
        raise HubRequestError(412, "PreconditionFailed", "PreconditionFailed, ETag may be invalid.")
