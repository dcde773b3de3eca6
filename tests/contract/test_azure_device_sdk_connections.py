"""Connections of the unmodified azure-iot-device: dropped, renewed, refused; sync and asyncio."""

import base64
from pathlib import Path

import pytest
from tests.contract.conftest import DEVICE, OpenModule, Pair, SdkWorld, route_between
from tests.contract.sdk_module import SdkError, SdkModule

from taktgate.standin.azure.certificates import create_authority
from taktgate.standin.azure.world.cloud import HUB_HOSTNAME

RETRY = {"connection_retry": True, "connection_retry_interval": 1}
RENEWAL_MARGIN_S = 120
"""The SDK renews its token this long before it expires."""


@pytest.fixture
def retrying(flavour: str, sdk_world: SdkWorld, open_module: OpenModule) -> Pair:
    """A pair whose clients come back by themselves."""
    sender, receiver = open_module(flavour, **RETRY), open_module(flavour, **RETRY)
    receiver.listen_to_messages()
    sdk_world.route(sender.name, route_between(sender, receiver))
    return Pair(sender=sender, receiver=receiver)


@pytest.mark.azure(
    "edgeHub",
    "A session outlives its connection: what came meanwhile is delivered without subscribing anew",
    source="learn.microsoft.com/azure/iot-edge/offline-capabilities#how-it-works",
)
def test_client_whose_connection_was_cut_comes_back_to_its_messages(
    sdk_world: SdkWorld, retrying: Pair
) -> None:
    retrying.receiver.wait_until_connected()
    sdk_world.cut_connection(retrying.receiver.name)
    retrying.receiver.wait_until_connected(False)
    retrying.sender.send("while it was away")
    retrying.receiver.wait_until_connected()
    assert retrying.receiver.body() == "while it was away"


@pytest.mark.azure(
    "edgeHub",
    "A restart of edgeHub loses no message, and clients come back by themselves",
    source="Azure/iotedge test/modules/EdgeHubRestartTester",
)
def test_clients_come_back_after_edgehub_restarts_and_nothing_is_lost(
    sdk_world: SdkWorld, retrying: Pair
) -> None:
    sender, receiver = retrying.sender, retrying.receiver
    receiver.disconnect()
    sender.send("before the restart")
    sdk_world.restart_edgehub()
    sender.wait_until_connected(False)
    sender.wait_until_connected()
    sender.send("after it")
    receiver.connect()
    receiver.wait_for_bodies("before the restart", "after it")


def test_without_edgehub_sending_fails_at_once(
    sdk_world: SdkWorld, flavour: str, open_module: OpenModule
) -> None:
    module = open_module(flavour)
    module.wait_until_connected()
    sdk_world.cloud.run(sdk_world.device.edgehub.stop())
    try:
        module.wait_until_connected(False)
        with pytest.raises(SdkError) as refused:
            module.send("x")
    finally:
        sdk_world.cloud.run(sdk_world.device.edgehub.start())
    assert refused.value.kind == "ConnectionFailedError"
    module.send("auto-connected")


@pytest.mark.azure(
    "edgeHub",
    "A client that renews its token reconnects to its session, and nothing is lost",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-dev-guide-sas",
)
def test_token_is_renewed_by_a_reconnect_that_loses_nothing(
    sdk_world: SdkWorld, flavour: str, open_module: OpenModule
) -> None:
    # The token's end is cut to whole seconds: the renewal comes 0..1 s after the connection.
    sender = open_module(flavour)
    receiver = open_module(flavour, sastoken_ttl=RENEWAL_MARGIN_S + 1, **RETRY)
    receiver.listen_to_messages()
    sdk_world.route(sender.name, route_between(sender, receiver))
    sender.send("with the first token")
    receiver.wait_until_connected()
    receiver.wait_until_connected(False)
    sender.send("between the tokens")
    receiver.wait_until_connected()
    sender.send("with the second token")
    receiver.wait_for_bodies("with the first token", "between the tokens", "with the second token")


def debugging_environment(sdk_world: SdkWorld, module: str, ca_file: Path) -> dict[str, str]:
    """Return what Visual Studio Code sets: no workload API, a connection string and a CA file."""
    sdk_world.cloud.call(sdk_world.device.link.ensure_module, module)
    key = sdk_world.cloud.call(sdk_world.device.link.module_key, module)
    assert key is not None
    fields = {
        "HostName": HUB_HOSTNAME,
        "GatewayHostName": sdk_world.device.place.gateway,
        "DeviceId": DEVICE,
        "ModuleId": module,
        "SharedAccessKey": base64.b64encode(key).decode("ascii"),
    }
    return {
        "EdgeHubConnectionString": ";".join(f"{name}={value}" for name, value in fields.items()),
        "EdgeModuleCACertificateFile": str(ca_file),
    }


@pytest.fixture
def debugged(flavour: str, sdk_world: SdkWorld, open_module: OpenModule) -> SdkModule:
    return open_module(flavour)


@pytest.mark.azure(
    "edgeHub",
    "A module connects with a connection string and the CA file, as from a debugger",
    source="learn.microsoft.com/azure/iot-edge/how-to-vs-code-develop-module",
)
def test_module_connects_as_from_a_debugger(sdk_world: SdkWorld, debugged: SdkModule) -> None:
    environment = debugging_environment(sdk_world, "debugged", sdk_world.cloud.cloud.ca_file)
    debugged.close()
    debugged.open("debugged", environment)
    debugged.connect()
    assert "desired" in debugged.twin()


def test_edgehub_of_another_ca_is_not_trusted(
    sdk_world: SdkWorld, debugged: SdkModule, tmp_path: Path
) -> None:
    other = create_authority(tmp_path)
    environment = debugging_environment(sdk_world, "debugged", other.ca_file)
    debugged.close()
    debugged.open("debugged", environment, connection_retry=False)
    with pytest.raises(SdkError, match=r"TlsExchangeAuthError.*certificate verify failed"):
        debugged.connect()


@pytest.mark.azure(
    "edgeHub",
    "A token signed with another key is refused with CONNACK 5",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Mqtt/"
    "DeviceIdentityProvider.cs",
)
def test_token_of_another_key_is_refused(sdk_world: SdkWorld, debugged: SdkModule) -> None:
    environment = debugging_environment(sdk_world, "debugged", sdk_world.cloud.cloud.ca_file)
    text = environment["EdgeHubConnectionString"]
    wrong = text.partition("SharedAccessKey=")[0] + "SharedAccessKey=" + "d3Jvbmcga2V5"
    debugged.close()
    debugged.open("debugged", {**environment, "EdgeHubConnectionString": wrong})
    with pytest.raises(SdkError) as refused:
        debugged.connect()
    assert refused.value.kind == "CredentialError"


@pytest.mark.azure(
    "edgeHub",
    "An identity has one connection: the newer one ends the older, in another process too",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/"
    "ConnectionManager.cs",
)
def test_second_process_of_an_identity_ends_the_connection_of_the_first(
    flavour: str, open_module: OpenModule
) -> None:
    older = open_module(flavour)
    older.wait_until_connected()
    newer = open_module(flavour, older.name)
    older.wait_until_connected(False)
    newer.send("still here")
