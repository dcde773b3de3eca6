"""What the handlers of the REST interface share: parts of requests, shapes of answers, routes."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.iothub.identities import Identity
from taktgate.standin.azure.iothub.policies import Right
from taktgate.standin.azure.json_types import JsonObject

Handler = Callable[[web.Request], Awaitable[web.Response]]

DEVICE, MODULE = "/devices/{device}", "/devices/{device}/modules/{module}"
TWIN, MODULE_TWIN = "/twins/{device}", "/twins/{device}/modules/{module}"


@dataclass(frozen=True, slots=True)
class Route:
    """A call of the REST interface, the right that it needs, and its class of throttling."""

    method: str
    path: str
    right: Right
    operation: str
    handler: Handler


def etag_required(request: web.Request) -> str:
    """Return the If-Match of a request that needs one.

    Raises:
        HubRequestError: 412, it is missing
            (mwalser/terraform-provider-iothub CONCEPT.md, section 6.1, "Delete").
    """
    given = request.headers.get("If-Match")
    if given is None:
        raise HubRequestError(412, "PreconditionFailed", "Etag missing")
    return given


def count_of(text: str | None, name: str) -> int | None:
    """Return a count from a header or query parameter; None when it is absent or empty.

    Raises:
        HubRequestError: 400, it is no number above 0.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0):
        raise HubRequestError(400, "ArgumentInvalid", f"{name} {text[:40]!r}; rule: above 0")
    return int(text)


def identity_answer(identity: Identity) -> web.Response:
    """Return an identity's document; its etag stands bare in the header."""
    document = identity.identity_document()
    return json_answer(document, ETag=identity.identity_etag)


def twin_answer(identity: Identity) -> web.Response:
    """Return a twin's document."""
    return json_answer(identity.twin_document(), ETag=json.dumps(identity.etag))


def json_answer(document: JsonObject | list[JsonObject], **headers: str) -> web.Response:
    """Return a document as the hub sends it."""
    return web.json_response(document, headers=headers)
