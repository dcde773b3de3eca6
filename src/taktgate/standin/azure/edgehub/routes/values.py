"""The kinds of values in a condition, and what undefined and null mean in each.

Microsoft's compiler gives every expression a .NET type when a route is compiled, and each type has
an undefined of its own (query/Undefined.cs, Bool.cs, Null.cs, types/QueryValue.cs):

| kind      | at run time                                 | undefined is      |
|-----------|---------------------------------------------|-------------------|
| STRING    | `str` (UTF-16 units), `None` for null       | `UNDEFINED`       |
| NUMBER    | `float`                                     | NaN               |
| BOOL      | `True`, `False`                             | `UNDEFINED`       |
| NULL      | `None`                                      |                   |
| UNDEFINED | `UNDEFINED`                                 | itself            |
| QUERY     | `QueryValue`: kind known only at run time   | `QUERY_UNDEFINED` |
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, Final, Literal, TypeAlias


class Kind(Enum):
    """The type of an expression, known when it is compiled."""

    STRING = "text"
    NUMBER = "number"
    BOOL = "bool"
    NULL = "null"
    UNDEFINED = "undefined"
    QUERY = "body value"


class Undefined(Enum):
    """The value of what a message does not have."""

    UNDEFINED = "undefined"


UNDEFINED: Final = Undefined.UNDEFINED
Logic: TypeAlias = bool | Literal[Undefined.UNDEFINED]
Text: TypeAlias = str | Literal[Undefined.UNDEFINED] | None


class QueryKind(IntEnum):
    """What a JSON path led to. Values of two kinds compare by these numbers (QueryValueType.cs)."""

    NONE = 0
    BOOL = 1
    NUMBER = 2
    STRING = 3
    NULL = 4
    OBJECT = 5


@dataclass(frozen=True, slots=True)
class QueryValue:
    """A value from the body, or one that is compared with such a value."""

    kind: QueryKind
    value: bool | float | str | None = None


QUERY_UNDEFINED: Final = QueryValue(QueryKind.NONE)
QUERY_NULL: Final = QueryValue(QueryKind.NULL)
# The path leads nowhere. Microsoft tells it from a null in the JSON by reference: `is` here.
ABSENT: Final = QueryValue(QueryKind.NULL)


def _text_to_query(value: Text) -> QueryValue:
    return QUERY_UNDEFINED if value is UNDEFINED else QueryValue(QueryKind.STRING, value)


def _number_to_query(value: float) -> QueryValue:
    return QUERY_UNDEFINED if math.isnan(value) else QueryValue(QueryKind.NUMBER, value)


def _bool_to_query(value: Logic) -> QueryValue:
    return QUERY_UNDEFINED if value is UNDEFINED else QueryValue(QueryKind.BOOL, value)


def _query_to_logic(value: QueryValue) -> Logic:
    return value.value is True if value.kind is QueryKind.BOOL else UNDEFINED


TO_QUERY: Final[Mapping[Kind, Callable[[Any], QueryValue]]] = {
    Kind.STRING: _text_to_query,
    Kind.NUMBER: _number_to_query,
    Kind.BOOL: _bool_to_query,
    Kind.NULL: lambda _: QUERY_NULL,
    Kind.UNDEFINED: lambda _: QUERY_UNDEFINED,
    Kind.QUERY: lambda value: value,
}

# What a condition of each kind comes to as a whole.
TO_LOGIC: Final[Mapping[Kind, Callable[[Any], Logic]]] = {
    Kind.STRING: lambda _: UNDEFINED,
    Kind.NUMBER: lambda _: UNDEFINED,
    Kind.BOOL: lambda value: value,
    Kind.NULL: lambda _: False,
    Kind.UNDEFINED: lambda _: UNDEFINED,
    Kind.QUERY: _query_to_logic,
}
