"""The built-in functions of conditions: which arguments they take, and what they give.

From Azure/iotedge `query/builtins/*.cs`; the names are found in any case. Most take values of fixed
kinds and give undefined when one is undefined (or a body value is of another kind); the others look
at the kind of their one argument. `twin_change_includes` takes a path and stands in `conditions`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from taktgate.standin.azure.edgehub.routes import dotnet
from taktgate.standin.azure.edgehub.routes.operators import concatenation
from taktgate.standin.azure.edgehub.routes.values import (
    ABSENT,
    UNDEFINED,
    Kind,
    Logic,
    QueryKind,
    QueryValue,
    Text,
)

_QUERY_KINDS: Final[Mapping[Kind, QueryKind]] = {
    Kind.STRING: QueryKind.STRING,
    Kind.NUMBER: QueryKind.NUMBER,
}
NOTHING: Final[Mapping[Kind, object]] = {
    Kind.STRING: UNDEFINED,
    Kind.NUMBER: math.nan,
    Kind.BOOL: UNDEFINED,
}


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call a function: the kinds it takes and gives, and what runs on defined values."""

    takes: tuple[Kind, ...]
    gives: Kind
    run: Callable[..., Any]
    repeats_last: bool = False

    def fits(self, given: tuple[Kind, ...]) -> bool:
        """Tell whether arguments of the kinds *given* compile; a body value fits every kind."""
        wanted = self.wanted(len(given))
        return len(wanted) == len(given) and all(
            kind in (want, Kind.QUERY) for kind, want in zip(given, wanted, strict=True)
        )

    def wanted(self, count: int) -> tuple[Kind, ...]:
        """Return the kinds of the parameters of a call with *count* arguments."""
        if not self.repeats_last:
            return self.takes
        return self.takes + (self.takes[-1],) * (count - len(self.takes))


@dataclass(frozen=True, slots=True)
class ByKind:
    """A function of one argument that acts by its kind; a kind that is not there does not fit."""

    gives: Kind
    runs: Mapping[Kind, Callable[[Any], Any]]


def defined_argument(given: Kind, wanted: Kind) -> Callable[[Any], Any]:
    """Return how to get at an argument: its plain value, or UNDEFINED."""
    if given is Kind.QUERY:
        kind = _QUERY_KINDS[wanted]
        return lambda value: value.value if value.kind is kind else UNDEFINED
    if given is Kind.NUMBER:
        return lambda value: UNDEFINED if math.isnan(value) else value
    return lambda value: value


# Numbers, where Python raises and .NET gives infinities or NaN.
def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        is_negative = base < 0 and math.fmod(exponent, 2) != 0
        return -math.inf if is_negative else math.inf
    except ValueError:
        if base != 0:
            return math.nan
        is_negative = math.copysign(1.0, base) < 0 and math.fmod(exponent, 2) in (1.0, -1.0)
        return -math.inf if is_negative else math.inf


def _square(value: float) -> float:
    return _power(value, 2.0)


def _ceiling(value: float) -> float:
    return math.copysign(float(math.ceil(value)), value) if math.isfinite(value) else value


def _floor(value: float) -> float:
    return math.copysign(float(math.floor(value)), value) if math.isfinite(value) else value


def _sign(value: float) -> float:
    return math.nan if math.isnan(value) else float((value > 0) - (value < 0))


def _square_root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


# Texts; null is as good as undefined.
def _length(text: str | None) -> float:
    return math.nan if text is None else float(len(text))


def _lower(text: str | None) -> Text:
    return UNDEFINED if text is None else dotnet.lower(text)


def _upper(text: str | None) -> Text:
    return UNDEFINED if text is None else dotnet.upper(text)


def _rest(text: str | None, start: float) -> Text:
    if text is None or not 0 <= start <= len(text):
        return UNDEFINED
    return text[int(start) :]


def _part(text: str | None, start: float, length: float) -> Text:
    if text is None or not 0 <= start < len(text) or not 0 <= length <= len(text) - start:
        return UNDEFINED
    return text[int(start) : int(start) + int(length)]


def _index_of(text: str | None, part: str | None) -> float:
    return math.nan if text is None or part is None else float(text.find(part))


def _starts_with(text: str | None, part: str | None) -> Logic:
    return UNDEFINED if text is None or part is None else text.startswith(part)


def _ends_with(text: str | None, part: str | None) -> Logic:
    return UNDEFINED if text is None or part is None else text.endswith(part)


def _contains(text: str | None, part: str | None) -> Logic:
    return UNDEFINED if text is None or part is None else part in text


# Kinds.
def _number_of_text(text: Text) -> float:
    return dotnet.parse_number(text) if isinstance(text, str) else math.nan


def _number_of_body(value: QueryValue) -> float:
    if value.kind is QueryKind.NUMBER and isinstance(value.value, float):
        return value.value
    return _number_of_text(value.value) if isinstance(value.value, str) else math.nan


def _is_bool_in_body(value: QueryValue) -> Logic:
    return UNDEFINED if value.kind is QueryKind.NONE else value.kind is QueryKind.BOOL


def _is_null_in_body(value: QueryValue) -> Logic:
    """Tell what Microsoft's tells: true for every value that is there, even one that is not null.

    IsNull.cs compares by reference with the one value that stands for a path that leads nowhere,
    and the wrong way round.
    """
    return UNDEFINED if value.kind is QueryKind.NONE else value is not ABSENT


def _is_number_in_body(value: QueryValue) -> bool:
    return isinstance(value.value, float) and math.isfinite(value.value)


def _never(_value: object) -> bool:
    return False


def _always(_value: object) -> bool:
    return True


_S, _N, _B = Kind.STRING, Kind.NUMBER, Kind.BOOL
_ANY_KIND: Final = dict.fromkeys(Kind, _never)
Function: TypeAlias = tuple[Signature, ...] | ByKind

FUNCTIONS: Final[Mapping[str, Function]] = {
    "abs": (Signature((_N,), _N, abs),),
    "exp": (Signature((_N,), _N, _exp),),
    "power": (Signature((_N, _N), _N, _power),),
    "square": (Signature((_N,), _N, _square),),
    "ceiling": (Signature((_N,), _N, _ceiling),),
    "floor": (Signature((_N,), _N, _floor),),
    "sign": (Signature((_N,), _N, _sign),),
    "sqrt": (Signature((_N,), _N, _square_root),),
    "concat": (Signature((_S, _S), _S, concatenation, repeats_last=True),),
    "length": (Signature((_S,), _N, _length),),
    "lower": (Signature((_S,), _S, _lower),),
    "upper": (Signature((_S,), _S, _upper),),
    "substring": (Signature((_S, _N), _S, _rest), Signature((_S, _N, _N), _S, _part)),
    "index_of": (Signature((_S, _S), _N, _index_of),),
    "starts_with": (Signature((_S, _S), _B, _starts_with),),
    "ends_with": (Signature((_S, _S), _B, _ends_with),),
    "contains": (Signature((_S, _S), _B, _contains),),
    "as_number": ByKind(
        _N,
        {
            Kind.STRING: _number_of_text,
            Kind.NUMBER: lambda value: value,
            Kind.QUERY: _number_of_body,
        },
    ),
    "is_defined": ByKind(
        _B,
        {
            Kind.STRING: lambda value: value is not UNDEFINED,
            Kind.NUMBER: lambda value: not math.isnan(value),
            Kind.BOOL: lambda value: value is not UNDEFINED,
            Kind.NULL: _always,
            Kind.UNDEFINED: _never,
            Kind.QUERY: lambda value: value.kind is not QueryKind.NONE,
        },
    ),
    "is_null": ByKind(
        _B,
        {
            **_ANY_KIND,
            Kind.STRING: lambda value: value is None,
            Kind.NULL: _always,
            Kind.QUERY: _is_null_in_body,
        },
    ),
    "is_bool": ByKind(
        _B,
        {
            **_ANY_KIND,
            Kind.BOOL: lambda value: UNDEFINED if value is UNDEFINED else True,
            Kind.QUERY: _is_bool_in_body,
        },
    ),
    "is_number": ByKind(
        _B, {**_ANY_KIND, Kind.NUMBER: math.isfinite, Kind.QUERY: _is_number_in_body}
    ),
    "is_string": ByKind(
        _B,
        {
            **_ANY_KIND,
            Kind.STRING: lambda value: isinstance(value, str),
            Kind.QUERY: lambda value: isinstance(value.value, str),
        },
    ),
}
