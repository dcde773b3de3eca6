"""Runs queries over the registry's twins, page by page.

Azure's index lags behind the twins by seconds and may show a deleted device for minutes; this one
does not (learn.microsoft.com/azure/iot-hub/query-twins, "Twin query limitations").
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from taktgate.standin.azure.errors import HubRequestError, QuerySyntaxError
from taktgate.standin.azure.iothub.query_language import Place, Query, Source, parse_query
from taktgate.standin.azure.iothub.registry import Registry
from taktgate.standin.azure.json_types import JsonObject

DEFAULT_PAGE_ITEMS = 100
MAX_PAGE_ITEMS = 1000
_TAG_BYTES = 16

Numbered = list[tuple[int, JsonObject]]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPage:
    """Some rows of an answer; *continuation* asks for those after them."""

    item_type: str
    rows: list[JsonObject]
    continuation: str | None = None


class Queries:
    """Answers queries. Continuation tokens are bound to the query and to this hub's process."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._secret = secrets.token_bytes(32)

    def run(self, text: str) -> tuple[str, list[JsonObject]]:
        """Run a query; return its item type and all rows.

        Raises:
            HubRequestError: 400, the text does not parse.
        """
        query = _parsed(text)
        rows, _ = query.page(self._twins(query.source), Place(), limit=None)
        return query.item_type, rows

    def page(self, text: str, continuation: str | None, limit: int | None) -> QueryPage:
        """Return the first page of an answer, or the one that *continuation* names.

        Raises:
            HubRequestError: 400, the text does not parse or the token is not of this query.
        """
        query = _parsed(text)
        start = Place() if continuation is None else self._place(text, continuation)
        size = min(limit or DEFAULT_PAGE_ITEMS, MAX_PAGE_ITEMS)
        rows, following = query.page(self._twins(query.source), start, limit=size)
        return QueryPage(
            item_type=query.item_type,
            rows=rows,
            continuation=None if following is None else self._token(text, following),
        )

    def runner(self) -> Callable[[str], list[JsonObject]]:
        """Return a function that runs queries on the twins as they are now, read once for all."""
        twins: dict[tuple[Source, str | None], Numbered] = {}

        def run(text: str) -> list[JsonObject]:
            query = _parsed(text)
            key = query.source, query.where.module if query.where is not None else None
            if key not in twins:
                twins[key] = self._twins(*key)
            return query.page(twins[key], Place(), limit=None)[0]

        return run

    def _twins(self, source: Source, module: str | None = None) -> Numbered:
        """Return the twins of a collection, of all modules or of those with one id."""
        if source == "devices":
            records = self._registry.devices()
            return [(each.identity.number, each.identity.twin_document()) for each in records]
        if source == "devices.jobs":
            return []
        found = (
            each
            for each in self._registry.identities()
            if each.module_id is not None and module in (None, each.module_id)
        )
        ordered = sorted(found, key=lambda each: each.number)
        return [(each.number, each.twin_document()) for each in ordered]

    def _token(self, text: str, place: Place) -> str:
        body = json.dumps([place.after, place.given]).encode()
        return base64.urlsafe_b64encode(self._tag(text, body) + body).decode("ascii")

    def _place(self, text: str, token: str) -> Place:
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii"))
        except (binascii.Error, ValueError):
            raw = b""
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(text, body)):
            raise HubRequestError(
                400, "ArgumentInvalid", "x-ms-continuation; rule: as the same query was answered"
            )
        after, given = json.loads(body)
        return Place(after, given)

    def _tag(self, text: str, body: bytes) -> bytes:
        signed = hmac.new(self._secret, body + text.encode(), hashlib.sha256)
        return signed.digest()[:_TAG_BYTES]


def _parsed(text: str) -> Query:
    try:
        return parse_query(text)
    except QuerySyntaxError as error:
        # The hub itself says no more than BadRequest.
        raise HubRequestError(400, "ArgumentInvalid", f"BadRequest: {error}") from error
