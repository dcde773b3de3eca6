r"""The words of IoT Hub's query language.

Source: learn.microsoft.com/azure/iot-hub/iot-hub-devguide-query-language, "Expressions and
conditions": strings in either quote with `\'`, `\"`, `\\` and `\uXXXX` (and a doubled single
quote, as target conditions write it), decimal and hexadecimal numbers, names that need `[[ ]]` when
they hold more than letters, digits, `_` and `$`.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from taktgate.standin.azure.errors import QuerySyntaxError

MAX_QUERY_CHARACTERS = 8192
_NAME = r"(?:(?:[^\W\d]|\$)[\w$]*|\[\[[^\[\]]+\]\])"
_TOKEN = re.compile(
    rf"""
        (?P<gap>(?:\s|/\*.*?\*/)+)
      | (?P<text>'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<number>0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<operator><=|>=|<>|!=|[=<>(),*+\-/%]|\[(?!\[)|\])
      | (?P<name>{_NAME}(?:\.{_NAME})*)
    """,
    re.VERBOSE | re.DOTALL,
)
_PART = re.compile(_NAME)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))|''", re.DOTALL)


class Kind(StrEnum):
    """What a token is."""

    TEXT = "text"
    NUMBER = "number"
    OPERATOR = "operator"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a query and where it starts (0 = first character)."""

    kind: Kind
    text: str
    position: int


def refusal(reason: str, position: int, query: str) -> QuerySyntaxError:
    """Return the error that names the place in *query* where the parser gave up."""
    return QuerySyntaxError(f"{reason} at character {position} of {query!r}")


def tokenize(query: str) -> list[Token]:
    """Cut *query* into its words.

    Raises:
        QuerySyntaxError: A character begins no word, or the query is too long.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        # learn.microsoft.com/azure/iot-hub/query-twins, "Twin query limitations"
        raise refusal(
            f"rule: at most {MAX_QUERY_CHARACTERS} characters", MAX_QUERY_CHARACTERS, query[:80]
        )
    tokens, position = [], 0
    while position < len(query):
        found = _TOKEN.match(query, position)
        if found is None or found.lastgroup is None:
            raise refusal(f"unexpected {query[position]!r}", position, query)
        if found.lastgroup != "gap":
            tokens.append(Token(Kind(found.lastgroup), found[0], position))
        position = found.end()
    return tokens


def text_of(token: Token) -> str:
    """Return the string that a text token stands for."""
    return _ESCAPE.sub(_unescaped, token.text[1:-1])


def number_of(token: Token) -> int | float:
    """Return the number that a number token stands for."""
    text = token.text
    if text[:2].lower() == "0x":
        return int(text, 16)
    return int(text) if text.isdecimal() and len(text) < 100 else float(text)


def parts_of(name: str) -> list[str]:
    """Return the parts of a dotted name, without the brackets of escaped ones."""
    parts = _PART.findall(name)
    return [part[2:-2] if part.startswith("[[") else part for part in parts]


def _unescaped(found: re.Match[str]) -> str:
    if found[0] == "''":
        return "'"
    if found[1] is not None:
        return chr(int(found[1], 16))
    return str(found[2])
