"""Expressions and conditions of IoT Hub's query language, compiled to functions of a twin document.

Precedence, weakest first: OR; AND; NOT; comparison, IN and NIN; + and -; *, / and %.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from taktgate.standin.azure.iothub import query_values as values
from taktgate.standin.azure.iothub.query_tokens import (
    Kind,
    Token,
    number_of,
    parts_of,
    refusal,
    text_of,
    tokenize,
)
from taktgate.standin.azure.iothub.query_values import MISSING

Evaluate = Callable[[Mapping[str, Any]], Any]

MAX_NESTING = 64
_CONSTANTS: Mapping[str, Any] = {"true": True, "false": False, "null": None, "undefined": MISSING}
_WORDS = frozenset({"and", "or", "not", "in", "nin", "as", "from", "where", "group", "order", "by"})
# The fields of a twin that the hub itself names; these are found in any spelling
# (learn.microsoft.com/azure/iot-hub/query-twins: `SELECT DeviceId` answers `deviceId`).
_ROOTS: Mapping[str, str] = {
    name.lower(): name
    for name in (
        "deviceId", "moduleId", "etag", "deviceEtag", "status", "statusReason", "statusUpdateTime",
        "connectionState", "lastActivityTime", "cloudToDeviceMessageCount", "authenticationType",
        "x509Thumbprint", "modelId", "version", "tags", "properties", "configurations",
        "capabilities", "deviceScope", "parentScopes",
    )
}  # fmt: skip
_SECTIONS = {"desired": "desired", "reported": "reported"}


def canonical(parts: list[str]) -> tuple[str, ...]:
    """Return a path with the hub's own names as the hub spells them."""
    first, *rest = parts
    first = _ROOTS.get(first.lower(), first)
    if first == "properties" and rest:
        rest[0] = _SECTIONS.get(rest[0].lower(), rest[0])
    return (first, *rest)


@dataclass(slots=True)
class Reader:
    """Reads the tokens of one query; the clauses are read by who knows them."""

    query: str
    qualifier: tuple[str, ...] = ()
    """What a name may begin with to say which collection it is of: `devices` or an alias."""
    names: set[tuple[str, ...]] = field(default_factory=set)
    """The paths that conditions have asked for so far."""
    required: dict[tuple[str, ...], Any] = field(default_factory=dict)
    """What a document must hold at a path for the condition to be true, as far as is plain."""
    _tokens: list[Token] = field(init=False)
    _at: int = 0
    _depth: int = 0

    def __post_init__(self) -> None:
        self._tokens = tokenize(self.query)

    @property
    def position(self) -> int:
        """Where the next token starts."""
        token = self.peek()
        return len(self.query) if token is None else token.position

    def peek(self) -> Token | None:
        """Return the next token without taking it."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def refuse(self, reason: str) -> Exception:
        """Return the error for the place where the reader is."""
        return refusal(reason, self.position, self.query)

    def take(self, text: str) -> bool:
        """Take the operator *text* if it is next."""
        if not self.is_at(text):
            return False
        self._at += 1
        return True

    def take_word(self, *words: str) -> str | None:
        """Take the next word if it is one of *words* (lower case) and return it."""
        token = self.peek()
        if token is None or token.kind is not Kind.NAME or token.text.lower() not in words:
            return None
        self._at += 1
        return token.text.lower()

    def take_call(self, *names: str) -> str | None:
        """Take the name of a function and its bracket if one of *names* (lower case) is next."""
        following = self._tokens[self._at + 1 : self._at + 2]
        if not following or following[0].text != "(" or (name := self.take_word(*names)) is None:
            return None
        self._at += 1
        return name

    def take_number(self) -> int | float | None:
        """Take a number if one is next."""
        token = self.peek()
        if token is None or token.kind is not Kind.NUMBER:
            return None
        self._at += 1
        return number_of(token)

    def expect(self, text: str) -> None:
        """Take the operator *text*.

        Raises:
            QuerySyntaxError: Something else is next.
        """
        if not self.take(text):
            raise self.refuse(f"expected {text!r}")

    def expect_word(self, word: str) -> None:
        """Take the word *word* (lower case).

        Raises:
            QuerySyntaxError: Something else is next.
        """
        if self.take_word(word) is None:
            raise self.refuse(f"expected {word.upper()}")

    def expect_end(self) -> None:
        """Check that everything was read.

        Raises:
            QuerySyntaxError: Something is left.
        """
        if (token := self.peek()) is None:
            return
        if token.text.lower() == "order":
            raise self.refuse("ORDER BY is not supported in queries of IoT Hub")
        raise self.refuse(f"unexpected {token.text!r}")

    def is_at(self, text: str) -> bool:
        """Tell whether the operator *text* is next."""
        token = self.peek()
        return token is not None and token.kind is Kind.OPERATOR and token.text == text

    def is_at_name(self) -> bool:
        """Tell whether a name is next that is no word of the language."""
        token = self.peek()
        return token is not None and token.kind is Kind.NAME and token.text.lower() not in _WORDS

    def name(self) -> str:
        """Take a name as it is written.

        Raises:
            QuerySyntaxError: Something else is next.
        """
        token = self.peek()
        if token is None or not self.is_at_name():
            raise self.refuse("expected a name")
        self._at += 1
        return token.text

    def path(self) -> tuple[str, ...]:
        """Take a name and return its canonical path below the document.

        Raises:
            QuerySyntaxError: Something else is next.
        """
        return self.resolved(self.name())

    def resolved(self, name: str) -> tuple[str, ...]:
        """Return the canonical path below the document that *name* stands for."""
        parts = parts_of(name)
        own = len(self.qualifier)
        if own and len(parts) > own and tuple(p.lower() for p in parts[:own]) == self.qualifier:
            parts = parts[own:]
        return canonical(parts)

    def condition(self) -> Evaluate:
        """Read what may stand after WHERE.

        Raises:
            QuerySyntaxError: It is no condition.
        """
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self.refuse(f"rule: at most {MAX_NESTING} levels of brackets and negations")
        required = dict(self.required)
        terms = [self._conjunction()]
        while self.take_word("or"):
            terms.append(self._conjunction())
        self._depth -= 1
        if self._depth or len(terms) > 1:
            self.required = required
        if len(terms) == 1:
            return terms[0]
        return lambda document: _defined(
            values.any_of(values.truth(term(document)) for term in terms)
        )

    def _conjunction(self) -> Evaluate:
        terms = [self._negation()]
        while self.take_word("and"):
            terms.append(self._negation())
        if len(terms) == 1:
            return terms[0]
        return lambda document: _defined(
            values.all_of(values.truth(term(document)) for term in terms)
        )

    def _negation(self) -> Evaluate:
        negations = 0
        while self.take_word("not"):
            negations += 1
        required = dict(self.required)
        inner = self._comparison()
        if not negations:
            return inner
        self.required = required
        is_odd = negations % 2 == 1

        def evaluate(document: Mapping[str, Any]) -> Any:
            value = values.truth(inner(document))
            return _defined(values.negated(value) if is_odd else value)

        return evaluate

    def _comparison(self) -> Evaluate:
        self._note_requirement()
        left = self._sum()
        if word := self.take_word("in", "nin"):
            return _membership(left, self._list(), is_wanted=word == "in")
        token = self.peek()
        if token is None or token.text not in values.COMPARISONS:
            return left
        self._at += 1
        right, compare = self._sum(), values.COMPARISONS[token.text]
        return lambda document: _defined(values.compared(compare, left(document), right(document)))

    def _note_requirement(self) -> None:
        """Note `name = 'text'` if it is next and whole."""
        next_ones = self._tokens[self._at : self._at + 4]
        kinds = [token.kind for token in next_ones[:3]]
        if kinds != [Kind.NAME, Kind.OPERATOR, Kind.TEXT] or next_ones[1].text != "=":
            return
        if len(next_ones) < 4 or next_ones[3].text.lower() in ("and", "group", "order", ")"):
            path = self.resolved(next_ones[0].text)
            self.required[path] = text_of(next_ones[2])

    def _sum(self) -> Evaluate:
        return self._chain(self._product, "+-")

    def _product(self) -> Evaluate:
        return self._chain(self._operand, "*/%")

    def _chain(self, operand: Callable[[], Evaluate], operators: str) -> Evaluate:
        result = operand()
        while (token := self.peek()) is not None and token.text in tuple(operators):
            self._at += 1
            result = _calculation(values.ARITHMETIC[token.text], result, operand())
        return result

    def _operand(self) -> Evaluate:
        if self.take("("):
            inner = self.condition()
            self.expect(")")
            return inner
        if name := self.take_call(*values.FUNCTIONS):
            return self._function(name)
        token = self.peek()
        if self.is_at_name() and token is not None and token.text.lower() not in _CONSTANTS:
            path = self.path()
            self.names.add(path)
            return lambda document: values.look_up(document, path)
        value = self._literal()
        return lambda _: value

    def _function(self, name: str) -> Evaluate:
        function = values.FUNCTIONS[name]
        arguments = [self.condition()]
        while self.take(","):
            arguments.append(self.condition())
        if len(arguments) != function.arguments:
            raise self.refuse(f"{name.upper()} takes {function.arguments} argument(s)")
        self.expect(")")
        return lambda document: function.call(*(each(document) for each in arguments))

    def _list(self) -> list[Any]:
        self.expect("[")
        found = [self._literal()]
        while self.take(","):
            found.append(self._literal())
        self.expect("]")
        return found

    def _literal(self) -> Any:
        is_negative = self.take("-")
        token = self.peek()
        if token is None:
            raise self.refuse("expected a value")
        if token.kind is Kind.NUMBER:
            self._at += 1
            return -number_of(token) if is_negative else number_of(token)
        if is_negative:
            raise self.refuse("expected a number")
        if token.kind is Kind.TEXT:
            self._at += 1
            return text_of(token)
        if (word := self.take_word(*_CONSTANTS)) is None:
            raise self.refuse(f"unexpected {token.text!r}")
        return _CONSTANTS[word]


def _defined(value: values.Truth) -> Any:
    return MISSING if value is None else value


def _membership(left: Evaluate, choices: list[Any], *, is_wanted: bool) -> Evaluate:
    def evaluate(document: Mapping[str, Any]) -> Any:
        found = values.is_in(left(document), choices)
        return _defined(found if is_wanted else values.negated(found))

    return evaluate


def _calculation(compute: Callable[[Any, Any], Any], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda document: values.computed(compute, left(document), right(document))
