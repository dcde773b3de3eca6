"""Values of IoT Hub's query language: three-valued logic, comparison, arithmetic and functions.

What is not there is `MISSING` ("undefined"): a comparison with it is neither true nor false, nor is
its negation, so a twin without the property is in no answer. Only values of one primitive type can
be compared (learn.microsoft.com/azure/iot-hub/query-twins, "Twin query limitations").
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, TypeAlias

Truth: TypeAlias = bool | None
"""None is undefined: neither true nor false, and so is its negation."""


class _Missing(Enum):
    MISSING = "undefined"


MISSING: Final = _Missing.MISSING
Primitive: TypeAlias = Literal["text", "number", "bool", "null"]

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_EQUALITY = (operator.eq, operator.ne)
_PRIMITIVES: Mapping[type, Primitive] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "bool",
    type(None): "null",
}
ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


def look_up(document: Mapping[str, Any], parts: Sequence[str]) -> Any:
    """Return the value at a path of *document*, or MISSING."""
    value: Any = document
    for name in parts:
        if type(value) is not dict:
            return MISSING
        value = value.get(name, MISSING)
    return value


def truth(value: Any) -> Truth:
    """Return what a value means as a condition: only a Boolean is true or false."""
    return value if isinstance(value, bool) else None


def negated(value: Truth) -> Truth:
    """Return NOT *value*."""
    return None if value is None else not value


def any_of(values: Iterable[Truth]) -> Truth:
    """Return the OR of *values*."""
    result: Truth = False
    for value in values:
        if value is True:
            return True
        if value is None:
            result = None
    return result


def all_of(values: Iterable[Truth]) -> Truth:
    """Return the AND of *values*."""
    result: Truth = True
    for value in values:
        if value is False:
            return False
        if value is None:
            result = None
    return result


def compared(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> Truth:
    """Compare two values; None when they cannot be compared."""
    first, second = _primitive(left), _primitive(right)
    if first is None or second is None:
        return None
    if first != second:
        # `x != null` asks whether there is a value, whatever its type.
        is_question_for_null = "null" in (first, second) and compare in _EQUALITY
        return compare is operator.ne if is_question_for_null else None
    if first in ("bool", "null") and compare not in _EQUALITY:
        return None
    return bool(compare(left, right))


def is_in(value: Any, choices: Sequence[Any]) -> Truth:
    """Tell whether *value* equals one of *choices*; None when it is undefined."""
    if _primitive(value) is None:
        return None
    return any(compared(operator.eq, value, choice) is True for choice in choices)


def computed(compute: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Return the result of arithmetic on two numbers, else MISSING."""
    if _primitive(left) != "number" or _primitive(right) != "number":
        return MISSING
    try:
        return compute(left, right)
    except (ZeroDivisionError, OverflowError):
        return MISSING


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language: how many arguments it takes and what it makes of them."""

    arguments: int
    call: Callable[..., Any]


def _primitive(value: Any) -> Primitive | None:
    return _PRIMITIVES.get(type(value))


def _known(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is not MISSING and test(value)


def _on_texts(test: Callable[[str, str], bool]) -> Callable[[Any, Any], Any]:
    def call(value: Any, other: Any) -> Any:
        if not isinstance(value, str) or not isinstance(other, str):
            return MISSING
        return test(value, other)

    return call


# The documentation promises twin queries IS_DEFINED alone and lists the others for routes, as
# functions of the same language; here they all work.
FUNCTIONS: Mapping[str, Function] = {
    "is_defined": Function(1, lambda value: value is not MISSING),
    "is_null": Function(1, _known(lambda value: value is None)),
    "is_bool": Function(1, _known(lambda value: isinstance(value, bool))),
    "is_number": Function(1, _known(lambda value: _primitive(value) == "number")),
    "is_string": Function(1, _known(lambda value: isinstance(value, str))),
    "is_object": Function(1, _known(lambda value: isinstance(value, dict))),
    "is_array": Function(1, _known(lambda value: isinstance(value, list))),
    "is_primitive": Function(1, _known(lambda value: _primitive(value) is not None)),
    "starts_with": Function(2, _on_texts(str.startswith)),
    "startswith": Function(2, _on_texts(str.startswith)),
    "ends_with": Function(2, _on_texts(str.endswith)),
    "endswith": Function(2, _on_texts(str.endswith)),
    "contains": Function(2, _on_texts(str.__contains__)),
}
