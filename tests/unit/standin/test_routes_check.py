"""`taktgate world route-check`: lines in, lines out, and what a line may look like."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from taktgate.cli import main
from taktgate.standin.azure.world.route_check import EXIT_BAD_INPUT, EXIT_OK, answers

CASES = json.loads((Path(__file__).parents[2] / "data" / "edgehub_cases.json").read_text())
SENDERS = {
    "telemetry": "/messages",
    "twin change": "/twinChangeNotifications",
    "module ModId1 output Op1": "/messages/modules/ModId1/outputs/Op1",
}


def answer(**line: Any) -> dict[str, Any]:
    (given,) = answers([json.dumps(line).encode()])
    return given


def result(condition: str, **message: Any) -> str:
    route = f"FROM /* WHERE {condition} INTO $upstream"
    return str(answer(id=1, route=route, message=message)["result"])


def test_all_sample_cases_of_microsoft_are_answered_alike() -> None:
    lines: list[tuple[dict[str, Any], str]] = []
    for case in CASES["condition_result"]:
        route = f"FROM /messages WHERE {case['condition']} INTO $upstream"
        lines.append(({"route": route, "message": CASES["message"]}, case["expected"]))
    for condition in CASES["condition_must_not_compile"]:
        route = f"FROM /* WHERE {condition} INTO $upstream"
        lines.append(({"route": route, "message": CASES["message"]}, "CompileError"))
    for route in CASES["route_must_not_compile"]:
        lines.append(({"route": route}, "CompileError"))
    for case in CASES["source_match"]:
        line = {
            "route": f"FROM {case['pattern']} INTO $upstream",
            "message": {"source": SENDERS[case["sender"]]},
        }
        lines.append((line, "True" if case["matches"] else "NoSource"))
    got = answers(json.dumps({"id": i, **line}).encode() for i, (line, _) in enumerate(lines))
    wrong = [
        (lines[i], given)
        for i, given in enumerate(got)
        if (given["id"], given["result"]) != (i, lines[i][1])
    ]
    assert wrong == []


def test_every_line_is_answered_in_order_and_flushed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tmp_path / "routes.jsonl"
    lines.write_text(
        '{"id": 1, "route": "FROM /* INTO $upstream"}\n\n'
        '{"id": "b", "route": "FROM /a INTO $upstream"}\n'
        '{"id": null, "route": {"route": "FROM /*", "priority": 1}}\n'
    )
    assert main(["world", "route-check", "--file", str(lines)]) == EXIT_OK
    got = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert got[:2] == [{"id": 1, "result": "True"}, {"id": "b", "result": "NoSource"}]
    assert (got[2]["id"], got[2]["result"]) == (None, "CompileError")
    assert "expected WHERE or INTO at character 7 of route 'FROM /*'" in got[2]["error"]


@pytest.mark.parametrize(
    ("line", "case_id", "rule"),
    [
        ("no json", None, "line; rule: a JSON object"),
        ("[]", None, "line; rule: a JSON object"),
        ("[" * 100_000, None, "line; rule: a JSON object"),
        ('{"id": NaN, "route": ""}', None, "NaN is no JSON number"),
        ('{"id": 1}', 1, "route; rule"),
        ('{"id": 1, "route": "", "message": 7}', 1, "message; rule: an object"),
        ('{"id": 1, "route": "", "message": {"source": 7}}', 1, "message.source; rule"),
        ('{"id": 1, "route": "", "message": {"system_properties": []}}', 1, "system_properties;"),
    ],
)
def test_line_of_another_form_is_answered_with_the_rule_and_the_others_too(
    line: str, case_id: object, rule: str, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = f'{line}\n{{"id": 2, "route": "FROM /* INTO $upstream"}}\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    assert main(["world", "route-check"]) == EXIT_BAD_INPUT
    bad, good = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert bad["id"] == case_id
    assert rule in bad["error"]
    assert "result" not in bad
    assert good == {"id": 2, "result": "True"}


def test_file_that_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.jsonl"
    assert main(["world", "route-check", "--file", str(path)]) == EXIT_BAD_INPUT
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("message", [None, {}, {"source": ""}, {"source": None}, {"body": None}])
def test_message_that_is_left_out_comes_from_a_device(message: Any) -> None:
    for source, expected in (
        ("/*", "True"),
        ("/messages", "True"),
        ("/messages/modules", "NoSource"),
    ):
        given = answer(id=1, route=f"FROM {source} INTO $upstream", message=message)
        assert given == {"id": 1, "result": expected}


@pytest.mark.parametrize("body", [{"a": {"b": 1}}, '{"a": {"b": 1}}'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "UTF-32"])
@pytest.mark.parametrize("names", [("contentType", "contentEncoding"), ("$.ct", "$.ce")])
def test_body_is_text_or_json_in_the_encoding_that_is_named(
    body: Any, encoding: str, names: tuple[str, str]
) -> None:
    system = dict(zip(names, ("application/json", encoding), strict=True))
    assert result("$body.a.b = 1", system_properties=system, body=body) == "True"


def test_system_properties_come_with_or_without_dollar() -> None:
    assert result("$x = 'a' and {$y} = 'b'", system_properties={"$x": "a", "y": "b"}) == "True"


def test_property_values_that_are_no_text_count_as_their_text() -> None:
    given = {"number": 3, "yes": True, "nothing": None}
    condition = "number = '3' and yes = 'true' and is_null(nothing)"
    assert result(condition, application_properties=given) == "True"


def test_twin_changes_are_asked_for_what_they_include() -> None:
    message = {
        "source": "/twinChangeNotifications",
        "system_properties": {"contentType": "application/json", "contentEncoding": "utf-8"},
        "body": {"properties": {"reported": {"a": 1}}},
    }
    includes = "twin_change_includes(properties.reported.a)"
    for source, expected in (
        ("/twinChangeNotifications/*", "True"),
        ("/*", "True"),
        ("/messages/*", "CompileError"),
    ):
        route = f"FROM {source} WHERE {includes} INTO $upstream"
        assert answer(id=1, route=route, message=message)["result"] == expected
