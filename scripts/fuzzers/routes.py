"""Routes: any text is a route or is refused with its place, and any message takes it or does not.

Half of the texts follow the grammar, the rest are damaged ones.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from fuzzers.campaign import BrokenPromiseError
from fuzzers.mutation import ODD_TEXT, mutate_text, smaller_sequences
from taktgate.standin.azure.edgehub.routes.conditions import MessageFacts
from taktgate.standin.azure.edgehub.routes.language import compile_route
from taktgate.standin.azure.errors import RouteSyntaxError

SOURCES = (
    "/messages/*",
    "/messages/modules/m/*",
    "/messages/modules/m/outputs/o",
    "/*",
    "/twinChangeNotifications",
    "/*/messages/*",
    "/messages/modules/$edgeHub/*",
)
SINKS = (
    "$upstream",
    'BrokeredEndpoint("/modules/m/inputs/i")',
    "BrokeredEndpoint('/modules/m/inputs/i')",
    'BrokeredEndpoint("/modules/m")',
)
NAMES = (
    "temp",
    "a-b",
    "$messageId",
    "{$messageId}",
    "$contentType",
    "$body.a",
    "$body.a.b[0].c",
    "$body",
    "$body['a']",
    "$twin.properties.reported.x",
    "$.cdid",
    "as_number",
    "é",
)
LITERALS = (
    "1",
    "0x1F",
    "-2.5e3",
    "'x'",
    '"y"',
    "true",
    "false",
    "null",
    "undefined",
    "1e999",
    "''",
)
OPERATORS = (
    "=",
    "!=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "AND",
    "OR",
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "??",
)
FUNCTIONS = (
    "abs",
    "exp",
    "power",
    "square",
    "ceiling",
    "floor",
    "sign",
    "sqrt",
    "as_number",
    "is_bool",
    "is_defined",
    "is_null",
    "is_number",
    "is_string",
    "concat",
    "length",
    "lower",
    "upper",
    "substring",
    "index_of",
    "starts_with",
    "ends_with",
    "contains",
    "twin_change_includes",
    "no_such_function",
)
WORDS = (*OPERATORS, *LITERALS, "NOT", "(", ")", ",", "SELECT", "FROM", "WHERE", "INTO", "{", "}")
BODIES = (
    b"",
    b"null",
    b"1",
    b'"x"',
    b"[1, 2]",
    b'{"a": 1}',
    b"{",
    b"\xff\xfe{\x00}\x00",
    b'{"a": {"b": [{"c": "x"}, null]}}',
    b"[" * 3000,
    b'{"a": 1e999}',
    b'{"a": "\\ud800"}',
)
DEPTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteCase:
    """A text that may be a route, and a message for it."""

    text: str
    properties: tuple[tuple[str, str], ...] = ()
    system: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class RouteTarget:
    """Compiles and evaluates."""

    name = "routes"

    def make(self, random: Random) -> RouteCase:
        """Return a route by the grammar, damaged or not, and a message."""
        where = f" WHERE {condition(random, DEPTH)}" if random.random() < 0.85 else ""
        select = random.choice(("", "", "SELECT * ", "select *\n"))
        text = f"{select}FROM {random.choice(SOURCES)}{where} INTO {random.choice(SINKS)}"
        for _ in range(random.choice((0, 0, 0, 1, 1, 2, 5))):
            text = mutate_text(random, text, WORDS)
        return RouteCase(
            text=text,
            properties=tuple((name, _value(random)) for name in random.sample(NAMES, k=3)),
            system=_system(random),
            body=random.choice(BODIES),
        )

    async def check(self, case: RouteCase) -> None:
        """Compile, and evaluate what compiles."""
        try:
            route = compile_route(case.text)
        except RouteSyntaxError as error:
            if not 0 <= error.position <= len(case.text):
                raise BrokenPromiseError(
                    f"a refusal names a place inside the text; {error.position}"
                ) from error
            return
        facts = {"properties": dict(case.properties), "system": dict(case.system)}
        answers = {route.takes("/messages/modules/m/outputs/o/", _message(facts, case.body))}
        answers.add(route.takes("/messages/modules/m/outputs/o/", _message(facts, case.body)))
        if len(answers) != 1 or not answers <= {True, False}:
            raise BrokenPromiseError(f"a route says yes or no, and always the same; {answers}")

    def smaller(self, case: RouteCase) -> Iterable[RouteCase]:
        """Return cases with less text, then with less of a message."""
        for text in smaller_sequences(case.text):
            yield RouteCase(
                text=text, properties=case.properties, system=case.system, body=case.body
            )
        for properties in smaller_sequences(case.properties):
            yield RouteCase(
                text=case.text, properties=properties, system=case.system, body=case.body
            )

    def show(self, case: RouteCase) -> str:
        """Return the case as Python."""
        return repr(case)


def condition(random: Random, depth: int) -> str:
    """Return an expression of the grammar; its kinds need not fit."""
    if depth <= 0 or random.random() < 0.2:
        return random.choice((random.choice(NAMES), random.choice(LITERALS)))
    match random.randrange(8):
        case 0:
            return f"NOT {condition(random, depth - 1)}"
        case 1:
            return f"({condition(random, depth - 1)})"
        case 2:
            return f"-{condition(random, depth - 1)}"
        case 3 | 4:
            arguments = ", ".join(condition(random, depth - 2) for _ in range(random.randrange(4)))
            return f"{random.choice(FUNCTIONS)}({arguments})" if depth > 1 else "abs(1)"
        case _:
            left, right = condition(random, depth - 1), condition(random, depth - 1)
            return f"{left} {random.choice(OPERATORS)} {right}"


def _message(facts: dict[str, Any], body: bytes) -> MessageFacts:
    """Return a new message: what is read of its body is remembered in it."""
    make: Any = MessageFacts
    try:
        made: MessageFacts = make(**facts, body=body)
    except TypeError:
        made = make(**facts)
    return made


def _system(random: Random) -> tuple[tuple[str, str], ...]:
    encoding = random.choice(("utf-8", "utf-16", "utf-32", "latin-1", "", "UTF-8"))
    kind = random.choice(("application/json", "application/json", "text/plain", ""))
    return (("contentType", kind), ("contentEncoding", encoding), ("messageId", _value(random)))


def _value(random: Random) -> str:
    return random.choice(("1", "-0", "1e400", "nan", "Infinity", "x", "true", *ODD_TEXT))


@asynccontextmanager
async def open_routes() -> AsyncIterator[RouteTarget]:
    """Open the target."""
    yield RouteTarget()
