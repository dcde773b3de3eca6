"""Conditions of edgeHub's routes: three-valued, typed when compiled (query/ConditionVisitor.cs).

A tree becomes closures once; a message then only runs them. An expression whose kinds do not fit
refuses the route, a value that a message does not have is undefined when the message comes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NoReturn, TypeAlias

from taktgate.standin.azure.edgehub.routes import body, dotnet
from taktgate.standin.azure.edgehub.routes.functions import (
    FUNCTIONS,
    NOTHING,
    ByKind,
    Signature,
    defined_argument,
)
from taktgate.standin.azure.edgehub.routes.lexer import Token, TokenKind, TokenStream
from taktgate.standin.azure.edgehub.routes.message import MessageFacts
from taktgate.standin.azure.edgehub.routes.operators import BINARY, COMPARISONS, UNARY
from taktgate.standin.azure.edgehub.routes.syntax import (
    Binary,
    Call,
    Literal,
    Node,
    Property,
    SystemProperty,
    Unary,
    parse_expression,
)
from taktgate.standin.azure.edgehub.routes.values import (
    ABSENT,
    QUERY_UNDEFINED,
    TO_LOGIC,
    TO_QUERY,
    UNDEFINED,
    Kind,
    Logic,
    QueryKind,
    QueryValue,
)

__all__ = ["Condition", "MessageFacts", "Truth", "compile_condition", "compile_tree"]

Evaluate: TypeAlias = Callable[[MessageFacts], Any]

BODY_PREFIX: Final = "$body."
TWIN_CHANGE_INCLUDES: Final = "twin_change_includes"
TWIN_PATHS: Final = ("properties.reported.", "properties.desired.", "tags.")

_UNICODE_ESCAPE = re.compile(r"\\[Uu]([0-9A-Fa-f]{4})")
_CHARACTER_ESCAPE = re.compile(r"\\([\"'\\])")
_LONG_MASK: Final = (1 << 64) - 1


class Truth(Enum):
    """The three values of a condition; only `TRUE` lets a message pass."""

    TRUE = "True"
    FALSE = "False"
    UNDEFINED = "Undefined"


_TRUTHS: Final[dict[Logic, Truth]] = {
    True: Truth.TRUE,
    False: Truth.FALSE,
    UNDEFINED: Truth.UNDEFINED,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition."""

    kind: Kind
    run: Evaluate

    def evaluate(self, facts: MessageFacts) -> Truth:
        """Return the condition's value for a message with these *facts*."""
        return _TRUTHS[TO_LOGIC[self.kind](self.run(facts))]


def compile_condition(text: str, *, takes_twin_changes: bool = False) -> Condition:
    """Compile the condition *text*, all of it.

    Args:
        text: What stands between WHERE and INTO.
        takes_twin_changes: Whether the route's source admits `twin_change_includes`.

    Raises:
        RouteSyntaxError: The text is no condition, or its kinds do not fit.
    """
    tokens = TokenStream(text)
    tree = parse_expression(tokens)
    tokens.expect(TokenKind.END, "the end of the condition")
    return compile_tree(tree, tokens, takes_twin_changes=takes_twin_changes)


def compile_tree(tree: Node, tokens: TokenStream, *, takes_twin_changes: bool) -> Condition:
    """Compile a condition's *tree*; *tokens* give the errors their text.

    Raises:
        RouteSyntaxError: An operator or a function does not take the kinds that it is given.
    """
    typed = _Compiler(tokens, takes_twin_changes=takes_twin_changes).typed(tree)
    return Condition(typed.kind, typed.evaluate)


@dataclass(frozen=True, slots=True)
class _Typed:
    kind: Kind
    evaluate: Evaluate


def _constant(kind: Kind, value: object) -> _Typed:
    return _Typed(kind, lambda _: value)


_UNDEFINED: Final = _constant(Kind.UNDEFINED, UNDEFINED)


class _Compiler:
    def __init__(self, tokens: TokenStream, *, takes_twin_changes: bool) -> None:
        self._tokens = tokens
        self._takes_twin_changes = takes_twin_changes

    def typed(self, node: Node) -> _Typed:
        match node:
            case Literal(token=token):
                return _literal(token)
            case Property(token=token):
                return _property(token.text)
            case SystemProperty():
                return self._system_property(node)
            case Call():
                return self._call(node)
            case Unary():
                return self._unary(node)
            case Binary():
                return self._chain(node)

    def _system_property(self, node: SystemProperty) -> _Typed:
        """Compile a name with `$`, as VisitSysProperty and VisitSysPropertyEscaped do."""
        name = node.token.text
        if name.lower().startswith(BODY_PREFIX):
            value = _body_value(self._path(node.token, name[len(BODY_PREFIX) :]))
            return (
                value if node.is_escaped or "[" in name or "]" in name else _shadowed(name, value)
            )
        if "[" in name or "]" in name:
            return _UNDEFINED
        return _system_property(name[1:]) if node.is_escaped else _dollar_property(name)

    def _path(self, token: Token, text: str) -> body.JsonPath:
        try:
            return body.parse_path(text)
        except ValueError as error:
            self._refuse(token, str(error))

    def _call(self, node: Call) -> _Typed:
        name = node.token.text.lower()
        if name == TWIN_CHANGE_INCLUDES and self._takes_twin_changes:
            return self._twin_change_includes(node)
        function = FUNCTIONS.get(name)
        if function is None:
            self._refuse(node.token, f"no function {node.token.text!r} for this source")
        arguments = [self.typed(argument) for argument in node.arguments]
        kinds = tuple(argument.kind for argument in arguments)
        if isinstance(function, ByKind):
            if len(kinds) == 1 and kinds[0] in function.runs:
                return _call_by_kind(function, arguments[0])
        elif found := next((way for way in function if way.fits(kinds)), None):
            return _call(found, arguments)
        given = ", ".join(kind.value for kind in kinds)
        return self._refuse(node.token, f"function {name} does not take ({given})")

    def _twin_change_includes(self, node: Call) -> _Typed:
        if not node.text.lower().startswith(TWIN_PATHS):
            rule = " or ".join(TWIN_PATHS)
            self._refuse(node.token, f"path {node.text!r}; rule: starts with {rule}")
        path = self._path(node.token, node.text)

        def evaluate(facts: MessageFacts) -> Logic:
            document = facts.document()
            return UNDEFINED if document is None else body.select(document, path) is not ABSENT

        return _Typed(Kind.BOOL, evaluate)

    def _unary(self, node: Unary) -> _Typed:
        operand = self.typed(node.operand)
        operation = UNARY[node.token.operator].get(operand.kind)
        if operation is None:
            self._refuse(
                node.token, f"{node.token.text.upper()} does not take {operand.kind.value}"
            )
        kind, run = operation
        inner = operand.evaluate
        return _Typed(kind, lambda facts: run(inner(facts)))

    def _chain(self, node: Binary) -> _Typed:
        """Compile `a op b op c ...`: a loop, so that its length costs no stack."""
        links: list[Binary] = []
        first: Node = node
        while isinstance(first, Binary):
            links.append(first)
            first = first.left
        start = self.typed(first)
        kind, steps = start.kind, []
        for link in reversed(links):
            right = self.typed(link.right)
            operation = BINARY[link.token.operator].get((kind, right.kind))
            if operation is None:
                self._refuse(link.token, _misfit(link.token, kind, right.kind))
            steps.append((operation.run, right.evaluate))
            kind = operation.result
        return _Typed(kind, _runner(start.evaluate, steps))

    def _refuse(self, token: Token, reason: str) -> NoReturn:
        self._tokens.refuse(reason, token.position)


def _misfit(token: Token, left: Kind, right: Kind) -> str:
    if token.operator in COMPARISONS:
        reason = f"cannot compare {left.value} with {right.value}"
    else:
        reason = f"{token.text.upper()} does not take {left.value} and {right.value}"
    if {left, right} != {Kind.STRING, Kind.NUMBER}:
        return reason
    return f"{reason} (a property is text: as_number makes it a number)"


def _runner(first: Evaluate, steps: list[tuple[Callable[[Any, Any], Any], Evaluate]]) -> Evaluate:
    if len(steps) == 1:
        ((run, right),) = steps
        return lambda facts: run(first(facts), right(facts))

    def evaluate(facts: MessageFacts) -> Any:
        value = first(facts)
        for run, right in steps:
            value = run(value, right(facts))
        return value

    return evaluate


def _literal(token: Token) -> _Typed:
    match token.kind:
        case TokenKind.STRING:
            return _constant(Kind.STRING, _unescaped(token.text[1:-1]))
        case TokenKind.TRUE:
            return _constant(Kind.BOOL, True)
        case TokenKind.FALSE:
            return _constant(Kind.BOOL, False)
        case TokenKind.NULL:
            return _constant(Kind.NULL, None)
        case TokenKind.HEX:
            return _hexadecimal(int(token.text, 16))
        case TokenKind.INTEGER | TokenKind.REAL:
            # A name such as `e5` is a real number to the lexer and none to .NET: undefined.
            number = dotnet.parse_number(token.text)
            return _UNDEFINED if number != number else _constant(Kind.NUMBER, number)
    return _UNDEFINED


def _hexadecimal(value: int) -> _Typed:
    """Return a 64-bit number in two's complement, undefined beyond that (`long.TryParse`)."""
    if value > _LONG_MASK:
        return _UNDEFINED
    return _constant(Kind.NUMBER, float(value - (value >> 63 << 64)))


def _unescaped(text: str) -> str:
    units = _UNICODE_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return dotnet.utf16(_CHARACTER_ESCAPE.sub(r"\1", units))


def _property(name: str) -> _Typed:
    folded = dotnet.upper(dotnet.utf16(name))
    return _Typed(Kind.STRING, lambda facts: facts.application_property(folded))


def _system_property(name: str) -> _Typed:
    folded = dotnet.upper(dotnet.utf16(name))
    return _Typed(Kind.STRING, lambda facts: facts.system_property(folded))


def _dollar_property(name: str) -> _Typed:
    """`$x`: the application property of that very name, else the system property `x`."""
    application, system = _property(name).evaluate, _system_property(name[1:]).evaluate

    def evaluate(facts: MessageFacts) -> Any:
        found = application(facts)
        return system(facts) if found is UNDEFINED else found

    return _Typed(Kind.STRING, evaluate)


def _body_value(path: body.JsonPath) -> _Typed:
    def evaluate(facts: MessageFacts) -> QueryValue:
        document = facts.document()
        if document is None:
            return QUERY_UNDEFINED
        found = body.select(document, path)
        return QUERY_UNDEFINED if found.kind is QueryKind.OBJECT else found

    return _Typed(Kind.QUERY, evaluate)


def _shadowed(name: str, value: _Typed) -> _Typed:
    """`$body.x`: an application property of that very name comes before the body."""
    application, to_query = _property(name).evaluate, TO_QUERY[Kind.STRING]

    def evaluate(facts: MessageFacts) -> Any:
        found = application(facts)
        return value.evaluate(facts) if found is UNDEFINED else to_query(found)

    return _Typed(Kind.QUERY, evaluate)


def _call_by_kind(function: ByKind, argument: _Typed) -> _Typed:
    run, inner = function.runs[argument.kind], argument.evaluate
    return _Typed(function.gives, lambda facts: run(inner(facts)))


def _call(signature: Signature, arguments: list[_Typed]) -> _Typed:
    run, nothing = signature.run, NOTHING[signature.gives]
    wanted = signature.wanted(len(arguments))
    parts = [
        (argument.evaluate, defined_argument(argument.kind, want))
        for argument, want in zip(arguments, wanted, strict=True)
    ]

    def evaluate(facts: MessageFacts) -> Any:
        values = []
        for inner, defined in parts:
            value = defined(inner(facts))
            if value is UNDEFINED:
                return nothing
            values.append(value)
        return run(*values)

    return _Typed(signature.gives, evaluate)
