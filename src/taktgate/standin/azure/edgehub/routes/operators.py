"""Which kinds of values an operator takes, and what it does with them.

From Azure/iotedge `query/ConditionVisitor.cs` (which operands compile), `ComparisonOperators.cs`,
`Bool.cs`, `Null.cs`, `Undefined.cs` and `types/QueryValue.cs` (what they come to). A pair of kinds
that is not in a table does not compile. A body value meets a value of another kind as a body value.
"""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from taktgate.standin.azure.edgehub.routes import dotnet
from taktgate.standin.azure.edgehub.routes.values import (
    QUERY_UNDEFINED,
    TO_QUERY,
    UNDEFINED,
    Kind,
    Logic,
    QueryKind,
    QueryValue,
    Text,
)

# The tables keep the kinds and the functions together, which no type checker can.
Run: TypeAlias = Callable[[Any, Any], Any]
Pair: TypeAlias = tuple[Kind, Kind]
# What double and its fellows may stand beside a body value (QueryValue.IsSupportedType).
_COMPARABLE_TO_QUERY: Final = (Kind.STRING, Kind.NUMBER, Kind.BOOL, Kind.NULL)


@dataclass(frozen=True, slots=True)
class Operation:
    """What an operator gives for one pair of kinds."""

    result: Kind
    run: Run


Table: TypeAlias = Mapping[Pair, Operation]


# Logic: Kleene's three values. For a body value, undefined wins over everything.
def conjunction(left: Logic, right: Logic) -> Logic:
    """Return left AND right: false wins, then undefined."""
    if left is False or right is False:
        return False
    return UNDEFINED if left is UNDEFINED or right is UNDEFINED else True


def disjunction(left: Logic, right: Logic) -> Logic:
    """Return left OR right: true wins, then undefined."""
    if left is True or right is True:
        return True
    return UNDEFINED if left is UNDEFINED or right is UNDEFINED else False


def negation(value: Logic) -> Logic:
    """Return NOT value."""
    return UNDEFINED if value is UNDEFINED else not value


def _of_body_bools(connective: Callable[[Logic, Logic], Logic]) -> Run:
    def run(left: QueryValue, right: QueryValue) -> Logic:
        if left.kind is right.kind is QueryKind.BOOL:
            return connective(left.value is True, right.value is True)
        return UNDEFINED

    return run


def _not_of_body(value: QueryValue) -> Logic:
    return negation(value.value is True) if value.kind is QueryKind.BOOL else UNDEFINED


# Arithmetic in doubles, where Python raises.
def divide(left: float, right: float) -> float:
    """Return left / right; by zero an infinity, 0 / 0 NaN."""
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def remainder(left: float, right: float) -> float:
    """Return left % right with the sign of left, as C# does; NaN by zero."""
    if math.isinf(left) or right == 0:
        return math.nan
    return math.fmod(left, right)


def _of_body_numbers(run: Callable[[float, float], float]) -> Run:
    def run_if_numbers(left: QueryValue, right: QueryValue) -> QueryValue:
        if left.kind is right.kind is QueryKind.NUMBER:
            value = run(left.value, right.value)  # type: ignore[arg-type]  # the kind says so
            return QueryValue(QueryKind.NUMBER, value)
        return QUERY_UNDEFINED

    return run_if_numbers


# Comparison: an order of two values (negative, 0, positive), None when one is undefined.
def _order_of_texts(left: Text, right: Text) -> int | None:
    if not isinstance(left, str) or not isinstance(right, str):
        return None
    return (left > right) - (left < right)


def _order_of_numbers(left: float, right: float) -> int | None:
    return None if math.isnan(left) or math.isnan(right) else dotnet.order(left, right)


def _order_of_bools(left: Logic, right: Logic) -> int | None:
    return None if left is UNDEFINED or right is UNDEFINED else int(left) - int(right)


def _order_of_body_values(left: QueryValue, right: QueryValue) -> int | None:
    """Compare two body values; those of two kinds are ordered by kind, so never equal."""
    if left.kind is QueryKind.NONE or right.kind is QueryKind.NONE:
        return None
    if left.kind is not right.kind:
        return left.kind - right.kind
    match left.value, right.value:
        case bool(first), bool(second):
            return int(first) - int(second)
        case float(first), float(second):
            return dotnet.order(first, second)
        case str(text), str(other):
            return (text > other) - (text < other)
    return isinstance(left.value, str) - isinstance(right.value, str)  # null is below every text


_ORDERS: Final[Mapping[Kind, Callable[[Any, Any], int | None]]] = {
    Kind.STRING: _order_of_texts,
    Kind.NUMBER: _order_of_numbers,
    Kind.BOOL: _order_of_bools,
    Kind.NULL: lambda _left, _right: 0,
    Kind.UNDEFINED: lambda _left, _right: None,
    Kind.QUERY: _order_of_body_values,
}


def _comparison(order: Callable[[Any, Any], int | None], test: Callable[[int, int], bool]) -> Run:
    def run(left: Any, right: Any) -> Logic:
        found = order(left, right)
        return UNDEFINED if found is None else test(found, 0)

    return run


# Text.
def concatenation(*texts: Text) -> Text:
    """Return the texts one after the other; null is empty, undefined wins."""
    if UNDEFINED in texts:
        return UNDEFINED
    return "".join(text for text in texts if isinstance(text, str))


def _body_text(value: QueryValue) -> Text:
    if value.kind is not QueryKind.STRING:
        return UNDEFINED
    return value.value if isinstance(value.value, str) else None


def _of_body_texts(left: QueryValue, right: QueryValue) -> Text:
    return concatenation(_body_text(left), _body_text(right))


# Or-else.
def _is_defined(kind: Kind, value: Any) -> bool:
    return TO_QUERY[kind](value).kind is not QueryKind.NONE


def _or_else(kind: Kind) -> Run:
    return lambda left, right: left if _is_defined(kind, left) else right


# Tables.
def _with_body(partners: tuple[Kind, ...], operation: Operation) -> dict[Pair, Operation]:
    """Return *operation* on two body values, and on one beside each of *partners*."""
    table = {(Kind.QUERY, Kind.QUERY): operation}
    for kind in partners:
        table[Kind.QUERY, kind] = Operation(operation.result, _right_to_query(operation.run, kind))
        table[kind, Kind.QUERY] = Operation(operation.result, _left_to_query(operation.run, kind))
    return table


def _right_to_query(run: Run, kind: Kind) -> Run:
    convert = TO_QUERY[kind]
    return lambda left, right: run(left, convert(right))


def _left_to_query(run: Run, kind: Kind) -> Run:
    convert = TO_QUERY[kind]
    return lambda left, right: run(convert(left), right)


def _arithmetic(run: Callable[[float, float], float]) -> Table:
    body = Operation(Kind.QUERY, _of_body_numbers(run))
    numbers = {(Kind.NUMBER, Kind.NUMBER): Operation(Kind.NUMBER, run)}
    return {**numbers, **_with_body((Kind.NUMBER,), body)}


def _comparisons(test: Callable[[int, int], bool]) -> Table:
    same = {
        (kind, kind): Operation(Kind.BOOL, _comparison(order, test))
        for kind, order in _ORDERS.items()
    }
    body = Operation(Kind.BOOL, _comparison(_order_of_body_values, test))
    return {**same, **_with_body(_COMPARABLE_TO_QUERY, body)}


def _null_aside(_left: object, _right: object) -> None:
    return None


def _connective(
    run: Callable[[Logic, Logic], Logic], null_beside_bool: Operation, null_first: Operation
) -> dict[Pair, Operation]:
    """Return the table of AND or OR, but for null beside a body value.

    Microsoft checks the left operand again where it means the right one
    (ConditionVisitor.CheckBooleanOperands): beside a body value on the left anything compiles,
    beside one on the right only another body value.
    """
    logic = Operation(Kind.BOOL, run)
    body = _of_body_bools(run)
    truths = (Kind.BOOL, Kind.UNDEFINED)
    others = (Kind.STRING, Kind.NUMBER, Kind.BOOL, Kind.UNDEFINED)
    return {
        **{(left, right): logic for left in truths for right in truths},
        (Kind.BOOL, Kind.NULL): null_beside_bool,
        (Kind.NULL, Kind.BOOL): null_first,
        (Kind.NULL, Kind.NULL): Operation(Kind.NULL, _null_aside),
        (Kind.QUERY, Kind.QUERY): Operation(Kind.BOOL, body),
        **{
            (Kind.QUERY, kind): Operation(Kind.BOOL, _right_to_query(body, kind)) for kind in others
        },
    }


_NULL: Final = Operation(Kind.NULL, _null_aside)
_AND: Final = _connective(conjunction, null_beside_bool=_NULL, null_first=_NULL)
_OR: Final = {
    **_connective(
        disjunction,
        null_beside_bool=Operation(Kind.BOOL, lambda left, _: left),
        null_first=Operation(Kind.BOOL, lambda _, right: right),
    ),
    (Kind.QUERY, Kind.NULL): Operation(Kind.BOOL, lambda _left, _right: UNDEFINED),
}
_NOT_EQUAL: Final = _comparisons(operator.ne)
COMPARISONS: Final[Mapping[str, Table]] = {
    "<": _comparisons(operator.lt),
    "<=": _comparisons(operator.le),
    ">": _comparisons(operator.gt),
    ">=": _comparisons(operator.ge),
    "=": _comparisons(operator.eq),
    "!=": _NOT_EQUAL,
    "<>": _NOT_EQUAL,
}

BINARY: Final[Mapping[str, Table]] = {
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(divide),
    # QueryValue has no remainder, and no minus for one value.
    "%": {(Kind.NUMBER, Kind.NUMBER): Operation(Kind.NUMBER, remainder)},
    "+": _arithmetic(operator.add),
    "-": _arithmetic(operator.sub),
    "||": {
        (Kind.STRING, Kind.STRING): Operation(Kind.STRING, concatenation),
        **_with_body((Kind.STRING,), Operation(Kind.STRING, _of_body_texts)),
    },
    **COMPARISONS,
    "and": _AND,
    "or": _OR,
    "??": {
        **{(kind, kind): Operation(kind, _or_else(kind)) for kind in Kind},
        **_with_body(_COMPARABLE_TO_QUERY, Operation(Kind.QUERY, _or_else(Kind.QUERY))),
    },
}

UNARY: Final[Mapping[str, Mapping[Kind, tuple[Kind, Callable[[Any], Any]]]]] = {
    "-": {Kind.NUMBER: (Kind.NUMBER, operator.neg)},
    "not": {
        Kind.BOOL: (Kind.BOOL, negation),
        Kind.NULL: (Kind.BOOL, lambda _: True),
        Kind.QUERY: (Kind.BOOL, _not_of_body),
    },
}
