"""Conditions of edgeHub's routes: three-valued, typed when compiled.

First cut: comparison, AND, OR, NOT, names, literals and brackets. Functions, arithmetic and `$body`
queries are refused with a clear text, never silently accepted.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from taktgate.standin.azure.errors import RouteSyntaxError

Value: TypeAlias = str | float | bool | None
Evaluate: TypeAlias = Callable[["MessageFacts"], "Value | Undefined"]


class Truth(Enum):
    """The three values of a condition; only `TRUE` lets a message pass."""

    TRUE = "True"
    FALSE = "False"
    UNDEFINED = "Undefined"


class Undefined(Enum):
    """The value of a name that a message does not have."""

    UNDEFINED = "undefined"


class Kind(Enum):
    """The type of an expression, known when it is compiled."""

    TEXT = "text"
    NUMBER = "number"
    BOOL = "bool"
    NULL = "null"
    UNDEFINED = "undefined"


UNDEFINED = Undefined.UNDEFINED


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFacts:
    """What a condition may ask about: application and system properties (system without `$`)."""

    properties: Mapping[str, str] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class _Node:
    kind: Kind
    evaluate: Evaluate


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition."""

    text: str
    _root: _Node

    def evaluate(self, facts: MessageFacts) -> Truth:
        """Return the condition's value for a message with these *facts*."""
        value = self._root.evaluate(facts)
        if value is True:
            return Truth.TRUE
        return Truth.FALSE if value is False else Truth.UNDEFINED


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>"[^"]*"|'[^']*')
      | (?P<number>0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<operator>\|\||\?\?|<=|>=|<>|!=|[=<>()+\-*/%,])
      | (?P<system>\{\s*\$[^()<>@,;:\\"/\[\]?={}\s']+\s*\})
      | (?P<name>[^()<>@,;:\\"/\[\]?={}\s'+*%|!-][^()<>@,;:\\"/\[\]?={}\s'+*%|!]*)
    )""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,  # type: ignore[dict-item]  # both sides have one type: compiled so
    "<=": operator.le,  # type: ignore[dict-item]
    ">": operator.gt,  # type: ignore[dict-item]
    ">=": operator.ge,  # type: ignore[dict-item]
}
_ORDERED = frozenset(("<", "<=", ">", ">="))
_CONSTANTS: dict[str, tuple[Kind, "Value | Undefined"]] = {
    "true": (Kind.BOOL, True),
    "false": (Kind.BOOL, False),
    "null": (Kind.NULL, None),
    "undefined": (Kind.UNDEFINED, UNDEFINED),
}
_WORDS = frozenset(("and", "or", "not"))


def compile_condition(text: str, *, route: str, offset: int = 0) -> Condition:
    """Compile the condition *text*.

    Args:
        text: What stands between WHERE and INTO.
        route: The whole route, for the error's text.
        offset: Where *text* starts in *route*.

    Raises:
        RouteSyntaxError: The text is no condition, or holds something that is not known here.
    """
    parser = _Parser(text, route=route, offset=offset)
    root = parser.disjunction()
    parser.expect_end()
    return Condition(text.strip(), root)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    def __init__(self, text: str, *, route: str, offset: int) -> None:
        self._route = route
        self._tokens = self._tokenize(text, offset)
        self._end = offset + len(text)
        self._at = 0

    def _tokenize(self, text: str, offset: int) -> list[_Token]:
        tokens, position = [], 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                raise self._refusal(f"unexpected {text[position:].strip()[0]!r}", offset + position)
            start = offset + found.start(found.lastgroup)
            tokens.append(_Token(found.lastgroup, found[found.lastgroup], start))
            position = found.end()
        return tokens

    def disjunction(self) -> _Node:
        node = self._conjunction()
        while self._take_word("or"):
            node = self._joined(node, self._conjunction(), decides=True)
        return node

    def expect_end(self) -> None:
        if (token := self._peek()) is not None:
            raise self._refusal(f"unexpected {token.text!r}", token.position)

    def _conjunction(self) -> _Node:
        node = self._comparison()
        while self._take_word("and"):
            node = self._joined(node, self._comparison(), decides=False)
        return node

    def _joined(self, left: _Node, right: _Node, *, decides: bool) -> _Node:
        for side in (left, right):
            if side.kind not in (Kind.BOOL, Kind.UNDEFINED):
                raise self._refusal(
                    f"AND and OR take conditions, not {side.kind.value}", self._position()
                )

        def evaluate(facts: MessageFacts) -> Value | Undefined:
            first = left.evaluate(facts)
            if first is decides:
                return decides
            second = right.evaluate(facts)
            if first is UNDEFINED and second is not decides:
                return UNDEFINED
            return second

        return _Node(Kind.BOOL, evaluate)

    def _comparison(self) -> _Node:
        left = self._unary()
        token = self._peek()
        if token is None or token.text not in _COMPARISONS:
            return left
        self._at += 1
        right = self._unary()
        self._check_comparable(token, left.kind, right.kind)
        compare = _COMPARISONS[token.text]

        def evaluate(facts: MessageFacts) -> Value | Undefined:
            a, b = left.evaluate(facts), right.evaluate(facts)
            if isinstance(a, Undefined) or isinstance(b, Undefined):
                return UNDEFINED
            return compare(a, b)

        return _Node(Kind.BOOL, evaluate)

    def _check_comparable(self, token: _Token, left: Kind, right: Kind) -> None:
        kinds = {left, right} - {Kind.UNDEFINED}
        if len(kinds) > 1:
            raise self._refusal(
                f"cannot compare {left.value} with {right.value} (properties are text)",
                token.position,
            )
        if token.text in _ORDERED and kinds & {Kind.BOOL, Kind.NULL}:
            raise self._refusal(f"cannot order {left.value} with {token.text}", token.position)

    def _unary(self) -> _Node:
        if self._take_word("not"):
            inner = self._unary()
            if inner.kind not in (Kind.BOOL, Kind.UNDEFINED):
                raise self._refusal(
                    f"NOT takes a condition, not {inner.kind.value}", self._position()
                )
            return _Node(Kind.BOOL, lambda facts: _negated(inner.evaluate(facts)))
        if self._take("-"):
            inner = self._unary()
            if inner.kind is not Kind.NUMBER:
                raise self._refusal(
                    f"minus takes a number, not {inner.kind.value}", self._position()
                )
            return _Node(Kind.NUMBER, lambda facts: _minus(inner.evaluate(facts)))
        return self._primary()

    def _primary(self) -> _Node:
        if self._take("("):
            node = self.disjunction()
            if not self._take(")"):
                raise self._refusal("expected )", self._position())
            return node
        token = self._peek()
        if token is None:
            raise self._refusal("condition ends too early", self._end)
        self._at += 1
        match token.kind:
            case "text":
                return _constant(Kind.TEXT, token.text[1:-1])
            case "number":
                return _constant(Kind.NUMBER, _number(token.text))
            case "system":
                return _system(token.text.strip("{} ")[1:])
            case "name":
                return self._name(token)
        raise self._refusal(f"unexpected {token.text!r}", token.position)

    def _name(self, token: _Token) -> _Node:
        lowered = token.text.lower()
        if lowered in _WORDS:
            raise self._refusal(f"unexpected {token.text!r}", token.position)
        if (following := self._peek()) is not None and following.text == "(":
            raise self._refusal(
                f"function {token.text!r} is not supported here yet", token.position
            )
        if lowered.split(".")[0] == "$body":
            raise self._refusal("$body queries are not supported here yet", token.position)
        if lowered in _CONSTANTS:
            return _constant(*_CONSTANTS[lowered])
        return _property(token.text)

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _position(self) -> int:
        token = self._peek()
        return self._end if token is None else token.position

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token is None or token.kind != "operator" or token.text != text:
            return False
        self._at += 1
        return True

    def _take_word(self, word: str) -> bool:
        token = self._peek()
        if token is None or token.kind != "name" or token.text.lower() != word:
            return False
        self._at += 1
        return True

    def _refusal(self, reason: str, position: int) -> Exception:
        return RouteSyntaxError(reason, route=self._route, position=position)


def _constant(kind: Kind, value: "Value | Undefined") -> _Node:
    return _Node(kind, lambda _: value)


def _number(text: str) -> float:
    return float(int(text, 16)) if text.lower().startswith("0x") else float(text)


def _property(name: str) -> _Node:
    """A name: application property first, then (with `$`) the system property."""
    key = name.lower()

    def evaluate(facts: MessageFacts) -> Value | Undefined:
        found = _find(facts.properties, key)
        if found is UNDEFINED and key.startswith("$"):
            return _find(facts.system, key[1:])
        return found

    return _Node(Kind.TEXT, evaluate)


def _system(name: str) -> _Node:
    key = name.lower()
    return _Node(Kind.TEXT, lambda facts: _find(facts.system, key))


def _find(values: Mapping[str, str], key: str) -> "Value | Undefined":
    for name, value in values.items():
        if name.lower() == key:
            return value
    return UNDEFINED


def _negated(value: "Value | Undefined") -> "Value | Undefined":
    return (not value) if isinstance(value, bool) else UNDEFINED


def _minus(value: "Value | Undefined") -> "Value | Undefined":
    return -value if isinstance(value, float) else UNDEFINED
