"""IoT Hub's query language and target conditions."""

from typing import Any

import pytest

from taktgate.standin.azure.errors import QuerySyntaxError
from taktgate.standin.azure.iothub.query_language import parse_query, parse_target_condition

TWIN: dict[str, Any] = {
    "deviceId": "station-1",
    "tags": {"ring": "canary", "line": "it's"},
    "properties": {"desired": {"$version": 3}, "reported": {"model": {"n": 2.5, "ok": True}}},
    "configurations": {"model-1": {"status": "Applied"}},
}


def matches(where: str) -> bool:
    return bool(parse_query(f"SELECT * FROM devices WHERE {where}").run([TWIN]))


@pytest.mark.parametrize(
    "where",
    [
        "deviceId = 'station-1'",
        "tags.line = 'it''s'",
        "properties.desired.$version >= 3",
        "properties.reported.model.n > 2 AND properties.reported.model.ok = true",
        "configurations.[[model-1]].status = 'Applied'",
        "tags.ring IN ['early', 'canary']",
        "NOT (tags.ring = 'broad' OR deviceId != 'station-1')",
        "properties.desired.$version = 3",
        "properties.desired.$version <> properties.reported.model.n",
    ],
)
def test_condition_is_true(where: str) -> None:
    assert matches(where)


@pytest.mark.parametrize(
    "where",
    [
        "tags.none = 'x'",
        "tags.none != 'x'",
        "NOT tags.none = 'x'",
        "tags.ring > 3",
        "properties.reported.model.ok = 1",
        "tags.ring = 'Canary'",
    ],
)
def test_condition_is_not_true(where: str) -> None:
    assert not matches(where)


def test_fields_and_counts_are_selected() -> None:
    fields = parse_query("select deviceId, tags.ring as r, tags.none from devices")
    assert fields.run([TWIN]) == [{"deviceId": "station-1", "r": "canary"}]
    count = parse_query("SELECT COUNT() AS stations FROM devices.modules")
    assert (count.source, count.item_type) == ("devices.modules", "Raw")
    assert count.run([TWIN, TWIN]) == [{"stations": 2}]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELECT",
        "SELECT * FROM jobs",
        "SELECT * FROM devices WHERE",
        "SELECT * FROM devices WHERE a = 'x",
        "SELECT * FROM devices WHERE a == 'x'",
        "SELECT * FROM devices WHERE a IN []",
        "SELECT * FROM devices GROUP BY a",
    ],
)
def test_wrong_query_is_refused(query: str) -> None:
    with pytest.raises(QuerySyntaxError, match="at character"):
        parse_query(query)


def test_empty_target_condition_targets_nobody_and_a_star_everybody() -> None:
    everybody = parse_target_condition("*")
    assert parse_target_condition("  ") is None
    assert everybody is not None
    assert everybody.matches({})


def test_target_condition_may_only_ask_for_tags_reported_properties_and_device_id() -> None:
    text = "tags.ring='canary' AND deviceId='station-1' AND properties.reported.model.ok = true"
    condition = parse_target_condition(text)
    assert condition is not None
    assert condition.matches(TWIN)
    with pytest.raises(QuerySyntaxError, match=r"properties\.desired\.x"):
        parse_target_condition("properties.desired.x = 1")
