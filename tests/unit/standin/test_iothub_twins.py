"""The hub's twins and identities: sections, metadata, limits, etags, who may write what."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.clock import ManualClock
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.iothub import twin_limits
from taktgate.standin.azure.iothub.hub import IotHub
from taktgate.standin.azure.iothub.twin_sections import NEVER

TWINS = "learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins"
REGISTRY = "learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry"
FIXTURE = (
    "Azure/azure-iot-cli-extension "
    "azext_iot/tests/iothub/configurations/test_config_modules_read.json"
)
KEY = "A" * 42 + "8="


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hub(clock: ManualClock) -> IotHub:
    hub = IotHub(clock=clock)
    hub.put_device("d", {})
    return hub


def patch(hub: IotHub, **sections: Any) -> None:
    properties = {"desired": sections["desired"]} if "desired" in sections else None
    hub.change_twin("d", None, {"tags": sections.get("tags"), "properties": properties})


def refused(hub: IotHub, document: dict[str, Any], **options: Any) -> HubRequestError:
    with pytest.raises(HubRequestError) as error:
        hub.change_twin("d", None, document, **options)
    return error.value


@pytest.mark.azure("IoT Hub", "A new twin has the fields that the hub shows.", source=FIXTURE)
def test_new_twin_has_the_hubs_fields(hub: IotHub) -> None:
    hub.put_module("d", "m", {})
    twin = hub.identity("d", "m").twin_document()
    assert {name: twin[name] for name in ("etag", "version", "connectionState", "modelId")} == {
        "etag": "AAAAAAAAAAE=",
        "version": 2,
        "connectionState": "Disconnected",
        "modelId": "",
    }
    assert twin["properties"]["reported"] == {"$metadata": {"$lastUpdated": NEVER}, "$version": 1}
    assert not {"tags", "configurations", "capabilities", "deviceScope"} & set(twin)


@pytest.mark.azure(
    "IoT Hub", "Each desired field tells when and by which version it was written.", source=TWINS
)
def test_metadata_says_of_each_field_when_it_was_written(hub: IotHub, clock: ManualClock) -> None:
    patch(hub, desired={"a": {"x": 1, "y": 2}})
    clock.advance(60)
    patch(hub, desired={"a": {"y": 3}, "b": [1]})
    metadata = hub.identity("d").twin_document()["properties"]["desired"]["$metadata"]
    first = {"$lastUpdated": "2026-01-01T00:00:00.0000000Z", "$lastUpdatedVersion": 2}
    second = {"$lastUpdated": "2026-01-01T00:01:00.0000000Z", "$lastUpdatedVersion": 3}
    assert metadata == {**second, "a": {**second, "x": first, "y": second}, "b": second}


def test_metadata_of_a_deleted_field_goes_with_it(hub: IotHub) -> None:
    patch(hub, desired={"a": {"x": 1, "y": 2}})
    patch(hub, desired={"a": {"x": None}})
    section = hub.identity("d").desired_section
    assert section.value == {"a": {"y": 2}}
    assert "x" not in section.metadata["a"]


def test_reported_fields_have_dates_without_versions(hub: IotHub) -> None:
    hub.patch_reported("d", None, {"a": 1})
    assert set(hub.identity("d").reported_section.metadata["a"]) == {"$lastUpdated"}


@pytest.mark.azure("IoT Hub", "A null in a PATCH deletes; arrays are replaced whole.", source=TWINS)
def test_patch_merges(hub: IotHub) -> None:
    patch(hub, tags={"a": {"x": 1, "y": [1, 2]}})
    patch(hub, tags={"a": {"x": None, "y": [3]}, "none": None})
    assert hub.identity("d").tags == {"a": {"y": [3]}}


@pytest.mark.azure("IoT Hub", "A PUT replaces tags and desired properties.", source=TWINS)
def test_put_replaces_all_that_it_does_not_name(hub: IotHub) -> None:
    patch(hub, tags={"a": 1, "b": 1}, desired={"x": {"y": 1, "z": 1}})
    document = {"tags": {"b": 2}, "properties": {"desired": {"x": {"z": 1}, "$version": 9}}}
    twin = hub.change_twin("d", None, document, replaces=True)
    assert (twin.tags, twin.desired, twin.desired_version) == ({"b": 2}, {"x": {"z": 1}}, 3)
    assert "rule: no null" in str(refused(hub, {"tags": {"a": None}}, replaces=True))


def test_device_hears_of_each_change_with_its_version(hub: IotHub) -> None:
    heard: list[tuple[str, Any, int]] = []
    hub.link("d").on_desired(lambda *change: heard.append(change))
    hub.put_module("d", "m", {})
    hub.change_twin("d", "m", {"properties": {"desired": {"a": 1}}})
    patch(hub, desired={"b": 1})
    assert heard == [("m", {"a": 1}, 2), ("", {"b": 1}, 2)]


@pytest.mark.azure(
    "IoT Hub", "A twin's etag moves with tags and desired properties alone.", source=TWINS
)
def test_etag_of_a_twin_moves_with_what_the_service_writes(hub: IotHub) -> None:
    etag = hub.identity("d").etag
    hub.patch_reported("d", None, {"a": 1})
    hub.put_device("d", {}, "*")
    hub.set_connected("d", None, True)
    assert hub.identity("d").etag == etag
    patch(hub, tags={"a": 1})
    assert hub.identity("d").etag != etag
    assert refused(hub, {"tags": {"a": 2}}, if_match=f'"{etag}"').status == 412


@pytest.mark.azure("IoT Hub", "Size counts keys and values, not JSON.", source=TWINS)
@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({}, 0),
        ({"ab": 1, "c": 2.5}, 19),
        ({"ab": True}, 6),
        ({"a": "x\n\x85y"}, 3),
        ({"a": {"b": ["c", 1]}}, 11),
        ({"\u00e4": ""}, 2),
    ],
)
def test_size_is_counted_as_documented(value: Any, size: int) -> None:
    assert twin_limits.size_of(value) == size


@pytest.mark.azure("IoT Hub", "Tags hold 8 KB, desired and reported 32 KB each.", source=TWINS)
@pytest.mark.parametrize(("section", "limit"), [("tags", 8192), ("desired", 32768)])
def test_section_has_its_limit(hub: IotHub, section: str, limit: int) -> None:
    chunks = {f"k{n:02d}": "x" * 4000 for n in range((limit - 1) // 4003)}
    rest = limit - twin_limits.size_of(chunks) - 1
    patch(hub, **{section: {**chunks, "r": "x" * rest}})
    before = hub.identity("d").etag
    with pytest.raises(HubRequestError, match="rule: at most"):
        patch(hub, **{section: {"r": "x" * (rest + 1)}})
    assert hub.identity("d").etag == before


def nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {"value": 1}
    for level in range(levels):
        document = {f"l{level}": document}
    return document


@pytest.mark.azure(
    "IoT Hub", "Depth, keys, strings and integers of a twin have their limits.", source=TWINS
)
@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (nested(10), None),
        (nested(11), "at most 10 levels"),
        (nested(900), "at most 10 levels"),
        ({"a.b": 1}, "no '.'"),
        ({"a$": 1}, "no '.'"),
        ({"a b": 1}, "no '.'"),
        ({"a\x01": 1}, "control character"),
        ({"a\x85": 1}, "control character"),
        ({"": 1, "\u00fcber/\U0001f600": 1}, None),
        ({"k" * 1025: 1}, "keys of at most 1024"),
        ({"a": "x" * 4096}, None),
        ({"a": "x" * 4097}, "strings of at most 4096"),
        ({"a": "\u00e4" * 2049}, "strings of at most 4096"),
        ({"a": 4503599627370495, "b": -4503599627370496}, None),
        ({"a": 4503599627370496}, "integers within"),
        ({"a": [1, None]}, "no null in an array"),
        ({"a": [{"b.c": 1}]}, "no '.'"),
    ],
)
def test_twin_rules_hold_for_every_section(hub: IotHub, value: Any, rule: str | None) -> None:
    for write in (
        lambda: patch(hub, tags=value),
        lambda: patch(hub, desired=value),
        lambda: hub.patch_reported("d", None, value),
    ):
        if rule is None:
            write()
        else:
            with pytest.raises(HubRequestError, match=rule):
                write()


keys = st.sampled_from(["a", "b", "c"])
json_objects = st.dictionaries(
    keys,
    st.recursive(
        st.sampled_from([0, 1, True, "x"]),
        lambda inner: st.dictionaries(keys, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)


@settings(max_examples=40)
@given(json_objects, json_objects)
def test_put_leaves_exactly_what_it_sent(old: dict[str, Any], new: dict[str, Any]) -> None:
    hub = IotHub()
    hub.put_device("d", {})
    hub.change_twin("d", None, {"properties": {"desired": old}})
    before = hub.identity("d").desired
    hub.change_twin("d", None, {"properties": {"desired": new}}, replaces=True)
    assert hub.identity("d").desired == new
    change = twin_documents.difference(before, new)
    assert twin_documents.merge(before, change) == new


@pytest.mark.azure(
    "IoT Hub", "A PUT without If-Match creates, one with it updates.", source=REGISTRY
)
def test_put_of_an_identity_creates_or_updates(hub: IotHub) -> None:
    with pytest.raises(HubRequestError, match="already registered") as exists:
        hub.put_device("d", {})
    with pytest.raises(HubRequestError) as missing:
        hub.put_device("none", {}, "*")
    assert (exists.value.number, missing.value.number) == (409001, 404001)


def test_update_replaces_the_identity_and_without_keys_makes_new_ones(hub: IotHub) -> None:
    keys = {"symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}}
    kept = hub.put_device("d", {"authentication": keys, "statusReason": "x"}, "*")
    assert (kept.key, kept.status_reason) == (KEY, "x")
    changed = hub.put_device("d", {"status": "disabled"}, f'"{kept.identity_etag}"')
    assert (changed.key != KEY, changed.status_reason, changed.status) == (True, None, "disabled")
    with pytest.raises(HubRequestError, match="ETag may be invalid"):
        hub.put_device("d", {}, "MTIz")


@pytest.mark.azure(
    "IoT Hub", "An IoT Edge device has $edgeAgent and $edgeHub from the start.", source=FIXTURE
)
def test_edge_device_has_its_system_modules(hub: IotHub) -> None:
    hub.put_device("e", {"capabilities": {"iotEdge": True}})
    assert set(hub.device("e").modules) == {"$edgeAgent", "$edgeHub"}
    document = hub.identity("e").identity_document()
    assert document["deviceScope"].startswith("ms-azure-iot-edge://e-")
    agent = hub.identity("e", "$edgeAgent")
    assert agent.identity_document()["authentication"]["type"] == "none"
    hub.ensure_module("e", "$edgeAgent")
    assert agent.identity_document()["authentication"]["type"] == "sas"


def test_connection_shows_in_identity_and_twin(hub: IotHub, clock: ManualClock) -> None:
    clock.advance(1)
    hub.set_connected("d", None, True)
    identity, twin = hub.identity("d").identity_document(), hub.identity("d").twin_document()
    assert identity["connectionState"] == twin["connectionState"] == "Connected"
    assert identity["connectionStateUpdatedTime"] == twin["lastActivityTime"]
    assert twin["lastActivityTime"] == "2026-01-01T00:00:01.0000000Z"


def test_deleted_device_takes_its_modules_along(hub: IotHub) -> None:
    hub.put_module("d", "m", {})
    hub.delete_device("d")
    hub.put_device("d", {})
    assert hub.device("d").modules == {}


@pytest.mark.azure(
    "IoT Hub",
    "A device has at most 50 modules.",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling",
)
def test_modules_of_a_device_are_limited(hub: IotHub) -> None:
    for number in range(52):
        hub.put_module("d", f"m{number}", {})
    with pytest.raises(HubRequestError, match="at most 50") as error:
        hub.put_module("d", "one-more", {})
    assert error.value.status == 403
