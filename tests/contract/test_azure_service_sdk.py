"""The unmodified azure-iot-hub on the local IoT Hub: registry, twins, queries, deployments."""

from collections.abc import Iterator
from typing import Any

import pytest
from azure.iot.hub import IoTHubConfigurationManager, IoTHubRegistryManager
from azure.iot.hub.models import (
    Configuration,
    ConfigurationContent,
    ConfigurationMetrics,
    ConfigurationQueriesTestInput,
    QuerySpecification,
    Twin,
    TwinProperties,
)
from msrest.exceptions import HttpOperationError

from taktgate.standin.azure.loopback import free_loopback_network
from taktgate.standin.azure.world.cloud_thread import CloudThread

BASE_CONTENT = {
    "$edgeAgent": {
        "properties.desired": {
            "schemaVersion": "1.1",
            "runtime": {"type": "docker", "settings": {}},
            "systemModules": {},
            "modules": {},
        }
    },
    "$edgeHub": {
        "properties.desired": {
            "schemaVersion": "1.2",
            "routes": {},
            "storeAndForwardConfiguration": {"timeToLiveSecs": 7200},
        }
    },
    "model_stager": {"properties.desired": {"model": {"version": "1"}, "repository": "http://r"}},
}
LAYER_CONTENT = {"model_stager": {"properties.desired.model": {"version": "2"}}}
RINGS = {"station-1": "canary", "station-2": "broad", "station-3": "broad"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudThread]:
    network = free_loopback_network()
    with CloudThread(tmp_path_factory.mktemp("cloud"), address=network.address(1)) as world:
        yield world


@pytest.fixture
def registry(world: CloudThread, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(world.cloud.ca_file))
    manager: Any = IoTHubRegistryManager.from_connection_string(
        world.cloud.service_connection_string
    )
    yield manager
    manager.protocol.close()


@pytest.fixture
def deployments(world: CloudThread, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(world.cloud.ca_file))
    manager: Any = IoTHubConfigurationManager.from_connection_string(
        world.cloud.service_connection_string
    )
    yield manager
    for each in manager.get_configurations():
        manager.delete_configuration(each.id)
    manager.protocol.close()


@pytest.fixture
def stations(registry: Any) -> Iterator[dict[str, str]]:
    for name, ring in RINGS.items():
        registry.create_device_with_sas(name, "", "", "enabled", iot_edge=True)
        registry.update_twin(name, Twin(tags={"ring": ring}), "*")
    yield RINGS
    for name in RINGS:
        registry.delete_device(name)


def deployment(
    name: str, priority: int, target: str, content: dict[str, Any] = BASE_CONTENT
) -> Configuration:
    return Configuration(
        id=name,
        schema_version="2.0",
        labels={},
        content=ConfigurationContent(modules_content=content),
        target_condition=target,
        priority=priority,
        metrics=ConfigurationMetrics(queries={}),
        etag="*",
    )


def desired_versions(registry: Any) -> dict[str, str]:
    return {
        name: registry.get_module_twin(name, "model_stager").properties.desired["model"]["version"]
        for name in RINGS
    }


def test_devices_and_modules_are_created_listed_and_deleted(registry: Any) -> None:
    device = registry.create_device_with_sas("press-7", "", "", "enabled", iot_edge=True)
    assert device.capabilities.iot_edge
    module = registry.create_module_with_sas("press-7", "probe", "me", "", "")
    assert module.authentication.symmetric_key.primary_key
    names = {each.module_id for each in registry.get_modules("press-7")}
    assert names == {"$edgeAgent", "$edgeHub", "probe"}
    registry.delete_module("press-7", "probe")
    registry.delete_device("press-7")
    with pytest.raises(HttpOperationError) as refused:
        registry.get_device("press-7")
    assert refused.value.response.status_code == 404


def test_twin_changes_respect_the_etag(registry: Any, stations: dict[str, str]) -> None:
    twin = registry.get_twin("station-1")
    assert twin.tags == {"ring": "canary"}
    patch = Twin(properties=TwinProperties(desired={"a": 1}))
    changed = registry.update_twin("station-1", patch, twin.etag)
    assert changed.properties.desired["a"] == 1
    with pytest.raises(HttpOperationError) as refused:
        registry.update_twin("station-1", patch, twin.etag)
    assert refused.value.response.status_code == 412


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT deviceId FROM devices WHERE tags.ring = 'canary'", ["station-1"]),
        (
            "SELECT deviceId FROM devices WHERE NOT tags.ring IN ['canary', 'early']",
            ["station-2", "station-3"],
        ),
        (
            "SELECT deviceId FROM devices WHERE tags.line = 'x' OR deviceId < 'station-2'",
            ["station-1"],
        ),
        ("SELECT deviceId FROM devices.modules WHERE moduleId = '$edgeHub'", sorted(RINGS)),
    ],
)
def test_query_finds_what_its_condition_says(
    registry: Any, stations: dict[str, str], query: str, expected: list[str]
) -> None:
    answer = registry.query_iot_hub(QuerySpecification(query=query))
    assert sorted(row.device_id for row in answer.items) == expected


def test_query_pages_by_continuation(registry: Any, stations: dict[str, str]) -> None:
    query = QuerySpecification(query="SELECT * FROM devices")
    first = registry.query_iot_hub(query, max_item_count=2)
    rest = registry.query_iot_hub(query, first.continuation_token, 2)
    assert [twin.device_id for twin in first.items + rest.items] == list(RINGS)
    assert rest.continuation_token is None


def test_wrong_query_is_refused_with_its_place(registry: Any) -> None:
    with pytest.raises(HttpOperationError) as refused:
        registry.query_iot_hub(QuerySpecification(query="SELECT * devices"))
    assert refused.value.response.status_code == 400
    assert "expected FROM at character 9" in refused.value.response.json()["Message"]


def test_layer_changes_exactly_its_stations_and_its_end_brings_the_base_back(
    registry: Any, deployments: Any, stations: dict[str, str]
) -> None:
    everybody = "tags.ring='canary' OR tags.ring='broad'"
    deployments.create_configuration(deployment("base", 10, everybody))
    assert desired_versions(registry) == dict.fromkeys(RINGS, "1")
    layer = deployments.create_configuration(
        deployment("model-2", 30, "tags.ring='canary'", LAYER_CONTENT)
    )
    assert desired_versions(registry) == {"station-1": "2", "station-2": "1", "station-3": "1"}
    twin = registry.get_module_twin("station-1", "model_stager")
    assert twin.properties.desired["repository"] == "http://r"
    layer.target_condition = everybody
    deployments.update_configuration(layer, "*")
    assert desired_versions(registry) == dict.fromkeys(RINGS, "2")
    deployments.delete_configuration("model-2")
    assert desired_versions(registry) == dict.fromkeys(RINGS, "1")
    later = registry.get_module_twin("station-1", "model_stager")
    assert later.properties.desired["$version"] > twin.properties.desired["$version"]


def test_system_metrics_count_targeted_and_applied(
    deployments: Any, stations: dict[str, str]
) -> None:
    deployments.create_configuration(deployment("base", 10, "*"))
    deployments.create_configuration(deployment("low", 5, "tags.ring='broad'"))
    results = {
        name: deployments.get_configuration(name).system_metrics.results for name in ("base", "low")
    }
    assert (results["base"]["targetedCount"], results["base"]["appliedCount"]) == (3, 3)
    assert (results["low"]["targetedCount"], results["low"]["appliedCount"]) == (2, 0)


def test_content_of_a_deployment_is_immutable(deployments: Any, stations: dict[str, str]) -> None:
    stored = deployments.create_configuration(
        deployment("model-2", 30, "tags.ring='canary'", LAYER_CONTENT)
    )
    stored.content = ConfigurationContent(
        modules_content={"model_stager": {"properties.desired.model": {"version": "3"}}}
    )
    with pytest.raises(HttpOperationError) as refused:
        deployments.update_configuration(stored, "*")
    assert refused.value.response.status_code == 400
    assert "immutable" in refused.value.response.json()["Message"]


def test_configuration_queries_are_tested(deployments: Any) -> None:
    answer = deployments.test_configuration_queries(
        ConfigurationQueriesTestInput(
            target_condition="properties.desired.x=1",
            custom_metric_queries={"good": "SELECT deviceId FROM devices", "bad": "SELECT"},
        )
    )
    assert "tags and deviceId" in answer.target_condition_error
    assert list(answer.custom_metric_query_errors) == ["bad"]


def test_content_is_applied_to_one_device(
    registry: Any, deployments: Any, stations: dict[str, str]
) -> None:
    deployments.apply_configuration_on_edge_device(
        "station-2", ConfigurationContent(modules_content=BASE_CONTENT)
    )
    twin = registry.get_module_twin("station-2", "model_stager")
    assert twin.properties.desired["model"] == {"version": "1"}


def test_wrong_key_is_refused(world: CloudThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(world.cloud.ca_file))
    text = world.cloud.service_connection_string
    wrong = text.partition("SharedAccessKey=")[0] + "SharedAccessKey=d3Jvbmc="
    manager: Any = IoTHubRegistryManager.from_connection_string(wrong)
    with pytest.raises(HttpOperationError) as refused:
        manager.get_device("station-1")
    assert refused.value.response.status_code == 401
    manager.protocol.close()
