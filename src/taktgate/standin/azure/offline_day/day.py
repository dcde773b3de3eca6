"""The day itself: who sends what to whom, and what goes wrong when."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taktgate.standin.azure.device_link import DeviceLink, Telemetry, TwinProperties
from taktgate.standin.azure.edgehub.hub import EdgeHub
from taktgate.standin.azure.edgehub.message_store import FORGET_WITHIN_S
from taktgate.standin.azure.edgehub.settings import EdgeHubSettings
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.offline_day.ledger import UPSTREAM, Finding, Lane, Ledger
from taktgate.standin.azure.offline_day.module import Arrival, Identity, SimulatedModule
from taktgate.standin.azure.simulated_time import LoopClock

HOUR_S = 3600.0
DEVICE = "edge-1"
HUB_HOSTNAME = "day.azure-devices.net"
KEY = b"one key for all modules of the day"
DEFAULT_PRIORITY = 2_000_000_000
LANES = (
    Lane(sender="camera", output="parts", endpoint="plc/parts", priority=0, ttl_s=None),
    Lane(sender="camera", output="images", endpoint="plc/parts", priority=5, ttl_s=120),
    Lane(sender="camera", output="parts", endpoint=UPSTREAM, priority=DEFAULT_PRIORITY, ttl_s=7200),
    Lane(sender="judge", output="verdicts", endpoint="plc/verdicts", priority=1, ttl_s=600),
    Lane(sender="judge", output="verdicts", endpoint=UPSTREAM, priority=0, ttl_s=None),
    Lane(sender="plc", output="outcomes", endpoint="judge/outcomes", priority=9, ttl_s=None),
    Lane(sender="plc", output="outcomes", endpoint=UPSTREAM, priority=3, ttl_s=300),
)
"""Priority and time to live of each way a message takes."""
OUTPUTS = (("camera", "parts"), ("camera", "images"), ("judge", "verdicts"), ("plc", "outcomes"))
UPSTREAM_PIECE = 10
DRAIN_S = 2 * HOUR_S
"""After the day all is well for so long, that the last message arrives or expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlan:
    """What a day is made of; the times are means of what chance gives."""

    hours: float = 24.0
    seed: int = 1
    burst_every_s: float = 60.0
    """Each output sends some messages about so often."""
    burst_messages: int = 16
    """At most so many."""
    line_cycle_s: float = 300.0
    """So long off, so long on: NetworkController of Azure/iotedge test/modules."""
    line_cycles: int = 6
    """Then as many by chance, and so on."""
    module_goes_every_s: float = 900.0
    edgehub_ends_every_s: float = 1800.0
    withheld_share: float = 0.004
    """Of the receipts that modules owe."""
    puback_lost_every_s: float = 600.0
    """edgeHub keeps a receipt back about so often."""
    cut_share: float = 0.002
    """Of the messages that reach the hub: the line breaks right behind them."""


@dataclass(slots=True, kw_only=True)
class DayReport:
    """What became of a day."""

    plan: DayPlan
    counts: dict[str, int]
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Tell whether every promise was kept."""
        return not self.findings


async def live_through(
    plan: DayPlan, store_file: Path, on_hour: Callable[[int, Mapping[str, int]], None]
) -> DayReport:
    """Live through a day, on a loop with simulated time.

    Args:
        plan: What it is made of.
        store_file: Where edgeHub's database is to be; there must be none.
        on_hour: Called after each hour with its number and the counts up to it.
    """
    day = _Day(plan, store_file)
    await day.edgehub.start()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(job) for job in day.jobs()]
        for hour in range(1, int(plan.hours) + 1):
            await asyncio.sleep(HOUR_S)
            on_hour(hour, day.counts())
        await asyncio.sleep((plan.hours % 1) * HOUR_S)
        for task in tasks:
            task.cancel()
    await day.drain()
    now_s = asyncio.get_running_loop().time()
    return DayReport(plan=plan, counts=day.counts(), findings=day.ledger.findings(now_s))


class _Day:
    def __init__(self, plan: DayPlan, store_file: Path) -> None:
        self._plan = plan
        self._chance = random.Random(plan.seed)  # noqa: S311 - a plan, no secret
        self.ledger = Ledger(LANES)
        self._recent: deque[tuple[float, Arrival]] = deque(maxlen=1000)
        self._events: dict[str, int] = {}
        self._hub = _Hub(self._take_telemetry)
        self._link = DeviceLink(self._hub, DEVICE)
        self._link.on_online(lambda online: self._count("line_mended" if online else "line_cut"))
        self._from_sender: dict[str, deque[Arrival]] = {}
        self.edgehub = EdgeHub(
            link=self._link,
            hub_hostname=HUB_HOSTNAME,
            address="nowhere",
            tls=None,
            settings=EdgeHubSettings(),
            store_file=store_file,
            clock=LoopClock(),
        )
        self._modules = {name: self._module(name) for name in ("camera", "judge", "plc")}

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """Return what goes on all day."""
        sending = [self._send(sender, output) for sender, output in OUTPUTS]
        coming = [self._come_and_go(module) for module in self._modules.values()]
        return [
            *sending,
            *coming,
            self._line_goes_on_and_off(),
            self._edgehub_ends_and_starts(),
            self._edgehub_keeps_receipts_back(),
        ]

    def counts(self) -> dict[str, int]:
        """Return what has happened."""
        withheld = sum(module.withheld for module in self._modules.values())
        return {**self.ledger.counts(), **self._events, "receipts_withheld": withheld}

    async def drain(self) -> None:
        """Let everything be well until all has arrived or expired."""
        await self.edgehub.start()
        self._hub.may_cut = False
        self.edgehub.quirks.turn_off("withhold-puback")
        for module in self._modules.values():
            module.is_reliable = True
            module.come()
        self._link.set_online(True)
        await asyncio.sleep(DRAIN_S)
        await self.edgehub.stop()

    async def _send(self, sender: str, output: str) -> None:
        while True:
            await asyncio.sleep(self._about(self._plan.burst_every_s))
            for _ in range(self._chance.randint(1, self._plan.burst_messages)):
                self._modules[sender].send(output)

    async def _come_and_go(self, module: SimulatedModule) -> None:
        while True:
            module.come()
            await asyncio.sleep(self._about(self._plan.module_goes_every_s))
            module.go()
            self._count("module_gone")
            await asyncio.sleep(self._about(self._plan.module_goes_every_s / 10))

    async def _line_goes_on_and_off(self) -> None:
        while True:
            for _ in range(self._plan.line_cycles):
                await self._line_off(self._plan.line_cycle_s, self._plan.line_cycle_s)
            for _ in range(self._plan.line_cycles):
                off_s = self._about(self._plan.line_cycle_s)
                await self._line_off(off_s, self._about(self._plan.line_cycle_s))

    async def _line_off(self, off_s: float, then_on_s: float) -> None:
        self._link.set_online(False)
        await asyncio.sleep(off_s)
        self._link.set_online(True)
        await asyncio.sleep(then_on_s)

    async def _edgehub_ends_and_starts(self) -> None:
        while True:
            await asyncio.sleep(self._about(self._plan.edgehub_ends_every_s))
            if self._chance.random() < 0.5:
                await self.edgehub.stop()
                self._count("edgehub_stopped")
            else:
                await self.edgehub.kill()
                self._count("edgehub_killed")
            self._forget_recent()
            await asyncio.sleep(self._about(30.0))
            await self.edgehub.start()

    async def _edgehub_keeps_receipts_back(self) -> None:
        while True:
            await asyncio.sleep(self._about(self._plan.puback_lost_every_s))
            self.edgehub.quirks.turn_on("withhold-puback", 1)
            self._count("edgehub_keeps_receipt_back")

    def _module(self, name: str) -> SimulatedModule:
        return SimulatedModule(
            Identity(device=DEVICE, module=name, hub_hostname=HUB_HOSTNAME, key=KEY),
            self.edgehub,
            self.ledger,
            chance=self._chance,
            withheld_share=self._plan.withheld_share,
            on_confirmed=self._confirmed,
        )

    def _confirmed(self, arrival: Arrival) -> None:
        self.ledger.confirmed(*arrival)
        self._recent.append((asyncio.get_running_loop().time(), arrival))

    def _forget_recent(self) -> None:
        """Note that edgeHub has ended: what it learnt last it may not have written down."""
        since_s = asyncio.get_running_loop().time() - FORGET_WITHIN_S
        for at_s, arrival in self._recent:
            if at_s >= since_s:
                self.ledger.forgotten(*arrival)
        self._recent.clear()

    def _take_telemetry(self, telemetry: Telemetry) -> None:
        sender, output, number = telemetry.payload.decode().split()
        arrival = (sender, output, UPSTREAM, int(number))
        self.ledger.arrived(*arrival, asyncio.get_running_loop().time())
        self._confirmed(arrival)
        last = self._from_sender.setdefault(sender, deque(maxlen=UPSTREAM_PIECE))
        last.append(arrival)
        if self._hub.may_cut and self._chance.random() < self._plan.cut_share:
            for each in last:
                self.ledger.forgotten(*each)
            self._count("line_cut_within_a_piece")
            self._link.set_online(False)
            asyncio.get_running_loop().call_later(self._about(20.0), self._link.set_online, True)

    def _about(self, mean_s: float) -> float:
        """Return a time by chance; it is never much longer than its mean."""
        return min(self._chance.expovariate(1 / mean_s), 4 * mean_s)

    def _count(self, event: str) -> None:
        self._events[event] = self._events.get(event, 0) + 1


class _Hub:
    """The hub's side of the line: it has edgeHub's configuration and takes telemetry."""

    def __init__(self, take: Callable[[Telemetry], None]) -> None:
        self._take = take
        self.may_cut = True

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
        desired = _edgehub_desired() if module == "$edgeHub" else {}
        return TwinProperties(desired=desired, desired_version=1, reported={}, reported_version=1)

    def patch_reported(self, device: str, module: str, patch: JsonObject) -> int:
        return 2

    def take_telemetry(self, telemetry: Telemetry) -> None:
        self._take(telemetry)


def _edgehub_desired() -> JsonObject:
    return {"schemaVersion": "1.2", "routes": {f"r{i}": _route(x) for i, x in enumerate(LANES)}}


def _route(lane: Lane) -> JsonObject:
    module, _, input_name = lane.endpoint.partition("/")
    sink = f'BrokeredEndpoint("/modules/{module}/inputs/{input_name}")'
    source = f"FROM /messages/modules/{lane.sender}/outputs/{lane.output}"
    route: JsonObject = {"route": f"{source} INTO {sink if input_name else UPSTREAM}"}
    if lane.priority != DEFAULT_PRIORITY:
        route["priority"] = lane.priority
    if lane.ttl_s is not None:
        route["timeToLiveSecs"] = int(lane.ttl_s)
    return route
