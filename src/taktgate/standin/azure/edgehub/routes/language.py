"""edgeHub's routes: parse, compile and match.

Grammar (Azure/iotedge, edge-hub/core/.../grammar/Route.g4):
`[SELECT *] FROM /source/* [WHERE condition] INTO sink`, where the sink is `$upstream` or
`BrokeredEndpoint("/modules/m/inputs/i")`.

One bad route refuses the whole configuration, as edgeHub does. Conditions: `route_conditions.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taktgate.standin.azure.edgehub.routes.conditions import (
    Condition,
    MessageFacts,
    Truth,
    compile_condition,
)
from taktgate.standin.azure.errors import RouteSyntaxError

DEFAULT_PRIORITY = 2_000_000_000
HIGHEST_NUMBER = 9
UPSTREAM = "$upstream"

_KEYWORD = re.compile(r"\s*(SELECT|FROM)\b", re.IGNORECASE)
_STAR = re.compile(r"\s*\*")
_FROM = re.compile(r"\s*FROM\b", re.IGNORECASE)
_SOURCE = re.compile(r"\s*((?:/(?:\*|[^()<>@,;:\\\"/\[\]?={}\s']*))+)")
_WHERE = re.compile(r"\s*WHERE\b", re.IGNORECASE)
_INTO = re.compile(r"\bINTO\b", re.IGNORECASE)
_UPSTREAM = re.compile(r"\s*\$upstream\s*$", re.IGNORECASE)
_ENDPOINT = re.compile(
    r"\s*BrokeredEndpoint\s*\(\s*(?:\"(?P<double>[^\"']*)\"|'(?P<single>[^\"']*)')\s*\)\s*$",
    re.IGNORECASE,
)
_MODULE_INPUT = re.compile(
    r"^/?modules/(?P<module>[^/]+)/inputs/(?P<input>[^/]+)/?$", re.IGNORECASE
)
_LITERAL = re.compile(r"\"[^\"]*\"|'[^']*'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a route leads: a module's input, or the hub when *module* is None."""

    module: str | None = None
    input: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One compiled route."""

    name: str
    text: str
    source: str
    condition: Condition | None
    endpoint: Endpoint
    priority: int = DEFAULT_PRIORITY
    ttl_s: float | None = None

    def takes(self, source: str, facts: MessageFacts) -> bool:
        """Tell whether a message from *source* with these *facts* takes this route."""
        if not source_matches(self.source, source):
            return False
        return self.condition is None or self.condition.evaluate(facts) is Truth.TRUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """All routes of one edgeHub configuration."""

    routes: tuple[Route, ...] = ()

    def select(self, source: str, facts: MessageFacts) -> list[Route]:
        """Return the routes that the message takes: one for each endpoint, the best by priority."""
        best: dict[Endpoint, Route] = {}
        for route in self.routes:
            known = best.get(route.endpoint)
            is_better = known is None or route.priority < known.priority
            if is_better and route.takes(source, facts):
                best[route.endpoint] = route
        return list(best.values())


def compile_routes(routes: Mapping[str, Any]) -> Routes:
    """Compile the `routes` object of `$edgeHub`'s desired properties.

    Args:
        routes: Name to route text, or to `{"route", "priority", "timeToLiveSecs"}`.

    Raises:
        RouteSyntaxError: One of the routes is wrong; nothing of the configuration may be used.
    """
    return Routes(routes=tuple(_compile_entry(name, value) for name, value in routes.items()))


def compile_route(text: str, *, name: str = "") -> Route:
    """Compile one route text.

    Raises:
        RouteSyntaxError: The text is not a route.
    """
    source, position = _parse_source(text)
    condition, position = _parse_condition(text, position)
    return Route(
        name=name,
        text=text,
        source=source,
        condition=condition,
        endpoint=_parse_sink(text, position),
    )


def source_matches(pattern: str, source: str) -> bool:
    """Tell whether a route's FROM *pattern* takes a message from *source*.

    A case-insensitive prefix of whole path parts, after trailing `*` and `/` are stripped.
    """
    prefix = pattern.rstrip("*/") + "/"
    return (source.rstrip("/") + "/").lower().startswith(prefix.lower())


def module_source(module: str, output: str | None) -> str:
    """Return the source path of a message that *module* sends to *output*."""
    suffix = f"outputs/{output}/" if output else ""
    return f"/messages/modules/{module}/{suffix}"


def _compile_entry(name: str, value: Any) -> Route:
    if isinstance(value, str):
        return compile_route(value, name=name)
    if not isinstance(value, Mapping) or not isinstance(value.get("route"), str):
        raise RouteSyntaxError(
            f"route {name!r} is neither text nor an object", route="", position=0
        )
    text = value["route"]
    unknown = set(value) - {"route", "priority", "timeToLiveSecs"}
    if unknown:
        raise RouteSyntaxError(f"unknown field {min(unknown)!r}", route=text, position=0)
    route = compile_route(text, name=name)
    return Route(
        name=name,
        text=text,
        source=route.source,
        condition=route.condition,
        endpoint=route.endpoint,
        priority=_priority(value.get("priority"), text),
        ttl_s=_ttl(value.get("timeToLiveSecs"), text),
    )


def _priority(value: Any, text: str) -> int:
    if value is None:
        return DEFAULT_PRIORITY
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= HIGHEST_NUMBER:
        raise RouteSyntaxError(f"priority {value!r}; rule: 0..9", route=text, position=0)
    return value


def _ttl(value: Any, text: str) -> float | None:
    if value is None or value == 0:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RouteSyntaxError(
            f"timeToLiveSecs {value!r}; rule: integer >= 0", route=text, position=0
        )
    return float(value)


def _parse_source(text: str) -> tuple[str, int]:
    position = 0
    first = _KEYWORD.match(text)
    if first is None:
        raise RouteSyntaxError("expected SELECT or FROM", route=text, position=0)
    if first[1].upper() == "SELECT":
        star = _STAR.match(text, first.end())
        if star is None:
            raise RouteSyntaxError("expected * after SELECT", route=text, position=first.end())
        position = star.end()
    from_word = _FROM.match(text, position)
    if from_word is None:
        raise RouteSyntaxError("expected FROM", route=text, position=position)
    source = _SOURCE.match(text, from_word.end())
    if source is None:
        raise RouteSyntaxError("expected a source", route=text, position=from_word.end())
    return source[1], source.end()


def _parse_condition(text: str, position: int) -> tuple[Condition | None, int]:
    # Literals are blanked out so that the word INTO inside one does not end the condition.
    visible = _LITERAL.sub(lambda found: " " * len(found[0]), text)
    into = _INTO.search(visible, position)
    if into is None:
        raise RouteSyntaxError("expected INTO", route=text, position=len(text))
    where = _WHERE.match(text, position)
    if where is None:
        if text[position : into.start()].strip():
            raise RouteSyntaxError("expected WHERE or INTO", route=text, position=position)
        return None, into.end()
    condition = compile_condition(text[where.end() : into.start()], route=text, offset=where.end())
    return condition, into.end()


def _parse_sink(text: str, position: int) -> Endpoint:
    if _UPSTREAM.match(text, position):
        return Endpoint()
    found = _ENDPOINT.match(text, position)
    if found is None:
        raise RouteSyntaxError(
            'expected $upstream or BrokeredEndpoint("/modules/m/inputs/i")',
            route=text,
            position=position,
        )
    path = found["double"] if found["double"] is not None else found["single"]
    parts = _MODULE_INPUT.match(path)
    if parts is None:
        raise RouteSyntaxError(
            f"endpoint {path!r}; rule: /modules/m/inputs/i", route=text, position=position
        )
    return Endpoint(module=parts["module"], input=parts["input"])
