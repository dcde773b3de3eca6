"""edgeHub's routes: the text around the condition, and which messages take which routes.

`[SELECT *] FROM /source/* [WHERE condition] INTO sink`, where the sink is `$upstream` or
`BrokeredEndpoint("/modules/m/inputs/i")` (Azure/iotedge `grammar/Route.g4`, `RouteFactory.cs`,
`EndpointFactory.cs`). One bad route refuses the whole configuration, as edgeHub does.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from taktgate.standin.azure.edgehub.routes import dotnet
from taktgate.standin.azure.edgehub.routes.conditions import (
    Condition,
    MessageFacts,
    Truth,
    compile_tree,
)
from taktgate.standin.azure.edgehub.routes.lexer import TokenKind, TokenStream
from taktgate.standin.azure.edgehub.routes.syntax import parse_expression
from taktgate.standin.azure.errors import RouteSyntaxError

DEFAULT_PRIORITY: Final = 2_000_000_000
HIGHEST_NUMBER: Final = 9
LONGEST_TTL_S: Final = 2**32 - 1
UPSTREAM: Final = "$upstream"
BROKERED: Final = "brokeredendpoint"
DEVICE_MESSAGES: Final = "/messages/"
TWIN_CHANGES: Final = "/twinChangeNotifications/"

_ENDPOINT_PARTS: Final = 4
_FIELDS: Final = frozenset(("route", "priority", "timeToLiveSecs"))

log = logging.getLogger(__name__)


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
    prefix: str = field(init=False, repr=False)
    """What a source starts with, in one case: worked out once from *source*."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", _folded_pattern(self.source))

    def takes_source(self, source: str) -> bool:
        """Tell whether FROM takes messages from *source*.

        A prefix of whole path parts in any case, after stars and slashes at its end are stripped
        once each; a star elsewhere is just a star (CustomMessageSource.cs, BaseMessageSource.cs).
        """
        return _folded_source(source).startswith(self.prefix)

    def is_true(self, facts: MessageFacts) -> bool:
        """Tell whether the condition holds for a message with these *facts*."""
        return self.condition is None or self.condition.evaluate(facts) is Truth.TRUE

    def takes(self, source: str, facts: MessageFacts) -> bool:
        """Tell whether a message from *source* with these *facts* takes this route."""
        return self.takes_source(source) and self.is_true(facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """All routes of one edgeHub configuration."""

    routes: tuple[Route, ...] = ()

    def select(self, source: str, facts: MessageFacts) -> list[Route]:
        """Return the routes that the message takes: one for each endpoint, the best by priority."""
        folded = _folded_source(source)
        best: dict[Endpoint, Route] = {}
        for route in self.routes:
            if not folded.startswith(route.prefix):
                continue
            known = best.get(route.endpoint)
            is_better = known is None or route.priority < known.priority
            if is_better and route.is_true(facts):
                best[route.endpoint] = route
        return list(best.values())


def compile_routes(routes: Mapping[str, Any]) -> Routes:
    """Compile the `routes` object of `$edgeHub`'s desired properties.

    Args:
        routes: Name to route text, or to `{"route", "priority", "timeToLiveSecs"}`.

    Raises:
        RouteSyntaxError: One of the routes is wrong; nothing of the configuration may be used.
    """
    return Routes(routes=tuple(compile_entry(name, value) for name, value in routes.items()))


def compile_entry(name: str, value: Any) -> Route:
    """Compile one entry of the `routes` object: text, or an object (schema version 1.1 and later).

    edgeHub passes over fields that it does not know (RouteSpecConverter.cs); so it is here, with a
    warning.

    Raises:
        RouteSyntaxError: The entry, its priority or its time to live is wrong.
    """
    if isinstance(value, str):
        return compile_route(value, name=name)
    if not isinstance(value, Mapping) or not isinstance(value.get("route"), str):
        raise RouteSyntaxError(f"route {name!r}; rule: text or an object", route="", position=0)
    text = value["route"]
    if unknown := sorted(set(value) - _FIELDS):
        log.warning("edgeHub passes over fields of a route", extra={"route": name, "f": unknown})
    return compile_route(
        text,
        name=name,
        priority=_priority(value.get("priority"), text),
        ttl_s=_ttl(value.get("timeToLiveSecs"), text),
    )


def compile_route(
    text: str, *, name: str = "", priority: int = DEFAULT_PRIORITY, ttl_s: float | None = None
) -> Route:
    """Compile one route text.

    What follows the sink is passed over: `Route.g4` does not ask for the end of the text.

    Raises:
        RouteSyntaxError: The text is not a route.
    """
    tokens = TokenStream(text)
    source = _parse_source(tokens)
    condition = _parse_condition(tokens, source)
    tokens.expect(TokenKind.INTO, "INTO" if condition else "WHERE or INTO")
    return Route(
        name=name,
        text=text,
        source=source,
        condition=condition,
        endpoint=_parse_sink(tokens),
        priority=priority,
        ttl_s=ttl_s,
    )


def module_source(module: str, output: str | None) -> str:
    """Return the source path of a message that *module* sends to *output*."""
    suffix = f"outputs/{output}/" if output else ""
    return f"/messages/modules/{module}/{suffix}"


def _folded_pattern(pattern: str) -> str:
    return _folded_source(pattern.strip().rstrip("*"))


def _folded_source(source: str) -> str:
    return dotnet.upper(source.strip().rstrip("/") + "/")


def _priority(value: Any, text: str) -> int:
    if value is None or value == DEFAULT_PRIORITY:
        return DEFAULT_PRIORITY
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= HIGHEST_NUMBER:
        raise RouteSyntaxError(f"priority {value!r}; rule: 0..9", route=text, position=0)
    return value


def _ttl(value: Any, text: str) -> float | None:
    """Return the time to live; 0 stands for the global one, as no value does (RouteSpec.cs)."""
    if value is None or value == 0:
        return None
    is_seconds = isinstance(value, int) and not isinstance(value, bool)
    if not is_seconds or not 0 < value <= LONGEST_TTL_S:
        rule = f"an integer in 0..{LONGEST_TTL_S}"
        raise RouteSyntaxError(f"timeToLiveSecs {value!r}; rule: {rule}", route=text, position=0)
    return float(value)


def _parse_source(tokens: TokenStream) -> str:
    """Take `[SELECT *] FROM source`; the source's text comes without the spaces in it.

    A lone `/` is taken as well, as Microsoft's CustomMessageSource does, though not its grammar.
    """
    if tokens.peek().kind is TokenKind.SELECT:
        tokens.take()
        if not tokens.take_operator("*"):
            tokens.refuse("expected * after SELECT")
        tokens.expect(TokenKind.FROM, "FROM")
    else:
        tokens.expect(TokenKind.FROM, "SELECT or FROM")
    start = tokens.index
    while tokens.take_operator("/"):
        if tokens.peek().kind is TokenKind.NAME or tokens.peek().operator == "*":
            tokens.take()
        elif tokens.index > start + 1:
            tokens.refuse("expected a name or * after /")
    if tokens.index == start:
        tokens.refuse("expected a source such as /messages/*")
    return tokens.text_since(start)


def _parse_condition(tokens: TokenStream, source: str) -> Condition | None:
    if tokens.peek().kind is not TokenKind.WHERE:
        return None
    tokens.take()
    tree = parse_expression(tokens)
    if tokens.peek().kind is not TokenKind.INTO:
        tokens.refuse(f"expected an operator or INTO, not {tokens.peek().text!r}")
    return compile_tree(
        tree, tokens, takes_twin_changes=TWIN_CHANGES.upper().startswith(_folded_pattern(source))
    )


def _parse_sink(tokens: TokenStream) -> Endpoint:
    sink = tokens.take()
    if sink.kind is TokenKind.SYSTEM_NAME and sink.text.lower() == UPSTREAM:
        return Endpoint()
    if sink.kind is not TokenKind.NAME or sink.text.lower() != BROKERED:
        tokens.refuse(
            'expected $upstream or BrokeredEndpoint("/modules/m/inputs/i")', sink.position
        )
    if not tokens.take_operator("("):
        tokens.refuse("expected ( after BrokeredEndpoint")
    address = tokens.expect(TokenKind.STRING, 'an address such as "/modules/m/inputs/i"')
    if not tokens.take_operator(")"):
        tokens.refuse("expected )")
    parts = address.text[1:-1].strip().removeprefix("/").removesuffix("/").split("/")
    if len(parts) != _ENDPOINT_PARTS:
        tokens.refuse(f"endpoint {address.text}; rule: /modules/m/inputs/i", address.position)
    return Endpoint(module=parts[1], input=parts[3])
