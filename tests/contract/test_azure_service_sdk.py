"""The unmodified azure-iot-hub on the local IoT Hub: registry, twins, queries, deployments."""

from collections.abc import Iterator
from typing import Any

import pytest
from azure.iot.hub import IoTHubConfigurationManager, IoTHubRegistryManager
from azure.iot.hub.models import (
    AuthenticationMechanism,
    CloudToDeviceMethod,
    Configuration,
    ConfigurationContent,
    ConfigurationMetrics,
    ConfigurationQueriesTestInput,
    DeviceCapabilities,
    ExportImportDevice,
    QuerySpecification,
    SymmetricKey,
    Twin,
    TwinProperties,
)
from msrest.exceptions import HttpOperationError

from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.method_calls import MethodRequest
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
KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
TWINS_PAGE = "learn.microsoft.com/azure/iot-hub/query-twins"
METHODS_PAGE = "learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods"
RINGS = {"station-1": "canary", "station-2": "broad", "station-3": "broad"}


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


class EchoingDevice:
    """A device that answers each method with what it heard."""

    async def invoke(self, module: str, call: MethodRequest) -> MethodResult:
        heard = {"module": module, "name": call.name, "payload": call.payload}
        return MethodResult(status=207, payload=heard)


def refusal(error: pytest.ExceptionInfo[HttpOperationError]) -> tuple[int, str]:
    response = error.value.response
    return response.status_code, response.headers["iothub-errorcode"]


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


def test_device_keeps_its_keys_and_can_be_disabled(registry: Any) -> None:
    created = registry.create_device_with_sas("press-8", KEY, KEY, "enabled")
    assert created.authentication.symmetric_key.primary_key == KEY
    changed = registry.update_device_with_sas(
        "press-8", created.etag, KEY, KEY, "disabled", status_reason="service"
    )
    assert (changed.status, changed.status_reason) == ("disabled", "service")
    assert changed.status_updated_time > created.status_updated_time
    with pytest.raises(HttpOperationError) as stale:
        registry.update_device_with_sas("press-8", created.etag, KEY, KEY, "enabled")
    assert refusal(stale) == (412, "PreconditionFailed")
    with pytest.raises(HttpOperationError) as second:
        registry.create_device_with_sas("press-8", KEY, KEY, "enabled")
    assert refusal(second) == (409, "DeviceAlreadyExists")
    registry.delete_device("press-8", changed.etag)


def test_devices_with_certificates_have_no_keys(registry: Any) -> None:
    thumb = "A" * 40
    registry.create_device_with_x509("press-9", thumb, thumb, "enabled")
    device = registry.get_device("press-9")
    assert device.authentication.type == "selfSigned"
    assert device.authentication.x509_thumbprint.primary_thumbprint == thumb
    assert registry.get_twin("press-9").authentication_type == "selfSigned"
    registry.delete_device("press-9")


def test_modules_are_updated_and_refused_a_second_time(registry: Any) -> None:
    registry.create_device_with_sas("press-7", "", "", "enabled")
    module = registry.create_module_with_sas("press-7", "probe", "me", KEY, KEY)
    with pytest.raises(HttpOperationError) as second:
        registry.create_module_with_sas("press-7", "probe", "me", KEY, KEY)
    assert refusal(second) == (409, "ModuleAlreadyExistsOnDevice")
    changed = registry.update_module_with_sas("press-7", "probe", "you", module.etag, KEY, KEY)
    assert (changed.managed_by, changed.generation_id) == ("you", module.generation_id)
    assert registry.get_module("press-7", "probe").managed_by == "you"
    registry.delete_device("press-7")


def test_devices_are_listed_counted_and_changed_in_bulk(registry: Any) -> None:
    keys = AuthenticationMechanism(
        type="sas", symmetric_key=SymmetricKey(primary_key=KEY, secondary_key=KEY)
    )
    entries = [
        ExportImportDevice(
            id=f"bulk-{n}",
            import_mode="create",
            status="enabled" if n else "disabled",
            authentication=keys,
            capabilities=DeviceCapabilities(iot_edge=False),
        )
        for n in range(3)
    ]
    assert registry.bulk_create_or_update_devices(entries).is_successful
    assert [each.device_id for each in registry.get_devices(2)] == ["bulk-0", "bulk-1"]
    statistics = registry.get_device_registry_statistics()
    counts = (statistics.total_device_count, statistics.disabled_device_count)
    assert counts == (3, 1)
    assert registry.get_service_statistics().connected_device_count == 0
    removals = [ExportImportDevice(id=each.id, import_mode="delete") for each in entries]
    assert registry.bulk_create_or_update_devices(removals).is_successful
    assert registry.get_devices() == []


def test_twins_of_devices_and_modules_are_replaced(registry: Any, stations: dict[str, str]) -> None:
    registry.update_twin("station-1", Twin(properties=TwinProperties(desired={"a": 1})), "*")
    whole = Twin(tags={"ring": "broad"}, properties=TwinProperties(desired={"b": {"c": 2}}))
    twin = registry.replace_twin("station-1", whole, "*")
    assert {k: v for k, v in twin.properties.desired.items() if k[0] != "$"} == {"b": {"c": 2}}
    assert twin.properties.desired["$metadata"]["b"]["c"]["$lastUpdatedVersion"] == 3
    module = registry.replace_module_twin("station-1", "$edgeHub", Twin(properties=TwinProperties(
        desired={"schemaVersion": "1.2"})), "*")  # fmt: skip
    assert module.properties.desired["schemaVersion"] == "1.2"
    assert registry.get_module_twin("station-1", "$edgeHub").etag == module.etag


@pytest.mark.azure("IoT Hub", "Twins are grouped and aggregated by a query.", source=TWINS_PAGE)
def test_query_groups_and_aggregates(registry: Any, stations: dict[str, str]) -> None:
    text = "SELECT tags.ring AS ring, COUNT() AS numberOfDevices FROM devices GROUP BY tags.ring"
    answer = registry.query_iot_hub(QuerySpecification(query=text))
    rows = sorted((row.additional_properties["ring"], row.additional_properties["numberOfDevices"])
        for row in answer.items)  # fmt: skip
    assert rows == [("broad", 2), ("canary", 1)]
    assert answer.type == "Raw"


@pytest.mark.azure(
    "IoT Hub",
    "Pages follow each other by an opaque token, whatever is deleted meanwhile.",
    source="learn.microsoft.com/rest/api/iothub/service/query/get-twins",
)
def test_pages_go_on_after_a_deletion(registry: Any, stations: dict[str, str]) -> None:
    query = QuerySpecification(query="SELECT deviceId FROM devices")
    registry.create_device_with_sas("station-0", "", "", "enabled")
    first = registry.query_iot_hub(query, max_item_count=1)
    registry.delete_device(first.items[0].device_id)
    registry.create_device_with_sas("station-1", "", "", "enabled", iot_edge=True)
    seen, token = [], first.continuation_token
    while token:
        page = registry.query_iot_hub(query, token, 1)
        seen += [row.device_id for row in page.items]
        token = page.continuation_token
    registry.delete_device("station-0")
    assert seen == ["station-2", "station-3", "station-0", "station-1"]


@pytest.mark.azure("IoT Hub", "A direct method answers status and payload.", source=METHODS_PAGE)
def test_methods_reach_modules_and_are_answered(
    world: CloudThread, registry: Any, stations: dict[str, str]
) -> None:
    call = CloudToDeviceMethod(
        method_name="ping", payload={"x": 1}, response_timeout_in_seconds=5,
        connect_timeout_in_seconds=0,
    )  # fmt: skip
    with pytest.raises(HttpOperationError) as away:
        registry.invoke_device_module_method("station-1", "$edgeAgent", call)
    assert refusal(away) == (404, "DeviceNotOnline")
    world.call(setattr, world.cloud.hub.link("station-1"), "method_target", EchoingDevice())
    result = registry.invoke_device_module_method("station-1", "$edgeAgent", call)
    assert (result.status, result.payload["module"]) == (207, "$edgeAgent")
    own = registry.invoke_device_method("station-1", call)
    assert own.payload == {"module": "", "name": "ping", "payload": {"x": 1}}
    with pytest.raises(HttpOperationError) as unknown:
        registry.invoke_device_module_method("station-1", "none", call)
    assert refusal(unknown) == (404, "ModuleNotFound")


def test_configuration_comes_back_as_it_was_sent(
    deployments: Any, stations: dict[str, str]
) -> None:
    sent = deployment("base", 10, "tags.ring='canary'")
    sent.labels = {"app": "qc"}
    sent.metrics = ConfigurationMetrics(queries={"all": "SELECT deviceId FROM devices"})
    deployments.create_configuration(sent)
    got = deployments.get_configuration("base")
    assert (got.labels, got.content.modules_content) == ({"app": "qc"}, BASE_CONTENT)
    assert (got.metrics.queries["all"], got.metrics.results["all"]) == (
        "SELECT deviceId FROM devices", 3,
    )  # fmt: skip
    assert set(got.system_metrics.queries) == set(got.system_metrics.results) == {
        "targetedCount", "appliedCount", "reportedSuccessfulCount", "reportedFailedCount",
    }  # fmt: skip
    assert got.created_time_utc == got.last_updated_time_utc
    with pytest.raises(HttpOperationError) as second:
        deployments.create_configuration(sent)
    assert refusal(second) == (409, "ConfigurationAlreadyExists")


def test_stale_configuration_is_not_written(deployments: Any, stations: dict[str, str]) -> None:
    stored = deployments.create_configuration(deployment("base", 10, "*"))
    old = f'"{stored.etag}"'
    stored.priority = 11
    deployments.update_configuration(stored, old)
    stored.priority = 12
    with pytest.raises(HttpOperationError) as stale:
        deployments.update_configuration(stored, old)
    assert refusal(stale) == (412, "PreconditionFailed")
    assert deployments.get_configuration("base").priority == 11


def test_policies_of_the_hub_have_connection_strings_of_their_own(
    world: CloudThread, monkeypatch: pytest.MonkeyPatch, stations: dict[str, str]
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(world.cloud.ca_file))
    host = world.cloud.service_connection_string.partition(";")[0].removeprefix("HostName=")
    login = world.cloud.hub.policies.connection_string(host, "service")
    manager: Any = IoTHubRegistryManager.from_connection_string(login)
    assert manager.get_twin("station-1").device_id == "station-1"
    with pytest.raises(HttpOperationError) as refused:
        manager.delete_device("station-1")
    assert refusal(refused) == (401, "IotHubUnauthorizedAccess")
    manager.protocol.close()
