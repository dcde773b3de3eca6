"""IoT Hub's query language, as far as deployments, the portal's lists and the CLI use it.

`SELECT * | fields | COUNT() FROM devices | devices.modules [WHERE condition]`, with nested names,
AND, OR, NOT, comparison and IN. A target condition is the part after WHERE over tags and deviceId.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from taktgate.standin.azure.errors import QuerySyntaxError
from taktgate.standin.azure.json_types import JsonObject

Truth: TypeAlias = bool | None
"""None is undefined: neither true nor false, and so is its negation."""
Source: TypeAlias = Literal["devices", "devices.modules"]

MISSING = object()
_NAME = r"(?:[A-Za-z_$][\w$-]*|\[\[[^\]]+\]\])"
_TOKEN = re.compile(
    rf"""\s*(?:
        (?P<text>'(?:[^']|'')*')
      | (?P<number>-?\d+(?:\.\d+)?)
      | (?P<operator><=|>=|<>|!=|[=<>(),*]|\[(?!\[)|\](?!\]))
      | (?P<name>{_NAME}(?:\.{_NAME})*)
    )""",
    re.VERBOSE,
)
_PART = re.compile(_NAME)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CONSTANTS: dict[str, Any] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition over a twin document."""

    text: str
    _evaluate: Callable[[JsonObject], Truth]
    names: frozenset[str]

    def matches(self, document: JsonObject) -> bool:
        """Tell whether the condition is true for *document*."""
        return self._evaluate(document) is True


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A parsed query."""

    source: Source
    fields: tuple[tuple[str, str], ...] | None
    """Name in the answer and path in the twin; None for `SELECT *`."""
    count_as: str | None = None
    where: Condition | None = None

    @property
    def item_type(self) -> str:
        """The value of the header `x-ms-item-type`."""
        return "Twin" if self.fields is None and self.count_as is None else "Raw"

    def run(self, documents: Sequence[JsonObject]) -> list[JsonObject]:
        """Return the answer's rows."""
        found = [d for d in documents if self.where is None or self.where.matches(d)]
        if self.count_as is not None:
            return [{self.count_as: len(found)}]
        if self.fields is None:
            return found
        return [self._row(document, self.fields) for document in found]

    @staticmethod
    def _row(document: JsonObject, fields: tuple[tuple[str, str], ...]) -> JsonObject:
        values = ((alias, _look_up(document, path)) for alias, path in fields)
        return {alias: value for alias, value in values if value is not MISSING}


def parse_query(text: str) -> Query:
    """Parse a whole query.

    Raises:
        QuerySyntaxError: The text is not of the supported language.
    """
    return _Parser(text).query()


def parse_condition(text: str) -> Condition:
    """Parse what may stand after WHERE.

    Raises:
        QuerySyntaxError: The text is not a condition.
    """
    parser = _Parser(text)
    condition = parser.condition(text)
    parser.expect_end()
    return condition


def parse_target_condition(text: str) -> Condition | None:
    """Parse a deployment's target condition; empty text targets nobody and is None.

    Raises:
        QuerySyntaxError: Not a condition, or one over more than tags and deviceId.
    """
    if not text.strip():
        return None
    if text.strip() == "*":
        return Condition("*", lambda _: True, frozenset())
    condition = parse_condition(text)
    for name in sorted(condition.names):
        if name != "deviceId" and not name.startswith("tags."):
            raise QuerySyntaxError(f"{name!r}; rule: a target condition asks for tags and deviceId")
    return condition


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._tokenize(text)
        self._at = 0
        self._names: set[str] = set()

    def _tokenize(self, text: str) -> list[_Token]:
        tokens, position = [], 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                raise self._refusal(f"unexpected {text[position:].strip()[0]!r}", position)
            start = found.start(found.lastgroup)
            tokens.append(_Token(found.lastgroup, found[found.lastgroup], start))
            position = found.end()
        return tokens

    def query(self) -> Query:
        self._expect_word("select")
        fields, count_as = self._selection()
        self._expect_word("from")
        source = self._source()
        where = None
        if self._take_word("where"):
            where = self.condition(self._text)
        self.expect_end()
        return Query(source=source, fields=fields, count_as=count_as, where=where)

    def condition(self, text: str) -> Condition:
        evaluate = self._disjunction()
        return Condition(text.strip(), evaluate, frozenset(self._names))

    def expect_end(self) -> None:
        if (token := self._peek()) is not None:
            raise self._refusal(f"unexpected {token.text!r}", token.position)

    def _selection(self) -> tuple[tuple[tuple[str, str], ...] | None, str | None]:
        if self._take("*"):
            return None, None
        if self._take_word("count"):
            self._expect("(")
            self._expect(")")
            return None, self._alias() or "$1"
        fields = [self._field()]
        while self._take(","):
            fields.append(self._field())
        return tuple(fields), None

    def _field(self) -> tuple[str, str]:
        path = self._expect_name()
        return self._alias() or path.rpartition(".")[2], path

    def _alias(self) -> str | None:
        return self._expect_name() if self._take_word("as") else None

    def _source(self) -> Source:
        name = self._expect_name()
        if name == "devices":
            return "devices"
        if name == "devices.modules":
            return "devices.modules"
        raise self._refusal(f"source {name!r}; rule: devices or devices.modules", self._position())

    def _disjunction(self) -> Callable[[JsonObject], Truth]:
        terms = [self._conjunction()]
        while self._take_word("or"):
            terms.append(self._conjunction())
        return terms[0] if len(terms) == 1 else lambda document: _any(t(document) for t in terms)

    def _conjunction(self) -> Callable[[JsonObject], Truth]:
        terms = [self._negation()]
        while self._take_word("and"):
            terms.append(self._negation())
        if len(terms) == 1:
            return terms[0]
        return lambda document: _negate(_any(_negate(t(document)) for t in terms))

    def _negation(self) -> Callable[[JsonObject], Truth]:
        if self._take_word("not"):
            inner = self._negation()
            return lambda document: _negate(inner(document))
        if self._take("("):
            inner = self._disjunction()
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Callable[[JsonObject], Truth]:
        left = self._operand()
        if self._take_word("in"):
            values = self._list()
            return lambda document: _is_in(left(document), values)
        token = self._peek()
        if token is None or token.text not in _COMPARISONS:
            raise self._refusal("expected a comparison", self._position())
        self._at += 1
        right = self._operand()
        compare = _COMPARISONS[token.text]
        return lambda document: _compare(compare, left(document), right(document))

    def _operand(self) -> Callable[[JsonObject], Any]:
        token = self._peek()
        if token is not None and token.kind == "name" and token.text.lower() not in _CONSTANTS:
            path = self._expect_name()
            self._names.add(path)
            return lambda document: _look_up(document, path)
        value = self._literal()
        return lambda _: value

    def _list(self) -> list[Any]:
        self._expect("[")
        values = [self._literal()]
        while self._take(","):
            values.append(self._literal())
        self._expect("]")
        return values

    def _literal(self) -> Any:
        token = self._peek()
        if token is None:
            raise self._refusal("expected a value", self._position())
        self._at += 1
        if token.kind == "text":
            return token.text[1:-1].replace("''", "'")
        if token.kind == "number":
            return float(token.text) if "." in token.text else int(token.text)
        if token.text.lower() in _CONSTANTS:
            return _CONSTANTS[token.text.lower()]
        raise self._refusal(f"unexpected {token.text!r}", token.position)

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _position(self) -> int:
        token = self._peek()
        return len(self._text) if token is None else token.position

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

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._refusal(f"expected {text!r}", self._position())

    def _expect_word(self, word: str) -> None:
        if not self._take_word(word):
            raise self._refusal(f"expected {word.upper()}", self._position())

    def _expect_name(self) -> str:
        token = self._peek()
        if token is None or token.kind != "name":
            raise self._refusal("expected a name", self._position())
        self._at += 1
        return token.text

    def _refusal(self, reason: str, position: int) -> Exception:
        return QuerySyntaxError(f"{reason} at character {position} of {self._text!r}")


def _look_up(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for part in _PART.findall(path):
        name = part[2:-2] if part.startswith("[[") else part
        if not isinstance(value, Mapping) or name not in value:
            return MISSING
        value = value[name]
    return value


def _compare(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> Truth:
    if left is MISSING or right is MISSING:
        return None
    if isinstance(left, bool) != isinstance(right, bool):
        return None
    try:
        return bool(compare(left, right))
    except TypeError:
        return None


def _is_in(value: Any, choices: list[Any]) -> Truth:
    return None if value is MISSING else value in choices


def _any(values: Any) -> Truth:
    result: Truth = False
    for value in values:
        if value is True:
            return True
        if value is None:
            result = None
    return result


def _negate(value: Truth) -> Truth:
    return None if value is None else not value
