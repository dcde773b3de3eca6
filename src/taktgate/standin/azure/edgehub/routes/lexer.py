r"""A route's text to tokens, as Azure/iotedge `grammar/GrammarLexer.g4` has it.

The longest match wins, the earlier rule among equals. A name is anything without one of
`()<>@,;:\"/[]?={}` and white space, so `a-b`, `3+4`, `-x` and `a!` are names: operators made of
such characters need spaces around them. `true`, `false`, `null`, `undefined` are lower case only.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NoReturn, TypeAlias

from taktgate.standin.azure.errors import RouteSyntaxError

# A twin holds 32 KB, and a route is one value in it.
MAX_LENGTH: Final = 32_768

Matcher: TypeAlias = Callable[[str, int], int | None]


class TokenKind(Enum):
    """What a token is; `OPERATOR` covers brackets, commas and the words AND, OR, NOT."""

    SELECT = "SELECT"
    FROM = "FROM"
    WHERE = "WHERE"
    INTO = "INTO"
    STRING = "string"
    UNTERMINATED = "unterminated string"
    INTEGER = "integer"
    HEX = "hexadecimal number"
    REAL = "real number"
    TRUE = "true"
    FALSE = "false"
    NULL = "null"
    UNDEFINED = "undefined"
    OPERATOR = "operator"
    SYSTEM_NAME = "name with $"
    NAME = "name"
    PATH = "name with [ or ]"
    SKIPPED = "white space or comment"
    UNKNOWN = "unknown character"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a route's text; *position* counts characters from 0."""

    kind: TokenKind
    text: str
    position: int

    @property
    def operator(self) -> str:
        """The operator in lower case; empty for every other token."""
        return self.text.lower() if self.kind is TokenKind.OPERATOR else ""


class TokenStream:
    """The tokens of one route, with the place that a parser has reached."""

    def __init__(self, route: str) -> None:
        """Cut *route* into tokens.

        Raises:
            RouteSyntaxError: The text is longer than `MAX_LENGTH`.
        """
        self.route = route
        if len(route) > MAX_LENGTH:
            self.refuse(f"{len(route)} characters; rule: {MAX_LENGTH} at most", MAX_LENGTH)
        self._tokens = _tokenize(route)
        self._at = 0

    @property
    def index(self) -> int:
        """How many tokens have been taken."""
        return self._at

    def peek(self, ahead: int = 0) -> Token:
        """Return the next token (or one of those *ahead*) without taking it; END at the end."""
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def take(self) -> Token:
        """Return the next token and move past it."""
        token = self.peek()
        self._at += 1
        return token

    def take_operator(self, text: str) -> Token | None:
        """Take the next token if it is this operator."""
        return self.take() if self.peek().operator == text else None

    def expect(self, kind: TokenKind, wanted: str) -> Token:
        """Take a token of *kind*.

        Raises:
            RouteSyntaxError: Another token is next; *wanted* names what should be there.
        """
        if self.peek().kind is not kind:
            self.refuse(f"expected {wanted}")
        return self.take()

    def text_since(self, index: int) -> str:
        """Return the text of the tokens taken since *index*, without what was between them."""
        return "".join(token.text for token in self._tokens[index : self._at])

    def refuse(self, reason: str, position: int | None = None) -> NoReturn:
        """Raise the error that names *reason*, the place (default: the next token) and the route.

        Raises:
            RouteSyntaxError: Always.
        """
        at = self.peek().position if position is None else position
        raise RouteSyntaxError(reason, route=self.route, position=at)


def _regex(pattern: str) -> Matcher:
    compiled = re.compile(pattern)

    def match(route: str, position: int) -> int | None:
        found = compiled.match(route, position)
        return None if found is None else found.end()

    return match


def _comment(route: str, position: int) -> int | None:
    if not route.startswith("/*", position):
        return None
    end = route.find("*/", position + 2)
    return None if end < 0 else end + 2


_ESCAPE = r"\\(?:[\"'\\]|u[0-9a-fA-F]{4})"
_DOUBLE = rf'"(?:{_ESCAPE}|[^"\\])*+'
_SINGLE = rf"'(?:{_ESCAPE}|[^'\\])*+"
_EXPONENT = r"[eE][+-]?[0-9]+"
_PATH = r"[^()<>@,;:\\\"/?={} \t\n\r]+"
_NAME = r"[^()<>@,;:\\\"/\[\]?={} \t\n\r]+"

# In the grammar's order.
_RULES: Final[tuple[tuple[TokenKind, Matcher], ...]] = (
    (TokenKind.SELECT, _regex("(?i:select)")),
    (TokenKind.FROM, _regex("(?i:from)")),
    (TokenKind.WHERE, _regex("(?i:where)")),
    (TokenKind.INTO, _regex("(?i:into)")),
    (TokenKind.STRING, _regex(rf"""{_DOUBLE}"|{_SINGLE}'""")),
    (TokenKind.UNTERMINATED, _regex(f"{_DOUBLE}|{_SINGLE}")),
    (TokenKind.INTEGER, _regex(r"-?[0-9]+")),
    (TokenKind.HEX, _regex(r"0[Xx][0-9a-fA-F]+")),
    (TokenKind.REAL, _regex(rf"-?[0-9]*\.[0-9]+(?:{_EXPONENT})?|-?[0-9]*{_EXPONENT}")),
    (TokenKind.TRUE, _regex("true")),
    (TokenKind.FALSE, _regex("false")),
    (TokenKind.NULL, _regex("null")),
    (TokenKind.UNDEFINED, _regex("undefined")),
    (
        TokenKind.OPERATOR,
        _regex(r"<>|<=|>=|!=|\|\||\?\?|[(){},+\-*/%=<>]|(?i:and|or|not)"),
    ),
    (TokenKind.SYSTEM_NAME, _regex(rf"\${_PATH}")),
    (TokenKind.NAME, _regex(_NAME)),
    (TokenKind.PATH, _regex(_PATH)),
    (TokenKind.SKIPPED, _regex(r"[ \t\r\n]+")),
    (TokenKind.SKIPPED, _comment),
    (TokenKind.UNKNOWN, _regex(r"(?s:.)")),
)


def _tokenize(route: str) -> list[Token]:
    tokens, position = [], 0
    while position < len(route):
        kind, end = _longest_match(route, position)
        if kind is not TokenKind.SKIPPED:
            tokens.append(Token(kind, route[position:end], position))
        position = end
    tokens.append(Token(TokenKind.END, "", len(route)))
    return tokens


def _longest_match(route: str, position: int) -> tuple[TokenKind, int]:
    best, best_end = TokenKind.UNKNOWN, position
    for kind, match in _RULES:
        end = match(route, position)
        if end is not None and end > best_end:
            best, best_end = kind, end
    return best, best_end
