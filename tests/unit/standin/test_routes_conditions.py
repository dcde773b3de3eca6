"""What conditions of routes mean: names, kinds, three-valued logic, functions and bodies."""

import json

import pytest

from taktgate.standin.azure.edgehub.routes import dotnet
from taktgate.standin.azure.edgehub.routes.conditions import MessageFacts, compile_condition
from taktgate.standin.azure.edgehub.routes.functions import FUNCTIONS
from taktgate.standin.azure.errors import RouteSyntaxError

BODY = {
    "temp": 21.5,
    "zero": 0,
    "on": True,
    "off": False,
    "name": "ä",
    "nothing": None,
    "time": "2026-11-22T10:00:00Z",
    "deep": {"list": [1, {"x": "y"}], "one": {"leaf": 7}},
    "Temp": "other",
}
FACTS = MessageFacts(
    properties={
        "kind": "part",
        "line-no": "3",
        "$own": "mine",
        "$body.name": "property",
        "null": None,
        "empty": None,
        "smile": "a😀b",
    },
    system={
        "contentType": "Application/JSON",
        "contentEncoding": "UTF-8",
        "own": "system",
        "body": "not the body",
    },
    body=json.dumps(BODY).encode(),
)


def value(condition: str, facts: MessageFacts = FACTS) -> str:
    return compile_condition(condition).evaluate(facts).value


@pytest.mark.azure(
    "routes",
    "A name is an application property, $name that or a system property, {$name} a system property",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-routing-query-syntax",
)
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("KIND = 'part'", "True"),
        ("line-no = '3'", "True"),
        ("own = 'mine'", "Undefined"),
        ("$own = 'mine'", "True"),
        ("{$own} = 'system'", "True"),
        ("{ $OWN } = 'system'", "True"),
        ("$missing = 'x'", "Undefined"),
        ("$body = 'not the body'", "True"),
    ],
)
def test_name_finds_its_property(condition: str, expected: str) -> None:
    assert value(condition) == expected


@pytest.mark.azure(
    "routes",
    "The longest match makes the token: 3+4 and -x are names, true is lower case only",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/"
    "grammar/GrammarLexer.g4",
)
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("is_string(3+4)", "False"),
        ("is_defined(-kind)", "False"),
        ("- 3 = -3", "True"),
        ("TRUE", "Undefined"),
        ("is_defined(True)", "False"),
        ("kind!='part'", "Undefined"),
        ("kind != 'part'", "False"),
        ("1/2=0.5", "True"),
        ("/* a comment */ true", "True"),
        ("0x10 = 16 and 0XfF = 255", "True"),
        ("0xFFFFFFFFFFFFFFFF = -1", "True"),
        ("0x10000000000000000", "Undefined"),
        (".5 = 5e-1 and -1.5E+1 = -15", "True"),
        ("e5", "Undefined"),
        (r"""'it\'s \u0041' = "it's A" """, "True"),
        (r"""'say "x"' = "say \"x\"" """, "True"),
    ],
)
def test_longest_match_makes_the_token(condition: str, expected: str) -> None:
    assert value(condition) == expected


@pytest.mark.parametrize(
    "condition",
    [
        "a == b",
        "a = ",
        "'open",
        r"'bad \x escape' = 'x'",
        "a b",
        "3 -4",
        "(true",
        "true)",
        "select = 'x'",
        "kind[0] = 'x'",
        "unknown('x')",
        "-abs(3) = 3",
        "twin_change_includes(tags.x)",
        "{kind} = 'x'",
        "$body. = 1",
        "$body.a[x] = 1",
        "$body.a[0][1] = 1",
        "$body.1 = 1",
        "$body.a..b = 1",
    ],
)
def test_what_is_no_condition_is_refused(condition: str) -> None:
    with pytest.raises(RouteSyntaxError):
        compile_condition(condition)


@pytest.mark.azure(
    "routes",
    "NOT and minus bind tighter than all other operators, which group to the left",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/"
    "grammar/Condition.g4",
)
@pytest.mark.parametrize(
    "condition",
    [
        "not true = false",
        "not not true",
        "- 2 + 3 = 1",
        "2 + 3 * 4 = 14",
        "(2 + 3) * 4 = 20",
        "10 - 4 - 3 = 3",
        "8 / 4 / 2 = 1",
        "-7 % 3 = -1",
        "1 < 2 = true",
        "true or false and false",
        "'a' || 'b' = 'ab'",
        "(missing ?? empty ?? 'x') != 'x' or is_null(missing ?? empty)",
    ],
)
def test_operators_bind_as_in_the_grammar(condition: str) -> None:
    assert value(condition) == "True"


@pytest.mark.azure(
    "routes",
    "AND, OR and NOT know true, false and undefined",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/query/Bool.cs",
)
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("missing = 'x' or true", "True"),
        ("missing = 'x' or false", "Undefined"),
        ("missing = 'x' and false", "False"),
        ("undefined and true", "Undefined"),
        ("not (missing = 'x')", "Undefined"),
        ("not null", "True"),
        ("null", "False"),
        ("null and true", "False"),
        ("null or true", "True"),
        ("(null and true) = null", "True"),
        ("(missing = 'x') = (missing = 'x')", "Undefined"),
        ("true > false", "True"),
        ("empty = 'x'", "Undefined"),
        ("null <= null", "True"),
        ("3", "Undefined"),
        ("'true'", "Undefined"),
    ],
)
def test_logic_has_three_values(condition: str, expected: str) -> None:
    assert value(condition) == expected


@pytest.mark.azure(
    "routes",
    "Operands whose kinds do not fit are refused when the route is compiled",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/"
    "query/ConditionVisitor.cs",
)
@pytest.mark.parametrize(
    "condition",
    [
        "temp > 100",
        "kind = null",
        "kind = true",
        "3 + null = 3",
        "undefined = 3",
        "not undefined",
        "not kind",
        "- kind = 3",
        "kind and true",
        "null and undefined",
        "undefined or null",
        "undefined ?? 3",
        "kind ?? 3",
        "1 < 2 < 3",
        "'a' + 'b' = 'ab'",
        "'a' || 1 = 'a1'",
        "$body.temp % 2 = 0",
        "- $body.temp = 1",
        "$body.temp = undefined",
        "true and $body.on",
        "$body.on and null",
        "$list[0] = 1",
        "length($body.name, 1) = 1",
    ],
)
def test_kinds_that_do_not_fit_are_refused(condition: str) -> None:
    with pytest.raises(RouteSyntaxError, match=r"does not take|cannot compare"):
        compile_condition(condition)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_refuses_a_wrong_number_of_arguments(name: str) -> None:
    with pytest.raises(RouteSyntaxError, match=f"function {name} does not take"):
        compile_condition(f"{name.upper()}()")


@pytest.mark.azure(
    "routes",
    "Functions count and order texts in UTF-16 units and letters by the invariant culture",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/"
    "query/builtins/Length.cs",
)
@pytest.mark.parametrize(
    "condition",
    [
        "length(smile) = 4",
        "substring(smile, 3) = 'b'",
        "index_of(smile, 'b') = 3",
        "index_of(kind, 'x') = -1",
        "upper('straße') = 'STRAßE'",
        "lower('ÄΣ') = 'äσ'",
        "upper('ᾳıǰ') = 'ᾼıǰ'",
        "'\uffff' > '\U0001f600'",
        "concat('a', kind, empty) = 'apart'",
        "starts_with(kind, '') and ends_with(kind, 'rt') and contains(kind, 'ar')",
        "substring(kind, 1, 2) = 'ar'",
        "substring(kind, 4) = ''",
        "not is_defined(substring(kind, 4, 0))",
        "not is_defined(length(empty))",
        "is_null(empty) and not is_null(missing)",
        "not is_string(empty)",
    ],
)
def test_texts_are_texts_of_dotnet(condition: str) -> None:
    assert value(condition) == "True"


@pytest.mark.azure(
    "routes",
    "Numbers are doubles: no error but infinities, and NaN is undefined",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/"
    "query/Undefined.cs",
)
@pytest.mark.parametrize(
    "condition",
    [
        "1 / 0 > power(10, 300)",
        "-1 / 0 = power(0, -1) * -1",
        "1 / -0 = -1 / 0",
        "not is_defined(0 / 0)",
        "not is_defined(power(-8, 0.5))",
        "power(-10, 401) = -1 / 0",
        "exp(1000) = 1 / 0",
        "square(1e200) = 1 / 0",
        "abs(-3) + ceiling(0.2) + floor(-0.2) + sign(-9) + sqrt(9) = 5",
        "floor(1 / 0) = ceiling(1 / 0)",
        "not is_number(1 / 0) and is_number(as_number(line-no))",
        "as_number(line-no) + 1 = 4",
        "not is_defined(as_number(kind))",
    ],
)
def test_numbers_are_doubles(condition: str) -> None:
    assert value(condition) == "True"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,000.5", 1000.5),
        ("(3)", -3.0),
        (" 3- ", -3.0),
        ("+.5e1", 5.0),
        ("¤ 7", 7.0),
        ("1e400", float("inf")),
        ("-INFINITY", float("-inf")),
        ("3\0", 3.0),
    ],
)
def test_text_that_is_a_number_to_dotnet_is_a_number(text: str, number: float) -> None:
    assert dotnet.parse_number(text) == number


@pytest.mark.parametrize(
    "text", ["", " ", "- 3", "(3", "(-3)", "-3-", "0x10", "1_0", ",1", "٣", "."]
)
def test_text_that_is_no_number_to_dotnet_is_none(text: str) -> None:
    assert str(dotnet.parse_number(text)) == "nan"


@pytest.mark.azure(
    "routes",
    "$body reads the JSON body: a path to nowhere is null, one to an object or a date undefined",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/"
    "query/builtins/BodyQuery.cs",
)
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("$body.temp > 21 and 22 >= $body.temp", "True"),
        ("$BODY.temp * 2 + 1 = 44", "True"),
        ("$body.Temp = 'other'", "True"),
        ("$body.temp = '21.5'", "False"),
        ("$body.temp < 'text'", "True"),
        ("$body.deep.list[0] = 1", "True"),
        ("$body.deep.list[1].x = 'y'", "True"),
        ("$body.deep.list[2] = null", "True"),
        ("$body.deep.one.* = 7", "True"),
        ("$body.$.deep.one.leaf = 7", "True"),
        ("$body.deep = 1", "Undefined"),
        ("$body.time = '2026-11-22T10:00:00Z'", "Undefined"),
        ("$body.missing = null and $body.nothing = null", "True"),
        ("$body.missing != 3", "True"),
        ("$body.on", "True"),
        ("not $body.off", "True"),
        ("$body.on and true", "True"),
        ("$body.off and undefined", "Undefined"),
        ("$body.temp", "Undefined"),
        ("$body.name = 'property'", "True"),
        ("{$body.name} = 'ä'", "True"),
        ("length({$body.name}) = 1", "True"),
        ("($body.deep ?? 5) = 5", "True"),
        ("as_number($body.temp) = 21.5 and abs($body.temp) = 21.5", "True"),
        ("is_defined(abs($body.Temp))", "False"),
        ("is_number($body.temp) and is_string($body.Temp) and is_bool($body.on)", "True"),
        ("is_defined($body.missing) and not is_defined($body.deep)", "True"),
        ("is_defined($body.zero / $body.zero)", "True"),
    ],
)
def test_body_query_has_edgehubs_value(condition: str, expected: str) -> None:
    assert value(condition) == expected


@pytest.mark.azure(
    "routes",
    "is_null of a body value is false only where the path leads nowhere (Microsoft's slip)",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/"
    "query/builtins/IsNull.cs",
)
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("is_null($body.missing)", "False"),
        ("is_null($body.nothing)", "True"),
        ("is_null($body.temp)", "True"),
        ("is_null($body.deep)", "Undefined"),
    ],
)
def test_is_null_of_a_body_value_is_microsofts(condition: str, expected: str) -> None:
    assert value(condition) == expected


@pytest.mark.azure(
    "routes",
    "$body needs application/json and utf-8, utf-16 or utf-32; anything else is undefined",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-routing-query-syntax",
)
@pytest.mark.parametrize(
    ("content_type", "encoding", "body", "expected"),
    [
        ("application/json", "utf-8", b'{"a": 1}', "True"),
        ("application/json", "utf-16", '{"a": 1}'.encode("utf-16-le"), "True"),
        ("application/json", "utf-32", '{"a": 1}'.encode("utf-32-le"), "True"),
        ("application/json; charset=utf-8", "utf-8", b'{"a": 1}', "Undefined"),
        ("text/plain", "utf-8", b'{"a": 1}', "Undefined"),
        ("application/json", "latin-1", b'{"a": 1}', "Undefined"),
        ("application/json", None, b'{"a": 1}', "Undefined"),
        (None, "utf-8", b'{"a": 1}', "Undefined"),
        ("application/json", "utf-8", b"[1]", "Undefined"),
        ("application/json", "utf-8", b"", "Undefined"),
        ("application/json", "utf-8", b"{" * 100_000, "Undefined"),
        ("application/json", "utf-8", b'{"a":' * 100_000, "Undefined"),
    ],
)
def test_body_needs_type_and_encoding(
    content_type: str | None, encoding: str | None, body: bytes, expected: str
) -> None:
    system = {"contentType": content_type, "contentEncoding": encoding}
    assert value("$body.a = 1", MessageFacts(system=system, body=body)) == expected


@pytest.mark.azure(
    "routes",
    "twin_change_includes tells whether a twin change names a property, be it to null",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/"
    "query/builtins/TwinChangeIncludes.cs",
)
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("properties.reported.model", "True"),
        ("Properties.reported.model", "False"),
        ("properties.reported.model.version", "True"),
        ("properties.reported.gone", "True"),
        ("properties.reported.other", "False"),
        ("tags.ring", "False"),
    ],
)
def test_twin_change_includes_finds_a_path(path: str, expected: str) -> None:
    change = {"properties": {"reported": {"model": {"version": "1"}, "gone": None}}}
    facts = MessageFacts(
        system={"contentType": "application/json", "contentEncoding": "utf-8"},
        body=json.dumps(change).encode(),
    )
    condition = compile_condition(f"twin_change_includes({path})", takes_twin_changes=True)
    assert condition.evaluate(facts).value == expected


@pytest.mark.parametrize("path", ["", "reported.x", "tags.", "'tags.x'", "tags.a, tags.b"])
def test_twin_change_includes_refuses_other_paths(path: str) -> None:
    with pytest.raises(RouteSyntaxError):
        compile_condition(f"twin_change_includes({path})", takes_twin_changes=True)
