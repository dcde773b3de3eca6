"""What holds for every text and every message: no crash, no hang, and the algebra of conditions."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taktgate.standin.azure.edgehub.routes import dotnet
from taktgate.standin.azure.edgehub.routes.conditions import MessageFacts, compile_condition
from taktgate.standin.azure.edgehub.routes.functions import FUNCTIONS
from taktgate.standin.azure.edgehub.routes.language import Routes, compile_route, compile_routes
from taktgate.standin.azure.edgehub.routes.lexer import TokenStream
from taktgate.standin.azure.edgehub.routes.operators import BINARY
from taktgate.standin.azure.errors import RouteSyntaxError

ATOMS = ["a", "$a", "{$a}", "$body.a", "{$body.a}", "'x'", "''", "0", "-1", "2.5", "0x1F", "true"]
ATOMS += ["false", "null", "undefined", "missing", "1e400", "a = 'x'", "missing = 'x'"]
PIECES = [*ATOMS, *BINARY, *FUNCTIONS, "not", "-", "(", ")", ",", "/", "*", " ", "\\", '"', "'"]
PIECES += [
    "FROM",
    "WHERE",
    "INTO",
    "SELECT",
    "$upstream",
    "/messages/*",
    "/*",
    "*/",
    "[",
    "]",
    "\0",
]

names = st.sampled_from(["a", "A", "$a", "$body.a", "contentType", "contentEncoding"])
texts = st.none() | st.sampled_from(["x", "3", "application/json", "utf-8", "utf-16"]) | st.text()
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)
bodies = st.binary(max_size=20) | st.builds(
    lambda value: json.dumps({"a": value}).encode(), json_values
)
json_system = {"contentType": "application/json", "contentEncoding": "utf-8"}
messages = st.builds(
    MessageFacts,
    properties=st.dictionaries(names, texts, max_size=3),
    system=st.dictionaries(names, texts, max_size=3).map(lambda given: {**given, **json_system}),
    body=bodies,
)


def _operations(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.builds("({} {} {})".format, inner, st.sampled_from(sorted(BINARY)), inner)
        | st.builds("({} {})".format, st.sampled_from(["not", "-"]), inner)
        | st.builds(
            lambda name, arguments: f"{name}({', '.join(arguments)})",
            st.sampled_from(sorted(FUNCTIONS)),
            st.lists(inner, max_size=3),
        )
    )


expressions = st.recursive(st.sampled_from(ATOMS), _operations, max_leaves=6)
logic = st.sampled_from(["true", "false", "(missing = 'x')", "(a = 'x')", "undefined"])


def run(condition: str, facts: MessageFacts) -> str:
    return compile_condition(condition).evaluate(facts).value


@given(st.text() | st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
@example("/*" * 2_000)
@example('"\\' * 2_000)
@example("(" * 2_000)
@example("not " * 500)
@example("abs(" * 500)
@example("1 ?? 1 or 1 and 1 = 1 < 1 + 1 * (" * 100)
def test_any_text_compiles_or_is_refused(text: str) -> None:
    for route in (text, f"FROM /messages/* WHERE {text} INTO $upstream"):
        with suppress(RouteSyntaxError):
            compile_route(route)


@given(st.text())
@example("a/* b */c")
def test_tokens_cover_the_text_but_for_space_and_comments(text: str) -> None:
    stream, position = TokenStream(text), 0
    while (token := stream.take()).text:
        assert text[token.position :].startswith(token.text)
        assert token.position >= position
        between = text[position : token.position]
        assert not between.strip(" \t\r\n") or "/*" in between
        position = token.position + len(token.text)


@given(expressions, messages)
def test_what_compiles_runs_on_every_message(expression: str, facts: MessageFacts) -> None:
    try:
        condition = compile_condition(expression)
    except RouteSyntaxError:
        return
    assert condition.evaluate(facts).value in ("True", "False", "Undefined")


@pytest.mark.parametrize("link", ["and true", "or false", "+ 1 > 0 and true"])
def test_a_chain_of_any_length_that_fits_a_twin_runs(link: str) -> None:
    start = "1" if link.startswith("+") else "true"
    count = 1 if link.startswith("+") else 2_000
    assert run(start + f" {link}" * count, MessageFacts()) == "True"


def test_a_long_sum_runs() -> None:
    assert run("0" + " + 1" * 5_000 + " = 5000", MessageFacts()) == "True"


@pytest.mark.parametrize("depth", [1, 90])
@pytest.mark.parametrize(("before", "after"), [("(", ")"), ("not ", ""), ("lower(", ")")])
def test_nesting_up_to_the_stated_bound_runs(before: str, after: str, depth: int) -> None:
    inner = "'x'" if before == "lower(" else "(1 = 1)"
    truth = "Undefined" if before == "lower(" else "True"
    assert (
        run(before * 2 * (depth // 2) + inner + after * 2 * (depth // 2), MessageFacts()) == truth
    )


@given(logic, messages)
def test_not_twice_is_the_condition_itself(condition: str, facts: MessageFacts) -> None:
    if condition != "undefined":  # NOT does not take it
        assert run(f"not not {condition}", facts) == run(condition, facts)


@given(logic, logic, messages)
def test_and_is_or_of_the_opposites(left: str, right: str, facts: MessageFacts) -> None:
    if "undefined" not in (left, right):
        opposites = f"not (not {left} or not {right})"
        assert run(f"{left} and {right}", facts) == run(opposites, facts)


@given(logic, logic, logic, messages)
def test_and_and_or_have_no_order_and_no_grouping(
    a: str, b: str, c: str, facts: MessageFacts
) -> None:
    for word in ("and", "or"):
        assert run(f"{a} {word} {b}", facts) == run(f"{b} {word} {a}", facts)
        assert run(f"({a} {word} {b}) {word} {c}", facts) == run(
            f"{a} {word} ({b} {word} {c})", facts
        )


@given(st.text(), st.text())
def test_texts_compare_as_their_utf16_units(left: str, right: str) -> None:
    facts = MessageFacts(properties={"left": left, "right": right})
    units = [text.encode("utf-16-be", "surrogatepass") for text in (left, right)]
    assert run("left < right", facts) == str(units[0] < units[1])
    assert run("left = right", facts) == str(units[0] == units[1])
    assert run(f"length(left) = {len(units[0]) // 2}", facts) == "True"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_that_is_written_is_read_again(number: float) -> None:
    assert dotnet.parse_number(repr(number)) == number


@given(st.text(alphabet="0123456789.,-+()¤ eE\0\tinfa"))
def test_any_text_is_a_number_or_none(text: str) -> None:
    assert isinstance(dotnet.parse_number(text), float)


@given(st.dictionaries(st.text(), json_values | st.just("FROM /* INTO $upstream"), max_size=3))
def test_any_routes_object_compiles_whole_or_is_refused(routes: dict[str, Any]) -> None:
    try:
        compiled = compile_routes(routes)
    except RouteSyntaxError:
        return
    assert isinstance(compiled, Routes)
    assert len(compiled.routes) == len(routes)
