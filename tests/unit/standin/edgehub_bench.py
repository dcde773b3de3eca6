"""An edgeHub in simulated time with modules on in-memory wires, and small stores for its parts."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any

from taktgate.standin.azure import simulated_time
from taktgate.standin.azure.clock import Clock, ManualClock
from taktgate.standin.azure.device_link import DeviceLink, Telemetry, TwinProperties
from taktgate.standin.azure.edgehub.database import Database
from taktgate.standin.azure.edgehub.errors import StoreFullError
from taktgate.standin.azure.edgehub.hub import EdgeHub
from taktgate.standin.azure.edgehub.message import RoutedMessage, StoredMessage
from taktgate.standin.azure.edgehub.message_queue import MessageQueue
from taktgate.standin.azure.edgehub.message_store import Entry, MessageStore
from taktgate.standin.azure.edgehub.settings import EdgeHubSettings
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.mqtt import codec
from taktgate.standin.azure.mqtt.sign_in import sign_in
from taktgate.standin.azure.offline_day import wire
from taktgate.standin.azure.simulated_time import LoopClock

DEVICE = "d"
HOSTNAME = "hub.azure-devices.net"
KEY = b"key"
TO_B = 'FROM /messages/modules/a/outputs/{} INTO BrokeredEndpoint("/modules/b/inputs/{}")'
SOON_S = 0.1


@dataclass(slots=True)
class Drops:
    """Keeps what was dropped, and why."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    def dropped(self, reason: str, message: RoutedMessage) -> None:
        self.seen.append((reason, message.payload.decode()))


@dataclass(slots=True)
class Receipt:
    """Knows what became of a message."""

    is_stored: bool | None = None
    error: StoreFullError | None = None

    def stored(self) -> None:
        self.is_stored = True

    def refused(self, error: StoreFullError) -> None:
        self.is_stored = False
        self.error = error


class StoreBench:
    """A message store that commits when it is told, on a clock that is set by hand."""

    def __init__(
        self,
        database: Database | None = None,
        *,
        limit_bytes: int = 10**9,
        clock: Clock | None = None,
    ) -> None:
        self.database = database or Database()
        self.clock = clock or ManualClock()
        self.drops = Drops()
        self.is_disk_full = False
        self.limit_bytes = limit_bytes
        self.store = self._new_store()

    def _new_store(self) -> MessageStore:
        return MessageStore(
            self.database,
            clock=self.clock,
            drops=self.drops,
            limit_bytes=self.limit_bytes,
            is_disk_full=lambda: self.is_disk_full,
        )

    def advance(self, seconds: float) -> None:
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(seconds)

    def queue(self, endpoint: str = "e", priority: int = 0) -> MessageQueue:
        return self.store.queue(endpoint, priority)

    def put(
        self, *names: str, queue: MessageQueue | None = None, ttl_s: float | None = None
    ) -> Receipt:
        """Store messages whose bodies are *names*; the last one's receipt is returned."""
        receipt = Receipt()
        for name in names:
            receipt = Receipt()
            target = self.queue() if queue is None else queue
            entry = Entry(queue=target, message=message(name), ttl_s=ttl_s)
            self.store.deposit([entry], receipt)
        self.store.flush()
        return receipt

    def die_and_come_back(self) -> None:
        """End as a killed process does, and open the same file again."""
        self.store.abandon()
        self.database.abandon()
        self.store = self._new_store()


def message(name: str, *, sender: str = "a", size: int = 0) -> RoutedMessage:
    return RoutedMessage(source="/", sender=sender, payload=name.encode().ljust(size, b"."))


def names(batch: Collection[StoredMessage]) -> list[str]:
    return [each.message.payload.decode() for each in batch]


class FakeHub:
    """The hub's side of a device's line: twins by module, and what has arrived."""

    def __init__(self, **desired: JsonObject) -> None:
        self.desired = {"$edgeHub": desired.pop("edgehub", {}), **desired}
        self.versions = dict.fromkeys(self.desired, 1)
        self.reported: list[tuple[str, JsonObject]] = []
        self.telemetry: list[Telemetry] = []
        self.on_telemetry: Callable[[Telemetry], None] = lambda _: None
        self.link = DeviceLink(self, DEVICE)

    def module_key(self, device: str, module: str) -> bytes | None:
        return KEY

    def generation_id(self, device: str, module: str) -> str:
        return "1"

    def ensure_module(self, device: str, module: str) -> None:
        return None

    def release_module(self, device: str, module: str) -> None:
        return None

    def set_connected(self, device: str, module: str, connected: bool) -> None:
        return None

    def twin_properties(self, device: str, module: str) -> TwinProperties:
        return TwinProperties(
            desired=dict(self.desired.get(module, {})),
            desired_version=self.versions.get(module, 1),
            reported={},
            reported_version=1,
        )

    def patch_reported(self, device: str, module: str, patch: JsonObject) -> int:
        self.reported.append((module, patch))
        return len(self.reported)

    def take_telemetry(self, telemetry: Telemetry) -> None:
        self.telemetry.append(telemetry)
        self.on_telemetry(telemetry)

    def change_desired(self, module: str, patch: JsonObject) -> None:
        """Merge *patch* and tell the device, if it hears."""
        document = self.desired.setdefault(module, {})
        document.update(patch)
        self.versions[module] = self.versions.get(module, 1) + 1
        self.link.deliver_desired(module, patch, self.versions[module])


def edgehub(hub: FakeHub, **options: Any) -> EdgeHub:
    """Return an edgeHub that listens nowhere and tells the loop's time."""
    settings = options.pop("settings", None) or EdgeHubSettings()
    return EdgeHub(
        link=hub.link,
        hub_hostname=HOSTNAME,
        address="nowhere",
        tls=None,
        settings=settings,
        clock=LoopClock(),
        **options,
    )


class Peer:
    """A module on an in-memory wire; it acknowledges what it gets unless told otherwise."""

    def __init__(self, hub: EdgeHub, module: str) -> None:
        self._decoder = codec.Decoder()
        self._transport: Any = None
        self.module = module
        self.packets: list[codec.Packet] = []
        self.is_lost = False
        self.gives_receipts = True
        wire.connect(self, hub.new_connection())  # type: ignore[arg-type]  # a protocol by its methods

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        client_id = f"{DEVICE}/{self.module}"
        self.send(sign_in(HOSTNAME, client_id, key=KEY, lifetime_s=10**6, keep_alive_s=0))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True

    def data_received(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            self.packets.append(packet)
            if isinstance(packet, codec.Publish) and self.gives_receipts:
                self.send(codec.PubAck(packet_id=packet.packet_id))

    def send(self, packet: codec.Packet) -> None:
        self._transport.write(codec.encode(packet))

    def subscribe(self, *filters: str) -> None:
        wanted = filters or (f"devices/{DEVICE}/modules/{self.module}/inputs/#",)
        self.send(codec.Subscribe(packet_id=1, filters=tuple((each, 1) for each in wanted)))

    def publish(self, body: str, *, output: str = "out", packet_id: int = 1) -> None:
        topic = f"devices/{DEVICE}/modules/{self.module}/messages/events/%24.on={output}"
        self.send(codec.Publish(topic=topic, payload=body.encode(), qos=1, packet_id=packet_id))

    def leave(self) -> None:
        self._transport.abort()

    @property
    def bodies(self) -> list[str]:
        """The bodies of all messages that came, in order."""
        return [each.payload.decode() for each in self.packets if isinstance(each, codec.Publish)]

    def of_kind(self, kind: type[codec.Packet]) -> list[Any]:
        return [each for each in self.packets if isinstance(each, kind)]


def routes(**entries: Any) -> dict[str, Any]:
    return {"schemaVersion": "1.2", "routes": entries}


def run(main: Coroutine[Any, Any, None]) -> None:
    simulated_time.run(main)


async def started(hub: FakeHub, **options: Any) -> EdgeHub:
    edge = edgehub(hub, **options)
    await edge.start()
    return edge


async def soon() -> None:
    await asyncio.sleep(SOON_S)
