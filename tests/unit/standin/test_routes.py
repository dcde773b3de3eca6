"""edgeHub's route language, held against Microsoft's own cases where they are at hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from taktgate.standin.azure.edgehub.routes.conditions import MessageFacts, compile_condition
from taktgate.standin.azure.edgehub.routes.language import (
    DEFAULT_PRIORITY,
    Endpoint,
    compile_route,
    compile_routes,
    module_source,
    source_matches,
)
from taktgate.standin.azure.errors import RouteSyntaxError

CONFORMANCE = Path(__file__).parents[4] / "shared" / "conformance" / "edgehub_cases.json"
SENDERS = {
    "telemetry": "/messages/",
    "twin change": "/twinChangeNotifications/",
    "module ModId1 output Op1": module_source("ModId1", "Op1"),
}
FACTS = MessageFacts(
    properties={"kind": "part", "line-no": "3", "$own": "mine"},
    system={"connectionModuleId": "judge", "own": "system"},
)


def conformance_cases(section: str) -> list[Any]:
    if not CONFORMANCE.exists():
        return []
    return list(json.loads(CONFORMANCE.read_text())[section])


def test_route_is_taken_apart() -> None:
    route = compile_route(
        "select * from /messages/modules/judge/outputs/verdicts "
        "where kind = 'INTO' into brokeredendpoint('/modules/writer/inputs/verdicts')"
    )
    assert route.source == "/messages/modules/judge/outputs/verdicts"
    assert route.endpoint == Endpoint(module="writer", input="verdicts")
    assert not route.takes(route.source, FACTS)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("kind = 'part'", "True"),
        ('kind <> "part"', "False"),
        ("KIND = 'part' AND line-no = '3'", "True"),
        ("missing = 'x'", "Undefined"),
        ("NOT (missing = 'x')", "Undefined"),
        ("missing = 'x' OR kind = 'part'", "True"),
        ("missing = 'x' AND kind = 'other'", "False"),
        ("missing = 'x' AND kind = 'part'", "Undefined"),
        ("(1 < 2 or 2 < 1) and not false", "True"),
        ("0x10 = 16 and -1 < 0", "True"),
        ("$connectionModuleId = 'judge'", "True"),
        ("$own = 'mine'", "True"),
        ("{$own} = 'system'", "True"),
    ],
)
def test_condition_has_three_values(condition: str, expected: str) -> None:
    assert compile_condition(condition, route=condition).evaluate(FACTS).value == expected


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ("", "expected SELECT or FROM"),
        ("FROM /a", "expected INTO"),
        ("FROM /a INTO $up", r"expected \$upstream"),
        ("FROM /a x INTO $upstream", "expected WHERE or INTO"),
        ("FROM /a WHERE INTO $upstream", "ends too early"),
        ("FROM /a WHERE temp > 100 INTO $upstream", "cannot compare text with number"),
        ("FROM /a WHERE a = 'x' b INTO $upstream", "unexpected 'b'"),
        ("FROM /a WHERE as_number(a) = 1 INTO $upstream", "'as_number' is not supported"),
        ("FROM /a WHERE $body.x = 1 INTO $upstream", r"\$body queries are not supported"),
        ("FROM /a WHERE a + 'x' = 'y' INTO $upstream", r"unexpected '\+'"),
        ("FROM /a INTO BrokeredEndpoint('/modules/m/inputs')", "rule: /modules/m/inputs/i"),
    ],
)
def test_wrong_route_is_refused_with_reason_and_place(route: str, reason: str) -> None:
    with pytest.raises(RouteSyntaxError, match=reason):
        compile_route(route)


@pytest.mark.parametrize(
    "entry",
    [
        {"route": "FROM /a INTO $upstream", "priority": 10},
        {"route": "FROM /a INTO $upstream", "timeToLiveSecs": -1},
        {"route": "FROM /a INTO $upstream", "ttl": 1},
        {"priority": 1},
        7,
    ],
)
def test_wrong_route_entry_refuses_all(entry: object) -> None:
    with pytest.raises(RouteSyntaxError):
        compile_routes({"good": "FROM /a INTO $upstream", "bad": entry})


def test_endpoint_gets_a_message_once_at_the_best_priority() -> None:
    sink = "INTO BrokeredEndpoint('/modules/m/inputs/i')"
    routes = compile_routes(
        {
            "default": f"FROM /messages/* {sink}",
            "best": {"route": f"FROM /messages/modules/a/* {sink}", "priority": 1},
            "other": {"route": f"FROM /messages/modules/b/* {sink}", "priority": 0},
            "cloud": "FROM /messages/* INTO $upstream",
        }
    )
    selected = routes.select(module_source("a", "out"), FACTS)
    assert [(route.name, route.priority) for route in selected] == [
        ("best", 1),
        ("cloud", DEFAULT_PRIORITY),
    ]


@pytest.mark.parametrize("case", conformance_cases("source_match"), ids=str)
def test_source_matches_as_in_microsofts_tests(case: dict[str, Any]) -> None:
    assert source_matches(case["pattern"], SENDERS[case["sender"]]) == case["matches"]


@pytest.mark.parametrize("route", conformance_cases("route_must_not_compile"))
def test_route_that_microsoft_refuses_is_refused(route: str) -> None:
    with pytest.raises(RouteSyntaxError):
        compile_route(route)


@pytest.mark.parametrize("condition", conformance_cases("condition_must_not_compile"))
def test_condition_that_microsoft_refuses_is_refused(condition: str) -> None:
    with pytest.raises(RouteSyntaxError):
        compile_condition(condition, route=condition)


@pytest.mark.parametrize("case", conformance_cases("condition_result"), ids=str)
def test_condition_has_microsofts_value_or_is_refused(case: dict[str, str]) -> None:
    try:
        condition = compile_condition(case["condition"], route=case["condition"])
    except RouteSyntaxError:
        return  # not supported yet, which is said and not guessed
    facts = json.loads(CONFORMANCE.read_text())["message"]
    value = condition.evaluate(
        MessageFacts(properties=facts["application_properties"], system=facts["system_properties"])
    )
    assert value.value == case["expected"]
