"""edgeHub's routes: Microsoft's own cases, the text around the condition, which one is taken."""

import json
from pathlib import Path
from typing import Any

import pytest

from taktgate.standin.azure.edgehub.routes.conditions import MessageFacts, compile_condition
from taktgate.standin.azure.edgehub.routes.language import (
    DEFAULT_PRIORITY,
    DEVICE_MESSAGES,
    TWIN_CHANGES,
    Endpoint,
    compile_route,
    compile_routes,
    module_source,
)
from taktgate.standin.azure.errors import RouteSyntaxError

CASES = json.loads((Path(__file__).parents[2] / "data" / "edgehub_cases.json").read_text())
SENDERS = {
    "telemetry": DEVICE_MESSAGES,
    "twin change": TWIN_CHANGES,
    "module ModId1 output Op1": module_source("ModId1", "Op1"),
}
CASE_FACTS = MessageFacts(
    properties=CASES["message"]["application_properties"],
    system=CASES["message"]["system_properties"],
)
SINK = "INTO BrokeredEndpoint('/modules/m/inputs/i')"


@pytest.mark.azure(
    "routes",
    "Microsoft's sample of conditions has the values of Microsoft's own tests",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/"
    "query/ConditionVisitor.cs",
)
@pytest.mark.parametrize("case", CASES["condition_result"], ids=lambda case: case["condition"])
def test_condition_has_microsofts_value(case: dict[str, str]) -> None:
    assert compile_condition(case["condition"]).evaluate(CASE_FACTS).value == case["expected"]


@pytest.mark.azure(
    "routes",
    "Conditions that Microsoft's tests refuse are refused when they are compiled",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/"
    "query/ErrorListener.cs",
)
@pytest.mark.parametrize("condition", CASES["condition_must_not_compile"])
def test_condition_that_microsoft_refuses_is_refused(condition: str) -> None:
    with pytest.raises(RouteSyntaxError):
        compile_route(f"FROM /messages/* WHERE {condition} INTO $upstream")


@pytest.mark.parametrize("route", CASES["route_must_not_compile"])
def test_route_that_microsoft_refuses_is_refused(route: str) -> None:
    with pytest.raises(RouteSyntaxError):
        compile_route(route)


@pytest.mark.azure(
    "routes",
    "FROM takes a source by its beginning, in whole path parts and in any case",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/"
    "messageSources/BaseMessageSource.cs",
)
@pytest.mark.parametrize(
    "case", CASES["source_match"], ids=lambda case: f"{case['pattern']} {case['sender']}"
)
def test_from_takes_the_sources_that_microsofts_takes(case: dict[str, Any]) -> None:
    route = compile_route(f"FROM {case['pattern']} INTO $upstream")
    assert route.takes_source(SENDERS[case["sender"]]) == case["matches"]


@pytest.mark.parametrize(
    ("pattern", "is_taken"),
    [
        ("/MESSAGES/modules/modid1/*", True),
        ("/messages/modules/ModId1/**", True),
        ("/messages/modules/Mod*", False),
        ("/messages/modules/*/outputs/*", False),
        ("/messages/*/*", False),
    ],
)
def test_star_counts_only_at_the_end(pattern: str, is_taken: bool) -> None:
    route = compile_route(f"FROM {pattern} INTO $upstream")
    assert route.takes_source(module_source("ModId1", "Op1")) == is_taken


def test_route_is_taken_apart() -> None:
    route = compile_route(
        "select * from /messages/modules/judge/outputs/verdicts "
        "where kind = 'INTO' into brokeredendpoint('/modules/writer/inputs/verdicts')"
    )
    assert route.source == "/messages/modules/judge/outputs/verdicts"
    assert route.endpoint == Endpoint(module="writer", input="verdicts")
    assert route.takes(route.source, MessageFacts(properties={"kind": "INTO"}))
    assert not route.takes(route.source, MessageFacts())


@pytest.mark.azure(
    "routes",
    "An endpoint's address has four parts; only the second and the fourth are looked at",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/"
    "routing/EndpointFactory.cs",
)
@pytest.mark.parametrize(
    "address", ["/modules/m/inputs/i", "modules/m/inputs/i/", " /modules/m/inputs/i ", "a/m/b/i"]
)
def test_address_needs_four_parts(address: str) -> None:
    route = compile_route(f'FROM /messages/* INTO BROKEREDENDPOINT("{address}")')
    assert route.endpoint == Endpoint(module="m", input="i")


@pytest.mark.azure(
    "routes",
    "What follows the sink is passed over",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/grammar/Route.g4",
)
def test_text_after_the_sink_is_passed_over() -> None:
    assert compile_route("FROM /* INTO $upstream and more").endpoint == Endpoint()


@pytest.mark.azure(
    "routes",
    "A comment may stand wherever a space may; /* in a source opens one if */ follows",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/"
    "grammar/GrammarLexer.g4",
)
def test_comment_is_passed_over() -> None:
    assert compile_route("FROM /a /* all of it */ INTO $upstream").source == "/a"
    with pytest.raises(RouteSyntaxError):
        compile_route("FROM /*/a/*/b INTO $upstream")


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ("", "expected SELECT or FROM at character 0"),
        ("SELECT * INTO $upstream", "expected FROM at character 9"),
        ("FROM /a", "expected WHERE or INTO at character 7"),
        ("FROM /a/ INTO $upstream", "expected a name or . after / at character 9"),
        ("FROM /a/true INTO $upstream", "expected a name or . after / at character 8"),
        ("FROM a INTO $upstream", "expected a source such as /messages/. at character 5"),
        ("FROM /a INTO $up", r"expected \$upstream or Brokered\S+ at character 13"),
        ("FROM /a x INTO $upstream", "expected WHERE or INTO at character 8"),
        ("FROM /a WHERE INTO $upstream", "unexpected 'INTO' at character 14"),
        ("FROM /a WHERE a = 'x' b INTO $upstream", "expected an operator or INTO, not 'b'"),
        ("FROM /a WHERE temp > 100 INTO $upstream", "as_number makes it a number"),
        ("FROM /a INTO BrokeredEndpoint('/modules/m/inputs')", "rule: /modules/m/inputs/i"),
        ("FROM /a INTO BrokeredEndpoint('/modules/m/inputs/i/j')", "rule: /modules/m/inputs/i"),
        ("FROM /a INTO Other('/modules/m/inputs/i')", "expected .upstream"),
        ("FROM /a WHERE " + "(" * 200 + "1 INTO $upstream", "nested too deep; rule: 100 at most"),
        ("FROM /" + "a" * 40_000, "40006 characters; rule: 32768 at most"),
    ],
)
def test_wrong_route_is_refused_with_reason_and_place(route: str, reason: str) -> None:
    with pytest.raises(RouteSyntaxError, match=reason) as refusal:
        compile_route(route)
    assert refusal.value.route == route


@pytest.mark.azure(
    "routes",
    "One bad route refuses the whole configuration",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/"
    "config/EdgeHubConfigParser.cs",
)
@pytest.mark.parametrize(
    "entry",
    [
        {"route": "FROM /a INTO $upstream", "priority": 10},
        {"route": "FROM /a INTO $upstream", "priority": -1},
        {"route": "FROM /a INTO $upstream", "timeToLiveSecs": -1},
        {"route": "FROM /a INTO $upstream", "timeToLiveSecs": 2**32},
        {"priority": 1},
        "FROM /a",
        None,
        7,
    ],
)
def test_wrong_route_entry_refuses_all(entry: object) -> None:
    with pytest.raises(RouteSyntaxError):
        compile_routes({"good": "FROM /a INTO $upstream", "bad": entry})


@pytest.mark.azure(
    "routes",
    "A route may be an object; fields that edgeHub does not know are passed over",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/"
    "config/RouteSpec.cs",
)
def test_route_may_be_an_object() -> None:
    text = "FROM /a INTO $upstream"
    (full, plain) = compile_routes(
        {
            "full": {"route": text, "priority": 0, "timeToLiveSecs": 60, "ttl": 1},
            "plain": {"route": text, "priority": DEFAULT_PRIORITY, "timeToLiveSecs": 0},
        }
    ).routes
    assert (full.priority, full.ttl_s) == (0, 60.0)
    assert (plain.priority, plain.ttl_s) == (DEFAULT_PRIORITY, None)


@pytest.mark.azure(
    "routes",
    "Several routes to one endpoint deliver a message once, at the best priority",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/Evaluator.cs",
)
def test_endpoint_gets_a_message_once_at_the_best_priority() -> None:
    routes = compile_routes(
        {
            "default": f"FROM /messages/* {SINK}",
            "best": {"route": f"FROM /messages/modules/a/* {SINK}", "priority": 1},
            "as good": {"route": f"FROM /messages/* {SINK}", "priority": 1},
            "other": {"route": f"FROM /messages/modules/b/* {SINK}", "priority": 0},
            "cloud": "FROM /messages/* INTO $upstream",
        }
    )
    selected = routes.select(module_source("a", "out"), MessageFacts())
    assert [(route.name, route.priority) for route in selected] == [
        ("best", 1),
        ("cloud", DEFAULT_PRIORITY),
    ]


@pytest.mark.azure(
    "routes",
    "Only a condition that is true lets a message pass",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/Evaluator.cs",
)
@pytest.mark.parametrize(
    ("condition", "is_taken"), [("true", True), ("false", False), ("missing = 'x'", False)]
)
def test_only_a_true_condition_lets_a_message_pass(condition: str, is_taken: bool) -> None:
    routes = compile_routes({"r": f"FROM /messages/* WHERE {condition} {SINK}"})
    assert bool(routes.select(DEVICE_MESSAGES, MessageFacts())) == is_taken
