"""IoT Hub's query language, as far as deployments, the portal's lists and the CLI use it.

`SELECT [TOP n] * | fields | aggregates FROM devices | devices.modules | devices.jobs [alias]
[WHERE condition] [GROUP BY fields]`, as
learn.microsoft.com/azure/iot-hub/iot-hub-devguide-query-language gives it. A target condition is
the part after WHERE over tags, reported properties and deviceId. ORDER BY does not exist there.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from taktgate.standin.azure.errors import QuerySyntaxError
from taktgate.standin.azure.iothub.query_expressions import Evaluate, Reader
from taktgate.standin.azure.iothub.query_tokens import Kind, refusal, text_of, tokenize
from taktgate.standin.azure.iothub.query_values import MISSING, look_up
from taktgate.standin.azure.json_types import JsonObject

Source: TypeAlias = Literal["devices", "devices.modules", "devices.jobs"]
Path: TypeAlias = tuple[str, ...]

_SOURCES: tuple[Source, ...] = ("devices", "devices.modules", "devices.jobs")
_AGGREGATES = ("count", "sum", "avg", "min", "max")
_TARGET_VALUE = re.compile(r"[\w\-:.+%#*?!(),=@;$']*")


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition over a twin document."""

    text: str
    _evaluate: Evaluate
    names: frozenset[str]
    """The dotted paths that it asks for."""
    module: str | None = None
    """The one module id that it can be true for, if it says so plainly."""

    def matches(self, document: Mapping[str, Any]) -> bool:
        """Tell whether the condition is true for *document*."""
        return self._evaluate(document) is True


@dataclass(frozen=True, slots=True)
class Column:
    """One value of an answer's rows: a path of the twin, or an aggregate over one."""

    alias: str
    path: Path = ()
    aggregate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _WrittenColumn:
    name: str | None
    alias: str | None
    aggregate: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """How far an answer has been read: the number of the last twin, and the rows given."""

    after: int = -1
    given: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A parsed query."""

    source: Source
    columns: tuple[Column, ...] | None
    """None for `SELECT *`."""
    where: Condition | None = None
    group_by: tuple[Path, ...] = ()
    top: int | None = None

    @property
    def is_aggregate(self) -> bool:
        """Tell whether rows stand for groups of twins."""
        return bool(self.group_by) or any(column.aggregate for column in self.columns or ())

    @property
    def item_type(self) -> str:
        """The value of the header `x-ms-item-type`."""
        if self.columns is not None:
            return "Raw"
        return "DeviceJob" if self.source == "devices.jobs" else "Twin"

    def run(self, documents: Iterable[JsonObject]) -> list[JsonObject]:
        """Return all rows of the answer."""
        rows, _ = self.page(enumerate(documents), Place(), limit=None)
        return rows

    def page(
        self, numbered: Iterable[tuple[int, JsonObject]], start: Place, *, limit: int | None
    ) -> tuple[list[JsonObject], Place | None]:
        """Return the rows after *start*, at most *limit*, and where the next page starts if any.

        Args:
            numbered: The twins with their numbers, which grow and are never used again; so a page
                is right even when twins went away since the last one.
            start: What an earlier page returned.
            limit: At most so many rows; None for all.
        """
        if self.is_aggregate:
            return self._aggregate_page((document for _, document in numbered), start, limit)
        rows: list[JsonObject] = []
        given, last = start.given, start.after
        for number, document in numbered:
            if number <= start.after or not self._takes(document):
                continue
            if self.top is not None and given >= self.top:
                break
            if limit is not None and len(rows) >= limit:
                return rows, Place(last, given)
            rows.append(self._row(document))
            given, last = given + 1, number
        return rows, None

    def count(self, documents: Iterable[JsonObject]) -> int:
        """Return how many rows the answer has, as a metric counts them."""
        if self.is_aggregate or self.top is not None:
            return len(self.run(documents))
        return sum(1 for document in documents if self._takes(document))

    def _takes(self, document: JsonObject) -> bool:
        return self.where is None or self.where.matches(document)

    def _row(self, document: JsonObject) -> JsonObject:
        if self.columns is None:
            return document
        values = ((column.alias, look_up(document, column.path)) for column in self.columns)
        return {alias: value for alias, value in values if value is not MISSING}

    def _aggregate_page(
        self, documents: Iterable[JsonObject], start: Place, limit: int | None
    ) -> tuple[list[JsonObject], Place | None]:
        groups: dict[tuple[str, ...], list[JsonObject]] = {} if self.group_by else {(): []}
        for document in documents:
            if self._takes(document):
                key = tuple(repr(look_up(document, path)) for path in self.group_by)
                groups.setdefault(key, []).append(document)
        rows = [self._group_row(members) for members in groups.values()][: self.top]
        end = len(rows) if limit is None else start.given + limit
        return rows[start.given : end], Place(given=end) if end < len(rows) else None

    def _group_row(self, members: Sequence[JsonObject]) -> JsonObject:
        row = {}
        for column in self.columns or ():
            if column.aggregate:
                value = _aggregate(column, members)
            else:
                value = look_up(members[0], column.path)
            if value is not MISSING:
                row[column.alias] = value
        return row


@lru_cache(maxsize=1024)
def parse_query(text: str) -> Query:
    """Parse a whole query.

    Raises:
        QuerySyntaxError: The text is not of the supported language.
    """
    reader = Reader(text)
    reader.expect_word("select")
    top = _top(reader)
    written = _columns(reader)
    reader.expect_word("from")
    # Names may be qualified by the collection or its alias, which only now is known.
    source = _source(reader)
    columns = None if written is None else tuple(_resolved(reader, each) for each in written)
    where = _condition(reader, text) if reader.take_word("where") else None
    query = Query(source=source, columns=columns, where=where, group_by=_group_by(reader), top=top)
    reader.expect_end()
    _check_columns(query, reader)
    return query


@lru_cache(maxsize=1024)
def parse_condition(text: str) -> Condition:
    """Parse what may stand after WHERE.

    Raises:
        QuerySyntaxError: The text is not a condition.
    """
    reader = Reader(text, qualifier=("devices",))
    condition = _condition(reader, text)
    reader.expect_end()
    return condition


def parse_target_condition(text: str) -> Condition | None:
    """Parse a deployment's target condition; empty text targets nobody and is None.

    Raises:
        QuerySyntaxError: Not a condition; or one over more than tags, reported properties and
            deviceId; or a value with a character that the documentation does not allow
            (learn.microsoft.com/azure/iot-edge/module-deployment-monitoring, "Target condition").
    """
    if not text.strip():
        return None
    if text.strip() == "*":
        return Condition("*", lambda _: True, frozenset())
    for token in tokenize(text):
        if token.kind is Kind.TEXT:
            _check_target_value(token.text, text_of(token), token.position, text)
    condition = parse_condition(text)
    for name in sorted(condition.names):
        if name != "deviceId" and not name.startswith(("tags.", "properties.reported.")):
            raise QuerySyntaxError(
                f"{name!r}; rule: a target condition asks for tags and deviceId, or for "
                f"properties.reported"
            )
    return condition


def _check_target_value(written: str, value: str, position: int, text: str) -> None:
    if written.startswith('"'):
        raise refusal("rule: single quotes in a target condition", position, text)
    if not _TARGET_VALUE.fullmatch(value):
        raise refusal(
            "rule: letters, digits and -:.+%_#*?!(),=@;$ in the values of a target condition",
            position,
            text,
        )


def _source(reader: Reader) -> Source:
    position, name = reader.position, reader.name().lower()
    if name not in _SOURCES:
        raise refusal(
            f"source {name!r}; rule: devices, devices.modules or devices.jobs",
            position,
            reader.query,
        )
    has_alias = reader.take_word("as") is not None or reader.is_at_name()
    qualifier = reader.name() if has_alias else name
    reader.qualifier = tuple(qualifier.lower().split("."))
    return name


def _top(reader: Reader) -> int | None:
    if not reader.take_word("top"):
        return None
    position, number = reader.position, reader.take_number()
    if not isinstance(number, int) or number < 1:
        raise refusal("expected a whole number above 0 after TOP", position, reader.query)
    return number


def _columns(reader: Reader) -> list[_WrittenColumn] | None:
    if reader.take("*"):
        return None
    columns = [_column(reader)]
    while reader.take(","):
        columns.append(_column(reader))
    return columns


def _column(reader: Reader) -> _WrittenColumn:
    aggregate = reader.take_call(*_AGGREGATES)
    if aggregate is None:
        return _WrittenColumn(name=reader.name(), alias=_alias(reader))
    name = None
    is_count = aggregate == "count"
    if not (is_count and (reader.take("*") or reader.is_at(")"))):
        name = reader.name()
    reader.expect(")")
    return _WrittenColumn(name=name, alias=_alias(reader), aggregate=aggregate)


def _resolved(reader: Reader, column: _WrittenColumn) -> Column:
    path = () if column.name is None else reader.resolved(column.name)
    alias = column.alias or (path[-1] if path and column.aggregate is None else "$1")
    return Column(alias, path, column.aggregate)


def _alias(reader: Reader) -> str | None:
    return reader.name() if reader.take_word("as") else None


def _group_by(reader: Reader) -> tuple[Path, ...]:
    if not reader.take_word("group"):
        return ()
    reader.expect_word("by")
    paths = [reader.path()]
    while reader.take(","):
        paths.append(reader.path())
    return tuple(paths)


def _check_columns(query: Query, reader: Reader) -> None:
    if query.group_by and query.source != "devices":
        raise reader.refuse("rule: GROUP BY only FROM devices")
    if query.source == "devices.jobs" and query.columns is not None:
        raise reader.refuse("rule: only SELECT * FROM devices.jobs")
    if not query.is_aggregate:
        return
    for column in query.columns or (Column("*"),):
        if column.aggregate is None and column.path not in query.group_by:
            raise reader.refuse(f"{column.alias!r}; rule: a column is grouped by or an aggregate")


def _condition(reader: Reader, text: str) -> Condition:
    evaluate = reader.condition()
    names = frozenset(".".join(path) for path in reader.names)
    return Condition(text.strip(), evaluate, names, reader.required.get(("moduleId",)))


def _aggregate(column: Column, members: Sequence[JsonObject]) -> Any:
    if not column.path:
        return len(members)
    found = [look_up(member, column.path) for member in members]
    if column.aggregate == "count":
        return sum(1 for value in found if value is not MISSING)
    numbers = [v for v in found if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if not numbers:
        return MISSING
    return _NUMERIC[column.aggregate or ""](numbers)


_NUMERIC: Mapping[str, Callable[[list[int | float]], int | float]] = {
    "sum": sum,
    "avg": lambda numbers: sum(numbers) / len(numbers),
    "min": min,
    "max": max,
}
