"""A condition's tokens to its tree, as Azure/iotedge `grammar/Condition.g4` has it.

All operators group to the left. NOT and minus bind tighter than every operator with two sides:
`NOT a = b` is `(NOT a) = b`. Double equals signs, single bars and the like are no operators.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from taktgate.standin.azure.edgehub.routes.lexer import Token, TokenKind, TokenStream

# Brackets, calls, prefixes and right sides inside one another. Microsoft's has no stated limit; its
# .NET stack holds some thousands. A chain of operators (`a AND b AND c`) may be of any length.
MAX_DEPTH: Final = 100

_PRECEDENCE: Final[Mapping[str, int]] = {
    "??": 1,
    "or": 2,
    "and": 3,
    **dict.fromkeys(("=", "!=", "<>"), 4),
    **dict.fromkeys(("<", "<=", ">", ">="), 5),
    **dict.fromkeys(("+", "-", "||"), 6),
    **dict.fromkeys(("*", "/", "%"), 7),
}
_PREFIXES: Final = frozenset(("-", "not"))
_LITERALS: Final = frozenset(
    (
        TokenKind.STRING,
        TokenKind.INTEGER,
        TokenKind.HEX,
        TokenKind.REAL,
        TokenKind.TRUE,
        TokenKind.FALSE,
        TokenKind.NULL,
        TokenKind.UNDEFINED,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A constant."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A name: an application property."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemProperty:
    """A name with `$`: application property, body query or system property, in this order.

    In braces (`{$name}`) it is never an application property.
    """

    token: Token
    is_escaped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a built-in function; *text* holds its arguments as written, without spaces."""

    token: Token
    arguments: "tuple[Node, ...]"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary:
    """`-` or `not` (lower case) before one operand."""

    token: Token
    operand: "Node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """An operator between two sides."""

    token: Token
    left: "Node"
    right: "Node"


Node: TypeAlias = Literal | Property | SystemProperty | Call | Unary | Binary


def parse_expression(tokens: TokenStream) -> Node:
    """Take one expression from *tokens*; what follows it is the caller's.

    Raises:
        RouteSyntaxError: There is no expression, or it is nested deeper than `MAX_DEPTH`.
    """
    return _expression(tokens, floor=1, depth=0)


def _expression(tokens: TokenStream, *, floor: int, depth: int) -> Node:
    """Take operators that bind at least as tight as *floor*."""
    left = _operand(tokens, depth)
    while (precedence := _PRECEDENCE.get(tokens.peek().operator, 0)) >= floor:
        token = tokens.take()
        right = _expression(tokens, floor=precedence + 1, depth=depth + 1)
        left = Binary(token=token, left=left, right=right)
    return left


def _operand(tokens: TokenStream, depth: int) -> Node:
    if depth > MAX_DEPTH:
        tokens.refuse(f"nested too deep; rule: {MAX_DEPTH} at most")
    token = tokens.take()
    if token.operator in _PREFIXES:
        return Unary(token=token, operand=_operand(tokens, depth + 1))
    if token.operator == "(":
        inner = _expression(tokens, floor=1, depth=depth + 1)
        _expect_closing(tokens, ")")
        return inner
    if token.operator == "{":
        name = tokens.expect(TokenKind.SYSTEM_NAME, "a name with $ after {")
        _expect_closing(tokens, "}")
        return SystemProperty(token=name, is_escaped=True)
    return _leaf(tokens, token, depth)


def _leaf(tokens: TokenStream, token: Token, depth: int) -> Node:
    if token.kind in _LITERALS:
        return Literal(token=token)
    if token.kind is TokenKind.SYSTEM_NAME:
        return SystemProperty(token=token, is_escaped=False)
    if token.kind is TokenKind.NAME:
        if tokens.take_operator("("):
            return _call(tokens, token, depth)
        return Property(token=token)
    if token.kind is TokenKind.END:
        tokens.refuse("condition ends too early", token.position)
    if token.kind is TokenKind.UNTERMINATED:
        tokens.refuse("unterminated string", token.position)
    return tokens.refuse(f"unexpected {token.text!r}", token.position)


def _call(tokens: TokenStream, name: Token, depth: int) -> Call:
    start = tokens.index
    arguments: list[Node] = []
    if tokens.peek().operator != ")":
        arguments.append(_expression(tokens, floor=1, depth=depth + 1))
        while tokens.take_operator(","):
            arguments.append(_expression(tokens, floor=1, depth=depth + 1))
    text = tokens.text_since(start)
    _expect_closing(tokens, ")")
    return Call(token=name, arguments=tuple(arguments), text=text)


def _expect_closing(tokens: TokenStream, bracket: str) -> None:
    if not tokens.take_operator(bracket):
        tokens.refuse(f"expected {bracket}")
