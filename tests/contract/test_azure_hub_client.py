"""AzureHub, the modules' own client, on the local edgeHub: outages, twins, methods, age limits."""

import gc
import queue
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from tests.waiting import WITHIN_S, wait_until

from taktgate.edge.azure_hub import AzureHub
from taktgate.edge.hub import (
    DesiredTwin,
    HubClient,
    HubEvent,
    HubSettings,
    InputMessage,
    LinkFatal,
    LinkState,
    MethodCall,
    MethodRefusedError,
)
from taktgate.standin.azure.certificates import create_authority
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.loopback import LoopbackNetwork
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.local_device import LocalDevice

DEVICE = "station-1"
TIMEOUT_S = WITHIN_S
LONG_S = 60.0
FAST = HubSettings(
    retry_min_s=0.05, retry_max_s=0.1, operation_timeout_s=10.0, fatal_after_refusals=3
)
EDGEHUB: dict[str, Any] = {
    "schemaVersion": "1.2",
    "routes": {
        "a": 'FROM /messages/modules/a/outputs/out INTO BrokeredEndpoint("/modules/b/inputs/in")',
        "b": 'FROM /messages/modules/b/outputs/out INTO BrokeredEndpoint("/modules/b/inputs/in")',
        "c": 'FROM /messages/modules/b/outputs/back INTO BrokeredEndpoint("/modules/a/inputs/in")',
    },
    "storeAndForwardConfiguration": {"timeToLiveSecs": 7200},
}
E = TypeVar("E", bound=HubEvent)
# paho 1.6.1 leaves sockets to the collector: its wake-up pair at each reconnect, and its connection
# when the TLS handshake fails. Its thread ends when a send meets the end of the TLS stream.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <s:pytest.PytestUnraisableExceptionWarning",
    "ignore:Exception in thread:pytest.PytestUnhandledThreadExceptionWarning",
)


class Agent:
    """A module's agent as far as its hub client sees it: one inbox."""

    def __init__(self, module: str, settings: HubSettings) -> None:
        self.inbox: queue.Queue[HubEvent] = queue.Queue()
        self._waiting: list[HubEvent] = []
        self.hub: HubClient = AzureHub(settings)
        self.module = module
        self.hub.start(self.inbox.put)

    def next(self, kind: type[E], *, timeout_s: float = TIMEOUT_S) -> E:
        """Return the next event of *kind*; others wait for their turn."""
        for index, event in enumerate(self._waiting):
            if isinstance(event, kind):
                del self._waiting[index]
                return event
        deadline = time.monotonic() + timeout_s
        while True:
            event = self.inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            if isinstance(event, kind):
                return event
            self._waiting.append(event)


Agents = Callable[..., Agent]


@pytest.fixture(scope="module")
def device(world: CloudThread, network: LoopbackNetwork) -> LocalDevice:
    device = world.run(
        world.cloud.add_device(
            DEVICE, gateway=network.address(2), images=ProcessImages(commands={})
        )
    )
    desired = {"properties": {"desired": EDGEHUB}}
    world.call(world.cloud.hub.change_twin, DEVICE, "$edgeHub", desired)
    return device


@pytest.fixture
def agents(
    world: CloudThread, device: LocalDevice, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Agents]:
    started: list[Agent] = []

    def start(module: str, settings: HubSettings = FAST) -> Agent:
        for name, value in world.run(device.environment(module)).items():
            monkeypatch.setenv(name, value)
        agent = Agent(module, settings)
        started.append(agent)
        agent.next(LinkState)
        return agent

    yield start
    for each in started:
        each.hub.stop()
    # What paho leaves open is collected while the test's own filters hold.
    started.clear()
    gc.collect()


def change_desired(world: CloudThread, module: str, desired: dict[str, Any]) -> None:
    patch = {"properties": {"desired": desired}}
    world.call(world.cloud.hub.change_twin, DEVICE, module, patch)


def reported(world: CloudThread, module: str) -> dict[str, Any]:
    return dict(world.cloud.hub.identity(DEVICE, module).reported)


@pytest.mark.azure(
    "edgeHub",
    "A module gets the messages to one input in the order in which they were sent",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/device/"
    "DeviceMessageHandler.cs",
)
def test_messages_keep_their_order(agents: Agents) -> None:
    sender, receiver = agents("a"), agents("b")
    for number in range(200):
        assert sender.hub.send("out", b"%d" % number, properties={"k": "v"}, ttl_s=LONG_S)
    messages = [receiver.next(InputMessage) for _ in range(200)]
    assert [int(each.payload) for each in messages] == list(range(200))
    assert (messages[0].input, messages[0].properties["k"]) == ("in", "v")


def test_desired_document_is_always_whole(world: CloudThread, agents: Agents) -> None:
    world.run(world.cloud.devices[DEVICE].environment("c"))
    change_desired(world, "c", {"model": {"name": "weld", "version": "1"}})
    agent = agents("c")
    first = agent.next(DesiredTwin)
    assert first.document == {"model": {"name": "weld", "version": "1"}}
    change_desired(world, "c", {"model": {"version": "2"}, "repository": "http://r"})
    second = agent.next(DesiredTwin)
    assert second.document == {
        "model": {"name": "weld", "version": "2"},
        "repository": "http://r",
    }
    change_desired(world, "c", {"model": None})
    third = agent.next(DesiredTwin)
    assert third.document == {"repository": "http://r"}
    assert first.version < second.version < third.version


def test_outage_costs_only_what_expired(
    world: CloudThread, device: LocalDevice, agents: Agents
) -> None:
    agent = agents("b")
    agent.next(DesiredTwin)
    agent.hub.report({"phase": "idle", "old": {"x": 1}})
    world.run(device.edgehub.stop())
    assert not agent.next(LinkState).connected
    agent.hub.send("out", b"too old", ttl_s=0.05)
    agent.hub.send("out", b"still good", ttl_s=LONG_S)
    agent.hub.report({"phase": "busy", "old": None})
    change_desired(world, "b", {"while": "away"})
    time.sleep(0.1)
    world.run(device.edgehub.start())
    assert agent.next(LinkState).connected
    assert agent.next(DesiredTwin).document == {"while": "away"}
    assert agent.next(InputMessage).payload == b"still good"
    wait_until(lambda: reported(world, "b") == {"phase": "busy"})
    wait_until(lambda: agent.hub.counters.sent == 1)
    wait_until(lambda: device.edgehub.queue_lengths["b"] == 0)  # else the next one gets it again
    counters = agent.hub.counters
    assert (counters.dropped_expired, counters.reconnects) == (1, 1)


def test_cut_connection_is_mended(world: CloudThread, device: LocalDevice, agents: Agents) -> None:
    agent = agents("b")
    agent.next(DesiredTwin)
    assert world.call(device.edgehub.drop_connection, "b")
    agent.hub.send("out", b"after the cut", ttl_s=LONG_S)
    assert not agent.next(LinkState).connected
    assert agent.next(LinkState).connected
    assert agent.next(InputMessage).payload == b"after the cut"
    wait_until(lambda: device.edgehub.queue_lengths["b"] == 0)  # else the next one gets it again


def test_client_whose_network_thread_died_is_replaced(
    agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Python 3.12 a send into a lost connection raises what paho 1.6.1 does not catch."""
    agent = agents("b", replace(FAST, operation_timeout_s=1.0))
    agent.next(DesiredTwin)
    send = ssl.SSLSocket.send

    def send_once_into_a_lost_connection(*_: Any) -> int:
        monkeypatch.setattr(ssl.SSLSocket, "send", send)
        raise ssl.SSLEOFError("EOF occurred in violation of protocol")

    monkeypatch.setattr(ssl.SSLSocket, "send", send_once_into_a_lost_connection)
    agent.hub.send("out", b"by the next client", ttl_s=LONG_S)
    while agent.next(InputMessage).payload != b"by the next client":
        pass  # what earlier tests have sent to this module


@pytest.mark.azure(
    "edgeHub",
    "A message waits for a module that is away, and comes when it is back",
    source="learn.microsoft.com/azure/iot-edge/offline-capabilities",
)
def test_message_waits_in_edgehub_for_a_module_that_is_away(
    world: CloudThread, device: LocalDevice, agents: Agents
) -> None:
    receiver = agents("b")
    receiver.next(DesiredTwin)
    receiver.hub.stop()
    agents("a").hub.send("out", b"kept", ttl_s=LONG_S)
    wait_until(lambda: device.edgehub.queue_lengths["b"] >= 1)
    returned = agents("b")
    # A message that a sender sent again when its connection was cut comes before, after a back-off.
    while returned.next(InputMessage).payload != b"kept":
        pass


@pytest.mark.azure(
    "IoT Hub",
    "A direct method's status and payload come back to the cloud as the module gave them",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods",
)
def test_method_is_answered_from_the_inbox(world: CloudThread, agents: Agents) -> None:
    agent = agents("b")
    agent.next(DesiredTwin)
    call = world.cloud.hub.invoke(
        DEVICE,
        "b",
        MethodRequest(name="Reset", payload={"why": "test"}, response_timeout_s=TIMEOUT_S),
    )

    answers: queue.Queue[Any] = queue.Queue()
    caller = threading.Thread(target=lambda: answers.put(world.run(call)))
    caller.start()
    method = agent.next(MethodCall)
    assert (method.name, method.payload) == ("Reset", {"why": "test"})
    method.respond(202, {"done": True})
    answer = answers.get(timeout=TIMEOUT_S)
    caller.join(TIMEOUT_S)
    assert (answer.status, answer.payload) == (202, {"done": True})


@pytest.mark.azure(
    "edgeHub",
    "A method of a module that is away is refused to the module that calls it",
    source="Azure/iotedge doc/edgehub-api.md",
)
def test_module_that_is_away_refuses_a_method(device: LocalDevice, agents: Agents) -> None:
    if device.edgehub.methods_refusal is not None:
        pytest.skip(f"the SDK fixes the port: {device.edgehub.methods_refusal}")
    agent = agents("a")
    with pytest.raises(MethodRefusedError):
        agent.hub.invoke("nobody", "Reset", None, timeout_s=5.0)


def test_full_outbox_refuses_the_newest(agents: Agents) -> None:
    hub = AzureHub(HubSettings(outbox_capacity=2))
    assert hub.send("out", b"1", ttl_s=LONG_S)
    assert hub.send("out", b"2", ttl_s=LONG_S)
    assert not hub.send("out", b"3", ttl_s=LONG_S)
    assert hub.counters.refused_full == 1


def test_certificate_of_a_new_authority_is_fatal(
    world: CloudThread, device: LocalDevice, agents: Agents, network: LoopbackNetwork
) -> None:
    agent = agents("b")
    directory = world.cloud.directory / "other-ca"
    context = create_authority(directory).server_context("other", [network.address(2)])
    world.run(device.edgehub.stop())
    genuine = device.place.tls
    device.edgehub.change_certificate(context)
    try:
        world.run(device.edgehub.start())
        assert "certificate" in agent.next(LinkFatal).reason.lower()
    finally:
        world.run(device.edgehub.stop())
        device.edgehub.change_certificate(genuine)
        world.run(device.edgehub.start())


def test_module_that_receives_and_sends_pays_no_delayed_ack(agents: Agents) -> None:
    """Without TCP_NODELAY each turn takes 40 ms or more (Nagle and delayed ACK, paho 1.6.1)."""
    first, second = agents("a"), agents("b")

    def turn_s() -> float:
        began_s = time.monotonic()
        first.hub.send("out", b"there", ttl_s=LONG_S)
        second.next(InputMessage)
        second.hub.send("back", b"and back", ttl_s=LONG_S)
        first.next(InputMessage)
        return time.monotonic() - began_s

    assert any(turn_s() < 0.03 for _ in range(200))
