"""Twin queries and target conditions: any text parses or is refused; a query runs on any twin."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from fuzzers.campaign import BrokenPromiseError
from fuzzers.mutation import mutate_text, smaller_sequences
from taktgate.standin.azure.errors import QuerySyntaxError
from taktgate.standin.azure.iothub.query_language import parse_query, parse_target_condition

NAMES = (
    "deviceId",
    "moduleId",
    "tags.ring",
    "tags.a.b",
    "properties.desired.x",
    "status",
    "properties.reported.[[a b]].c",
    "configurations.[[base-1]].status",
    "$version",
    "tags",
    "properties.desired.$version",
    "properties.reported.list",
    "etag",
    "version",
    "devices.x",
)
LITERALS = ("1", "-1", "1.5", "'x'", "''", "'it''s'", "true", "false", "null", "1e5", "9" * 400)
COMPARISONS = ("=", "!=", "<>", "<", "<=", ">", ">=", "==")
FUNCTIONS = ("is_defined", "is_null", "starts_with", "ends_with", "contains", "upper", "as_number")
WORDS = (
    *COMPARISONS,
    *LITERALS,
    *NAMES,
    "SELECT",
    "FROM",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "IN",
    "AS",
    "COUNT()",
    "*",
    "(",
    ")",
    "[",
    "]",
    ",",
    "TOP",
    "GROUP BY",
    "avg(",
    "devices.jobs",
    "[[",
)
TWINS: list[dict[str, Any]] = [
    {},
    {
        "deviceId": "s1",
        "tags": {"ring": "canary", "a": {"b": 1}},
        "version": 3,
        "status": "enabled",
    },
    {"deviceId": "s2", "moduleId": "m", "tags": None, "properties": {"desired": [], "reported": 1}},
    {"deviceId": 1, "tags": {"ring": None, "a": True}, "properties": {"desired": {"x": {"y": 1}}}},
    {
        "deviceId": "ß",
        "tags": {"ring": ["canary"]},
        "configurations": {"base-1": {"status": "Applied"}},
        "properties": {"desired": {"x": 1e308, "$version": 1}, "reported": {"list": [1, "a", {}]}},
    },
]


class QueryTarget:
    """Parses as a query and as a target condition, and runs on twins of every shape."""

    name = "query"

    def __init__(self) -> None:
        self._twins = json.dumps(TWINS)

    def make(self, random: Random) -> str:
        """Return a query or a condition by the grammar, damaged or not."""
        where = condition(random, 4)
        columns = random.choice(
            ("*", "COUNT()", "COUNT() AS n", "deviceId", "tags.ring AS r, etag")
        )
        source = random.choice(("devices", "devices.modules"))
        whole = f"SELECT {columns} FROM {source} WHERE {where}"  # noqa: S608 - not SQL
        text = where if random.random() < 0.4 else whole
        for _ in range(random.choice((0, 0, 0, 1, 1, 2, 5))):
            text = mutate_text(random, text, WORDS)
        return text

    async def check(self, case: str) -> None:
        """Parse both ways and run what parses."""
        twins = json.loads(self._twins)
        try:
            rows = parse_query(case).run(twins)
        except QuerySyntaxError:
            pass
        else:
            if not all(isinstance(row, dict) for row in rows):
                raise BrokenPromiseError(f"rows are objects; {rows!r}")
        try:
            target = parse_target_condition(case)
        except QuerySyntaxError:
            target = None
        if target is not None and not {target.matches(twin) for twin in twins} <= {True, False}:
            raise BrokenPromiseError("a target condition says yes or no")
        if json.dumps(twins) != self._twins:
            raise BrokenPromiseError("a query changes no twin")

    def smaller(self, case: str) -> Iterable[str]:
        """Return shorter texts."""
        return smaller_sequences(case)

    def show(self, case: str) -> str:
        """Return the text as Python."""
        return repr(case)


def condition(random: Random, depth: int) -> str:
    """Return a condition of the grammar."""
    if depth == 0 or random.random() < 0.3:
        return _comparison(random)
    left, right = condition(random, depth - 1), condition(random, depth - 1)
    return random.choice((f"{left} AND {right}", f"{left} OR {right}", f"NOT {left}", f"({left})"))


def _comparison(random: Random) -> str:
    name, literal = random.choice(NAMES), random.choice(LITERALS)
    match random.randrange(4):
        case 0:
            return f"{name} IN [{literal}, {random.choice(LITERALS)}]"
        case 1:
            return f"{random.choice(FUNCTIONS)}({name})"
        case _:
            return f"{name} {random.choice(COMPARISONS)} {literal}"


@asynccontextmanager
async def open_query() -> AsyncIterator[QueryTarget]:
    """Open the target."""
    yield QueryTarget()
