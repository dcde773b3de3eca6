"""Twins of the unmodified azure-iot-device at edgeHub: sync and asyncio, own processes."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.contract.conftest import OpenModule, SdkWorld
from tests.contract.sdk_module import TIMEOUT_S, SdkError, SdkModule


@pytest.fixture
def module(flavour: str, open_module: OpenModule) -> SdkModule:
    return open_module(flavour)


@pytest.fixture
def offline(sdk_world: SdkWorld) -> Iterator[None]:
    sdk_world.cloud.call(sdk_world.device.set_online, False)
    yield
    sdk_world.cloud.call(sdk_world.device.set_online, True)


def patch_of_version(module: SdkModule, version: int) -> dict[str, Any]:
    """Return the patch with *version*; the SDK may have passed whole documents before it."""
    while True:
        patch = module.patches.get(timeout=TIMEOUT_S)
        if patch["$version"] == version:
            return patch


@pytest.mark.azure(
    "edgeHub",
    "A twin GET answers desired and reported properties, each with its $version",
    source="learn.microsoft.com/azure/iot-edge/iot-edge-modules#module-twins",
)
def test_twin_has_both_sections_with_their_versions(sdk_world: SdkWorld, module: SdkModule) -> None:
    version = sdk_world.change_desired(module.name, {"model": {"version": "3"}, "list": [1, "a"]})
    module.report({"live": "3"})
    twin = module.twin()
    desired = {"model": {"version": "3"}, "list": [1, "a"], "$version": version}
    assert twin["desired"] == desired
    assert twin["reported"]["live"] == "3"
    assert twin["reported"]["$version"] >= 2


@pytest.mark.azure(
    "edgeHub",
    "Reported patches merge, and null deletes",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins#device-operations",
)
def test_reported_patches_merge_and_null_deletes(sdk_world: SdkWorld, module: SdkModule) -> None:
    module.report({"model": {"version": "1", "phase": "trial"}, "old": 1, "ratio": 0.5})
    module.report({"model": {"phase": "live"}, "old": None, "flags": [True, {"a": 1}]})
    reported = module.twin()["reported"]
    del reported["$version"]
    expected = {
        "model": {"version": "1", "phase": "live"},
        "ratio": 0.5,
        "flags": [True, {"a": 1}],
    }
    assert reported == expected
    assert sdk_world.reported(module.name) == expected


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels else {}


@pytest.mark.azure(
    "edgeHub",
    "A reported patch beyond the twin's limits is answered with 400 and changes nothing",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/twin/"
    "ReportedPropertiesValidator.cs",
)
@pytest.mark.parametrize(
    "patch",
    [
        {"a.b": 1},
        {"a#b": 1},
        {"a b": 1},
        {"$a": 1},
        {"a": "x" * 4097},
        {"n" * 1025: 1},
        {"a": 2**52 + 1},
        {"a": [1, None]},
        nested(12),
        {f"k{number}": "x" * 4000 for number in range(9)},
    ],
    ids=["dot", "hash", "space", "dollar", "text", "name", "integer", "null", "depth", "size"],
)
def test_reported_patch_beyond_the_limits_changes_nothing(
    sdk_world: SdkWorld, module: SdkModule, patch: dict[str, Any]
) -> None:
    module.report({"good": 1})
    with pytest.raises(SdkError, match=r"ServiceError: .*400"):
        module.report({**patch, "half": 1})
    assert sdk_world.reported(module.name) == {"good": 1}


@pytest.mark.azure(
    "edgeHub",
    "A reported value at the twin's limits is taken",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins#tags-and-properties-format",
)
def test_reported_values_at_the_limits_are_taken(sdk_world: SdkWorld, module: SdkModule) -> None:
    at_limits = {"text": "x" * 4096, "n" * 1024: 1, "least": -(2**52), "deep": nested(8)}
    module.report(at_limits)
    assert sdk_world.reported(module.name) == at_limits


@pytest.mark.azure(
    "edgeHub",
    "A change of the desired properties reaches the module as a patch with its $version",
    source="Azure/iotedge doc/edgehub-api.md",
)
def test_desired_patches_come_in_order_with_their_versions(
    sdk_world: SdkWorld, module: SdkModule
) -> None:
    module.twin()
    module.listen_to_patches()
    changes: list[dict[str, Any]] = [{"a": {"x": 1, "y": 2}}, {"a": {"x": None}}, {"b": [1]}]
    versions = [sdk_world.change_desired(module.name, change) for change in changes]
    first = patch_of_version(module, versions[0])
    rest = [module.patches.get(timeout=TIMEOUT_S) for _ in changes[1:]]
    expected = [
        {**change, "$version": version} for change, version in zip(changes, versions, strict=True)
    ]
    assert [first, *rest] == expected


@pytest.mark.azure(
    "edgeHub",
    "A desired patch is relayed as it is to a module whose twin edgeHub has not stored",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/twin/"
    "StoringTwinManager.cs",
)
def test_patch_reaches_a_module_that_never_read_its_twin(
    sdk_world: SdkWorld, module: SdkModule
) -> None:
    module.listen_to_patches()
    version = sdk_world.change_desired(module.name, {"model": "6"})
    assert module.patches.get(timeout=TIMEOUT_S) == {"model": "6", "$version": version}


@pytest.mark.azure(
    "edgeHub",
    "A module that was away reads on its return the desired properties that changed meanwhile",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins#device-reconnection-flow",
)
def test_change_while_the_module_was_away_is_there_when_it_returns(
    sdk_world: SdkWorld, module: SdkModule
) -> None:
    module.listen_to_patches()
    module.disconnect()
    version = sdk_world.change_desired(module.name, {"model": "4"})
    module.connect()
    assert patch_of_version(module, version)["model"] == "4"


@pytest.mark.azure(
    "edgeHub",
    "Offline, the module's twin is served from the device, its own reports included",
    source="learn.microsoft.com/azure/iot-edge/offline-capabilities#how-it-works",
)
def test_offline_the_twin_is_served_and_reports_are_kept(
    sdk_world: SdkWorld, module: SdkModule, request: pytest.FixtureRequest
) -> None:
    version = sdk_world.change_desired(module.name, {"model": "5"})
    module.twin()
    request.getfixturevalue("offline")
    module.report({"live": "5"})
    twin = module.twin()
    assert twin["desired"] == {"model": "5", "$version": version}
    assert twin["reported"]["live"] == "5"
    assert "live" not in sdk_world.reported(module.name)
    sdk_world.cloud.call(sdk_world.device.set_online, True)
    assert sdk_world.reported(module.name) == {"live": "5"}


@pytest.mark.azure(
    "edgeHub",
    "After the line to the hub is back, a module gets the changes that it missed as one difference",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/twin/"
    "StoringTwinManager.cs",
)
def test_changes_missed_offline_arrive_as_one_difference(
    sdk_world: SdkWorld, module: SdkModule
) -> None:
    sdk_world.change_desired(module.name, {"keep": 1, "drop": 1, "change": 1})
    module.twin()
    module.listen_to_patches()
    sdk_world.cloud.call(sdk_world.device.set_online, False)
    sdk_world.change_desired(module.name, {"drop": None})
    version = sdk_world.change_desired(module.name, {"change": 2})
    sdk_world.cloud.call(sdk_world.device.set_online, True)
    missed = {"drop": None, "change": 2, "$version": version}
    assert patch_of_version(module, version) == missed
