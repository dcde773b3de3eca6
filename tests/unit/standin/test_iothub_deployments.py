"""Deployments on a hub: who gets what, when, what twins and metrics then say."""

import logging
from typing import Any

import pytest
from tests.unit.standin.iothub_bench import AGENT, BASE, LAYER, add_stations, deployment

from taktgate.standin.azure.clock import ManualClock
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.iothub.hub import IotHub

MONITORING = "learn.microsoft.com/azure/iot-edge/module-deployment-monitoring"
LIMITS = "learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling"
ERRORS = "learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes"
CANARY = "tags.ring='canary'"


@pytest.fixture
def hub() -> IotHub:
    hub = IotHub()
    add_stations(hub, a="canary", b="broad")
    hub.put_configuration("base", deployment())
    return hub


def model(hub: IotHub, device: str) -> Any:
    return hub.twin_properties(device, "stager").desired.get("model")


def statuses(hub: IotHub, device: str, module: str = "$edgeAgent") -> dict[str, str]:
    said = hub.identity(device, module).configurations
    return {name: each["status"] for name, each in said.items()}


def results(hub: IotHub, config_id: str) -> dict[str, int]:
    document = hub.configurations.get(config_id).to_json(hub.queries.runner())
    return {**document["systemMetrics"]["results"], **document["metrics"]["results"]}


@pytest.mark.azure(
    "deployments", "A layer changes exactly the devices of its condition.", source=MONITORING
)
def test_layer_reaches_its_stations_and_no_other(hub: IotHub) -> None:
    version = hub.twin_properties("b", "stager").desired_version
    hub.put_configuration("model", deployment(CANARY, LAYER, 20))
    assert (model(hub, "a"), model(hub, "b")) == ({"v": "2"}, {"v": "1", "sha": "a"})
    assert hub.twin_properties("b", "stager").desired_version == version


@pytest.mark.azure(
    "deployments",
    "The end of a layer brings the lower one back in a new version.",
    source=MONITORING,
)
def test_end_of_a_layer_brings_the_lower_one_back(hub: IotHub) -> None:
    hub.put_configuration("model", deployment(CANARY, LAYER, 20))
    version = hub.twin_properties("a", "stager").desired_version
    hub.delete_configuration("model")
    assert model(hub, "a") == {"v": "1", "sha": "a"}
    assert hub.twin_properties("a", "stager").desired_version == version + 1


@pytest.mark.azure(
    "deployments", "A station that changes its tags changes its deployments.", source=MONITORING
)
def test_tags_decide_anew_at_each_change(hub: IotHub) -> None:
    hub.put_configuration("model", deployment(CANARY, LAYER, 20))
    hub.change_twin("b", None, {"tags": {"ring": "canary"}})
    hub.change_twin("a", None, {"tags": {"ring": "broad"}})
    assert (model(hub, "a"), model(hub, "b")) == ({"v": "1", "sha": "a"}, {"v": "2"})


@pytest.mark.azure(
    "deployments", "A condition may ask for reported properties of the device.", source=MONITORING
)
def test_reported_properties_decide_too(hub: IotHub) -> None:
    hub.put_configuration("model", deployment("properties.reported.hw = 'x86'", LAYER, 20))
    hub.patch_reported("b", None, {"hw": "x86"})
    assert (model(hub, "a"), model(hub, "b")) == ({"v": "1", "sha": "a"}, {"v": "2"})


@pytest.mark.azure(
    "deployments", "A device that is created later gets its deployments.", source=MONITORING
)
def test_new_station_gets_its_deployments(hub: IotHub) -> None:
    add_stations(hub, c="canary")
    assert model(hub, "c") == {"v": "1", "sha": "a"}


@pytest.mark.azure(
    "deployments", "Deleting the last deployment leaves the modules running.", source=MONITORING
)
def test_end_of_the_last_deployment_leaves_everything(hub: IotHub) -> None:
    hub.put_configuration("model", deployment(CANARY, LAYER, 20))
    before = hub.twin_properties("a", "stager")
    hub.delete_configuration("base")
    assert hub.twin_properties("a", "stager") == before
    assert statuses(hub, "a") == {"model": "Targeted"}
    hub.put_configuration("next", deployment(content={"$edgeAgent": {"properties.desired": AGENT}}))
    hub.delete_configuration("model")
    assert model(hub, "a") is None


@pytest.mark.azure(
    "deployments", "Twins say Applied, or Targeted for what a higher base hides.", source=MONITORING
)
def test_twins_and_metrics_say_what_is_applied(hub: IotHub) -> None:
    hub.put_configuration("model", deployment(CANARY, LAYER, 20))
    hub.put_configuration("low", deployment("*", LAYER, 5))
    assert statuses(hub, "a") == {"base": "Applied", "model": "Applied", "low": "Targeted"}
    assert statuses(hub, "a", "stager") == {"base": "Applied", "model": "Applied"}
    version = hub.twin_properties("a", "$edgeAgent").desired_version
    report = {"lastDesiredVersion": version, "lastDesiredStatus": {"code": 200}}
    hub.patch_reported("a", "$edgeAgent", report)
    hub.patch_reported("b", "$edgeAgent", {**report, "lastDesiredStatus": {"code": 400}})
    assert results(hub, "base") == {
        "targetedCount": 2, "appliedCount": 2, "reportedSuccessfulCount": 1,
        "reportedFailedCount": 1,
    }  # fmt: skip
    assert results(hub, "model")["appliedCount"] == 1
    assert (results(hub, "low")["targetedCount"], results(hub, "low")["appliedCount"]) == (2, 0)


def test_own_metrics_count_the_rows_of_their_queries(hub: IotHub) -> None:
    queries = {
        "two": "SELECT deviceId FROM devices.modules WHERE properties.desired.model.v = '2'",
        "agents": "SELECT deviceId FROM devices.modules WHERE moduleId = '$edgeAgent'",
    }
    layer = deployment(CANARY, LAYER, 20, metrics={"queries": queries})
    hub.put_configuration("model", layer)
    assert (results(hub, "model")["two"], results(hub, "model")["agents"]) == (1, 2)


@pytest.mark.azure(
    "deployments",
    "A layer that sets nothing of edgeAgent may stay Targeted there.",
    source="Azure/iotedge#5299",
)
def test_layer_of_properties_alone_may_stay_targeted(hub: IotHub) -> None:
    hub.quirks.turn_on("targeted-only")
    hub.put_configuration("model", deployment(CANARY, LAYER, 20))
    assert statuses(hub, "a") == {"base": "Applied", "model": "Targeted"}
    assert statuses(hub, "a", "stager") == {"base": "Applied", "model": "Applied"}
    assert model(hub, "a") == {"v": "2"}


@pytest.mark.azure(
    "deployments",
    "Between delete and create of a deployment what only it had is gone.",
    source="Azure/azure-cli-extensions#1988",
)
def test_gap_between_delete_and_create_shows_with_a_period() -> None:
    clock = ManualClock()
    hub = IotHub(clock=clock)
    add_stations(hub, a="canary")
    hub.schedule.set_period(300)
    hub.put_configuration("base", deployment())
    hub.put_configuration("model-1", deployment(CANARY, LAYER, 20))
    assert model(hub, "a") is None if "stager" in hub.device("a").modules else True
    clock.advance(300)
    assert model(hub, "a") == {"v": "2"}
    hub.delete_configuration("model-1")
    assert model(hub, "a") == {"v": "2"}
    clock.advance(300)
    assert model(hub, "a") == {"v": "1", "sha": "a"}
    hub.put_configuration("model-2", deployment(CANARY, LAYER, 20))
    clock.advance(299)
    assert model(hub, "a") == {"v": "1", "sha": "a"}
    hub.schedule.set_period(None)
    assert model(hub, "a") == {"v": "2"}
    clock.advance(600)
    hub.delete_configuration("model-2")
    assert model(hub, "a") == {"v": "1", "sha": "a"}


@pytest.mark.azure(
    "deployments",
    "A change by hand is set back where a deployment sets the property.",
    source="Azure/iotedge#6913",
)
def test_change_by_hand_is_set_back_at_the_next_evaluation(hub: IotHub) -> None:
    hub.change_twin("a", "stager", {"properties": {"desired": {"model": {"v": "9"}, "mine": 1}}})
    assert model(hub, "a") == {"v": "9", "sha": "a"}
    hub.evaluate_deployments()
    assert hub.twin_properties("a", "stager").desired == BASE["stager"]["properties.desired"]


def test_module_with_sub_paths_alone_keeps_what_else_its_twin_holds(hub: IotHub) -> None:
    hub.put_module("a", "extra", {})
    hub.change_twin("a", "extra", {"properties": {"desired": {"mine": 1, "set": {"own": 1}}}})
    layer = {"$edgeAgent": {}, "extra": {"properties.desired.set.x": {"y": 1}}}
    hub.put_configuration("extra", deployment(CANARY, layer, 20))
    assert hub.twin_properties("a", "extra").desired == {
        "mine": 1, "set": {"own": 1, "x": {"y": 1}},
    }  # fmt: skip
    hub.change_twin("a", "extra", {"properties": {"desired": {"set": {"x": {"z": 1}}}}})
    hub.evaluate_deployments()
    assert hub.twin_properties("a", "extra").desired["set"]["x"] == {"y": 1}
    hub.delete_configuration("extra")
    assert hub.twin_properties("a", "extra").desired == {"mine": 1, "set": {"own": 1}}


@pytest.mark.azure(
    "deployments", "set-modules holds until a deployment is evaluated again.", source=MONITORING
)
def test_content_set_by_hand_holds_until_a_deployment_changes(hub: IotHub) -> None:
    mine = {"$edgeAgent": {"properties.desired": AGENT}, "stager": {"properties.desired": {"a": 1}}}
    hub.apply_content("a", mine)
    assert hub.twin_properties("a", "stager").desired == {"a": 1}
    hub.change_twin("a", None, {"tags": {"note": "x"}})
    assert hub.twin_properties("a", "stager").desired == {"a": 1}
    hub.put_configuration("base", deployment(priority=11), '"*"')
    assert model(hub, "a") == {"v": "1", "sha": "a"}


def test_content_is_for_edge_devices(hub: IotHub) -> None:
    hub.put_device("plain", {})
    with pytest.raises(HubRequestError, match="Not an Azure IoT Edge device"):
        hub.apply_content("plain", BASE)
    with pytest.raises(HubRequestError, match="rule: an object"):
        hub.apply_content("a", {"$edgeAgent": {"properties.desired": 1}})


@pytest.mark.azure(
    "deployments", "Content is immutable; targeting, priority, labels are not.", source=ERRORS
)
def test_content_never_changes_but_targeting_does(hub: IotHub) -> None:
    with pytest.raises(HubRequestError, match="immutable") as error:
        hub.put_configuration("base", deployment(content=LAYER), '"*"')
    assert error.value.code == "CannotModifyImmutableConfigurationContent"
    document = deployment("tags.ring='broad'", labels={"x": "y"}, priority=7)
    changed = hub.put_configuration("base", document, '"*"')
    assert (changed.labels, changed.deployment.priority) == ({"x": "y"}, 7)
    assert statuses(hub, "a") == {}
    assert statuses(hub, "b") == {"base": "Applied"}


@pytest.mark.parametrize(
    ("if_match", "code"),
    [
        (None, "ConfigurationAlreadyExists"),
        ("MQ==", "ConfigurationAlreadyExists"),
        ('"bm9uZQ=="', "PreconditionFailed"),
        ("*", None),
        ('"*"', None),
    ],
)
def test_update_of_a_configuration_needs_a_quoted_etag(
    hub: IotHub, if_match: str | None, code: str | None
) -> None:
    if code is None:
        hub.put_configuration("base", deployment(), if_match)
        return
    with pytest.raises(HubRequestError) as error:
        hub.put_configuration("base", deployment(), if_match)
    assert error.value.code == code


def test_failed_update_changes_nothing(hub: IotHub) -> None:
    before = hub.configurations.get("base")
    with pytest.raises(HubRequestError):
        hub.put_configuration("base", deployment("x ="), '"*"')
    assert hub.configurations.get("base") == before


@pytest.mark.azure("deployments", "A hub holds 100 deployments.", source=LIMITS)
def test_hub_holds_so_many_deployments() -> None:
    hub = IotHub(max_deployments=2)
    hub.put_configuration("a", deployment(""))
    hub.put_configuration("b", deployment(""))
    with pytest.raises(HubRequestError, match="at most 2") as error:
        hub.put_configuration("c", deployment(""))
    assert error.value.status == 403
    assert IotHub().configurations._limit == 100


def test_twin_that_would_be_too_large_is_left_alone_and_said_once(
    hub: IotHub, caplog: pytest.LogCaptureFixture
) -> None:
    large = {f"k{n}": "x" * 4000 for n in range(5)}
    hub.put_configuration("l1", deployment(CANARY, {"stager": {"properties.desired.p": large}}, 20))
    before = hub.twin_properties("a", "stager")
    with caplog.at_level(logging.ERROR):
        hub.put_configuration(
            "l2", deployment(CANARY, {"stager": {"properties.desired.q": large}}, 30)
        )
        hub.evaluate_deployments()
    assert hub.twin_properties("a", "stager") == before
    assert [record.message for record in caplog.records] == ["deployments cannot be applied"]
    assert set(statuses(hub, "a").values()) == {"Targeted"}
    assert statuses(hub, "b") == {"base": "Applied"}


@pytest.mark.azure(
    "deployments", "The order of layers of one priority is no promise.", source="Azure/iotedge#6685"
)
def test_layers_of_one_priority_are_warned_of(
    hub: IotHub, caplog: pytest.LogCaptureFixture
) -> None:
    other = {"stager": {"properties.desired.model": {"v": "3"}}}
    hub.put_configuration("l1", deployment(CANARY, LAYER, 20))
    hub.put_configuration("l2", deployment(CANARY, other, 20))
    assert model(hub, "a") == {"v": "3"}
    (record,) = caplog.records
    assert (record.message[:30], record.__dict__["others"]) == (
        "deployments share a priority: ", ["l1"],
    )  # fmt: skip
