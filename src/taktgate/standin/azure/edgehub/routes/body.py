"""JSON paths into a message's body, for `$body` and `twin_change_includes`.

A path is names with at most one index each (Azure/iotedge `query/jsonpath/JsonPath.g4`), looked up
as Newtonsoft.Json's `SelectTokens` does (JsonMessageQueryValueProvider.cs).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final, TypeAlias

from taktgate.standin.azure.edgehub.routes import dotnet
from taktgate.standin.azure.edgehub.routes.values import (
    ABSENT,
    QUERY_NULL,
    QueryKind,
    QueryValue,
)

JSON_TYPE: Final = "application/json"
ENCODINGS: Final[Mapping[str, str]] = {
    "utf-8": "utf-8",
    "utf-16": "utf-16-le",
    "utf-32": "utf-32-le",
}
ROOT: Final = "$"


class Wildcard(Enum):
    """The name `*`: every value of an object."""

    ANY = "*"


JsonPath: TypeAlias = tuple[str | int | Wildcard, ...]

_STEP = re.compile(
    r"(?P<name>(?![0-9]+(?:\[|$))[^()<>@,;:\\\"/\[\]?={}.\t\n\r]+)(?:\[(?P<index>[0-9]+)\])?"
)
_DATE = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})T(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,7}))?(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_MICROSOFT_DATE = re.compile(r"/Date\(-?[0-9]+(?:[+-][0-9]{2,4})?\)/")
_MIDNIGHT_AT_THE_END: Final = "24:00:00"
_DECODER: Final = json.JSONDecoder(strict=False, parse_int=float)


def parse_path(text: str) -> JsonPath:
    """Return the steps of the path *text*, for example `weather.history[0].temperature`.

    Raises:
        ValueError: The text is no such path.
    """
    steps: list[str | int | Wildcard] = []
    for part in text.split("."):
        found = _STEP.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} in path {text!r}; rule: name or name[index]")
        name = dotnet.utf16(found["name"])
        steps.append(Wildcard.ANY if name == Wildcard.ANY.value else name)
        if found["index"] is not None:
            steps.append(int(found["index"][-18:]))
    return tuple(steps[1:] if steps[0] == ROOT else steps)


def read_document(content_type: object, encoding: object, body: bytes) -> Mapping[str, Any] | str:
    """Return the body's JSON object, or why there is none.

    Args:
        content_type: The system property `contentType`; must be `application/json`.
        encoding: The system property `contentEncoding`; one of `ENCODINGS`.
        body: The message's payload.
    """
    if not isinstance(content_type, str) or content_type.lower() != JSON_TYPE:
        return f"contentType {content_type!r}; rule: {JSON_TYPE}"
    codec = ENCODINGS.get(encoding.lower()) if isinstance(encoding, str) else None
    if codec is None:
        return f"contentEncoding {encoding!r}; rule: one of {', '.join(ENCODINGS)}"
    try:
        document = _DECODER.decode(body.decode(codec, "replace"))
    except (ValueError, RecursionError) as error:
        return f"body is no JSON: {error}"
    return document if isinstance(document, dict) else "body is no JSON object"


def select(document: Mapping[str, Any], path: JsonPath) -> QueryValue:
    """Return what *path* leads to in *document*; `ABSENT` when it leads nowhere."""
    tokens: Sequence[Any] = (document,)
    for step in path:
        tokens = [found for token in tokens for found in _step(token, step)]
    if not tokens:
        return ABSENT
    return QueryValue(QueryKind.OBJECT) if len(tokens) > 1 else _leaf(tokens[0])


def _step(token: Any, step: str | int | Wildcard) -> Iterator[Any]:
    if isinstance(token, dict):
        if step is Wildcard.ANY:
            yield from token.values()
        elif step in token:
            yield token[step]
    elif isinstance(token, list) and isinstance(step, int) and step < len(token):
        yield token[step]


def _leaf(token: Any) -> QueryValue:
    match token:
        case None:
            return QUERY_NULL
        case bool():
            return QueryValue(QueryKind.BOOL, token)
        case float():
            return QueryValue(QueryKind.NUMBER, token)
        case str() if not _is_date(token):
            return QueryValue(QueryKind.STRING, dotnet.utf16(token))
    return QueryValue(QueryKind.OBJECT)


def _is_date(text: str) -> bool:
    """Tell whether Newtonsoft reads *text* as a date, which conditions cannot compare.

    JsonTextReader's default (`DateParseHandling.DateTime`) makes a date of each string in ISO 8601
    with a time, so `$body.time = '2026-11-22T10:00:00Z'` is undefined for every message.
    """
    if _MICROSOFT_DATE.fullmatch(text):
        return True
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    time = "00:00:00" if found["time"] == _MIDNIGHT_AT_THE_END else found["time"]
    try:
        datetime.fromisoformat(f"{found['day']}T{time}")
    except ValueError:
        return False
    return True
