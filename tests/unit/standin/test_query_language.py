"""IoT Hub's query language and target conditions."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.standin.azure.errors import QuerySyntaxError
from taktgate.standin.azure.iothub.query_language import (
    Place,
    parse_query,
    parse_target_condition,
)

LANGUAGE = "learn.microsoft.com/azure/iot-hub/iot-hub-devguide-query-language"
TWIN_QUERIES = "learn.microsoft.com/azure/iot-hub/query-twins"
MONITORING = "learn.microsoft.com/azure/iot-edge/module-deployment-monitoring"

TWIN: dict[str, Any] = {
    "deviceId": "station-1",
    "tags": {"ring": "canary", "line": "it's"},
    "properties": {"desired": {"$version": 3}, "reported": {"model": {"n": 2.5, "ok": True}}},
    "configurations": {"model-1": {"status": "Applied"}},
}


def matches(where: str) -> bool:
    return bool(parse_query(f"SELECT * FROM devices WHERE {where}").run([TWIN]))


@pytest.mark.azure(
    "IoT Hub", "Conditions have comparison, arithmetic, IN, NIN and functions.", source=LANGUAGE
)
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
        "properties.reported.model.ok",
        "DEVICEID = 'station-1' And Properties.Desired.$version = 3",
        "devices.deviceId = 'station-1'",
        'tags.line = "it\'s"',
        r"tags.line = 'it\'s'",
        r"tags.ring = 'can\u0061ry'",
        "tags.ring NIN ['early', 'broad']",
        "tags.none NIN ['x'] OR deviceId = 'station-1'",
        "properties.desired.$version + 1 = 2 * 2",
        "0 - properties.reported.model.n = -2.5 AND properties.desired.$version % 2 = 1",
        "properties.desired.$version = 0x3 AND 1e1 > 3.5",
        "(properties.desired.$version - 1) * 2 >= 4",
        "is_defined(tags.ring) AND NOT IS_DEFINED(tags.none)",
        "is_string(tags.ring) AND is_number(properties.reported.model.n)",
        "is_bool(properties.reported.model.ok) AND is_object(tags)",
        "is_primitive(tags.ring) AND NOT is_primitive(tags)",
        "STARTS_WITH(deviceId, 'station') AND ENDS_WITH(deviceId, '-1')",
        "contains(tags.ring, 'nar')",
        "tags.ring != null AND NOT tags.ring = null",
        "/* both */ deviceId = 'station-1'",
        "NOT NOT deviceId = 'station-1'",
    ],
)
def test_condition_is_true(where: str) -> None:
    assert matches(where)


@pytest.mark.azure(
    "IoT Hub", "What is undefined or of another type is in no answer.", source=TWIN_QUERIES
)
@pytest.mark.parametrize(
    "where",
    [
        "tags.none = 'x'",
        "tags.none != 'x'",
        "NOT tags.none = 'x'",
        "tags.ring > 3",
        "properties.reported.model.ok = 1",
        "tags.ring = 'Canary'",
        "TAGS.RING = 'canary'",
        "tags.ring",
        "tags = tags",
        "tags.ring < 'canary' OR tags.ring > 'canary'",
        "tags.none NIN ['x']",
        "NOT tags.none IN ['x']",
        "properties.reported.model.ok IN [1]",
        "properties.reported.model.ok > false",
        "properties.desired.$version / 0 = 1",
        "tags.ring + 'x' = 'canaryx'",
        "tags.none = undefined",
        "starts_with(tags.none, 'x') OR NOT starts_with(tags.none, 'x')",
        "NOT tags.ring",
        "deviceId.x = 1",
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
        "SELECT * FROM devices ORDER BY deviceId",
        "SELECT COUNT() FROM devices.modules GROUP BY moduleId",
        "SELECT deviceId, COUNT() AS n FROM devices",
        "SELECT deviceId FROM devices.jobs",
        "SELECT SUM() AS n FROM devices",
        "SELECT TOP 0 * FROM devices",
        "SELECT TOP x * FROM devices",
        "SELECT * FROM devices WHERE is_defined(a, b)",
        "SELECT * FROM devices WHERE a IN ['x'",
        "SELECT * FROM devices WHERE (a = 1",
        "SELECT * FROM devices WHERE a = 1 AND",
        "SELECT * FROM devices WHERE from = 1",
        "SELECT * FROM devices WHERE a = 1 b = 2",
        "SELECT * FROM devices WHERE [[a = 1",
        "SELECT * FROM devices WHERE " + "(" * 80 + "a" + ")" * 80,
        "SELECT * FROM devices WHERE a = '" + "x" * 8192 + "'",
        "SELECT * FROM devices; DROP TABLE devices",
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


@pytest.mark.azure("IoT Hub", "ORDER BY is not in the language.", source=LANGUAGE)
def test_order_by_is_refused_by_its_name() -> None:
    with pytest.raises(QuerySyntaxError, match="ORDER BY is not supported in queries of IoT Hub"):
        parse_query("SELECT * FROM devices WHERE a = 1 ORDER BY deviceId")


@pytest.mark.azure(
    "IoT Hub", "The hub's own names are found in any spelling and answered in its own.",
    source=TWIN_QUERIES,
)  # fmt: skip
def test_names_of_the_hub_come_back_as_it_spells_them() -> None:
    query = parse_query(
        "select DeviceId, properties.Reported.model.n from devices d where d.tags.ring = 'canary'"
    )
    assert query.run([TWIN]) == [{"deviceId": "station-1", "n": 2.5}]


@pytest.mark.azure("IoT Hub", "GROUP BY counts and computes for each value.", source=LANGUAGE)
def test_groups_have_counts_sums_and_bounds() -> None:
    twins = [
        {"deviceId": name, "tags": {"ring": ring, "n": n}}
        for name, ring, n in (("a", "x", 1), ("b", "y", 5), ("c", "x", 3), ("d", "x", "text"))
    ]
    query = parse_query(
        "SELECT tags.ring AS ring, COUNT() AS n, SUM(tags.n) AS sum, AVG(tags.n) AS avg, "
        "MIN(tags.n) AS low, MAX(tags.n) AS high FROM devices GROUP BY tags.ring"
    )
    assert query.run(twins) == [
        {"ring": "x", "n": 3, "sum": 4, "avg": 2.0, "low": 1, "high": 3},
        {"ring": "y", "n": 1, "sum": 5, "avg": 5.0, "low": 5, "high": 5},
    ]
    assert parse_query("SELECT COUNT() FROM devices").run([]) == [{"$1": 0}]
    assert parse_query("SELECT MAX(tags.n) AS m FROM devices").run([]) == [{}]


def test_top_ends_the_answer() -> None:
    assert len(parse_query("SELECT TOP 2 * FROM devices").run([TWIN] * 5)) == 2


@pytest.mark.azure("IoT Hub", "Jobs are a collection of their own.", source=LANGUAGE)
def test_jobs_have_their_item_type() -> None:
    query = parse_query("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'x'")
    assert (query.item_type, query.source) == ("DeviceJob", "devices.jobs")


@pytest.mark.azure(
    "deployments", "A target condition takes single quotes and documented characters.",
    source=MONITORING,
)  # fmt: skip
@pytest.mark.parametrize(
    "target",
    ['tags.a = "x"', "tags.a = 'x y'", "tags.a = 'x/y'", "tags.a = '<'", "tags.a =", "tags.a == 1"],
)
def test_wrong_target_condition_is_refused(target: str) -> None:
    with pytest.raises(QuerySyntaxError):
        parse_target_condition(target)


@pytest.mark.parametrize(
    "target",
    [
        "deviceId ='linuxprod1'",
        "tags.environment = 'prod' AND tags.location = 'westus'",
        "tags.operator = 'John' AND tags.environment = 'prod' AND NOT deviceId = 'linuxprod1'",
        "deviceId='operator''sDevice'",
        "tags.building=9 and tags.environment='test'",
        "properties.reported.devicemodel = '4000x'",
        "deviceId!=''",
        "tags.a = '-:.+%_#*?!(),=@;$'",
    ],
)
def test_conditions_of_the_documentation_are_taken(target: str) -> None:
    assert parse_target_condition(target) is not None


twins = st.lists(
    st.fixed_dictionaries(
        {
            "deviceId": st.sampled_from(["a", "b"]),
            "tags": st.fixed_dictionaries({"n": st.integers(0, 3)}),
        }
    ),
    max_size=12,
)


@given(
    twins,
    st.sampled_from(
        [
            "SELECT deviceId FROM devices WHERE tags.n > 0",
            "SELECT TOP 5 * FROM devices",
            "SELECT tags.n AS n, COUNT() AS c FROM devices GROUP BY tags.n",
        ]
    ),
    st.integers(1, 4),
)
def test_pages_together_are_the_whole_answer(found: list[Any], text: str, limit: int) -> None:
    query, numbered = parse_query(text), list(enumerate(found, start=7))
    rows: list[Any] = []
    place: Place | None = Place()
    while place is not None:
        page, place = query.page(numbered, place, limit=limit)
        assert len(page) <= limit
        rows += page
    assert rows == query.run(found)


words = st.sampled_from(
    ["SELECT", "FROM", "devices", "devices.modules", "WHERE", "AND", "OR", "NOT", "IN", "NIN", "(",
     ")", "[", "]", ",", "*", "=", "!=", "<", "+", "-", "%", "'x'", '"y"', "1", "0x1f", "tags.a",
     "[[a.b]]", "COUNT", "AS", "TOP", "GROUP", "BY", "is_defined", "null", "true", "deviceId", "$"]
)  # fmt: skip
queries = st.lists(words, max_size=14).map(" ".join) | st.text(max_size=40)


@given(queries, queries)
def test_every_text_is_a_query_or_refused_by_a_place(head: str, tail: str) -> None:
    for text in (head, f"SELECT * FROM devices WHERE {tail}", f"SELECT {head} FROM devices"):
        with contextlib.suppress(QuerySyntaxError):
            parse_query(text).run([TWIN, {}])
    with contextlib.suppress(QuerySyntaxError):
        parse_target_condition(tail)
