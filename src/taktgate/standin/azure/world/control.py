"""The commands to a running world: one table, the same for `taktgate world` and for tests."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT, parse
from taktgate.standin.azure.errors import WorldControlError
from taktgate.standin.azure.world.feed import FeedPage, TelemetryFeed
from taktgate.standin.azure.world.light_faults import FaultOrder, order_fault
from taktgate.standin.azure.world.quirk_orders import QuirkEffect, QuirkOrder, carry_out
from taktgate.standin.azure.world.status import WorldStatus, world_status

if TYPE_CHECKING:  # a command to a running world must not load a whole world
    from taktgate.standin.azure.world.cloud import LocalCloud

LONGEST_WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """A command that needs no more words."""

    __pydantic_config__ = STRICT_DOCUMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOrder:
    """Cut or mend the line to the hub of one device, or of all."""

    __pydantic_config__ = STRICT_DOCUMENT

    is_online: bool
    device: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedOrder:
    """Read the feed after a message's number, waiting for the next one if there is none yet."""

    __pydantic_config__ = STRICT_DOCUMENT

    after: Annotated[int, Field(ge=0)] = 0
    wait_s: Annotated[float, Field(ge=0, le=LONGEST_WAIT_S)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOrder:
    """Evaluate deployments now, and from now on every so often if one of the two is given."""

    __pydantic_config__ = STRICT_DOCUMENT

    period_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """In seconds of the world."""
    at_each_change: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """How many deployments were evaluated for how many devices."""

    deployments: int
    devices: int


class WorldControl:
    """Steers one world. All calls on the event loop of its cloud."""

    def __init__(self, cloud: "LocalCloud", feed: TelemetryFeed) -> None:
        self._cloud = cloud
        self._feed = feed
        self.ended = asyncio.Event()
        """Set when somebody has asked the world to end."""

    async def status(self) -> WorldStatus:
        """Return how the world stands."""
        return world_status(self._cloud, telemetry=self._feed.count)

    async def quirk(self, order: QuirkOrder) -> list[QuirkEffect]:
        """Turn a quirk on or off, or let it happen.

        Raises:
            QuirkError: The order breaks a rule; nothing is changed.
            PortInUseError: edgeHub shall start and its port was taken meanwhile.
        """
        return await carry_out(self._cloud, order)

    async def line(self, order: LineOrder) -> list[QuirkEffect]:
        """Cut or mend the line between device and hub.

        Raises:
            QuirkError: No such device runs here.
        """
        return await carry_out(
            self._cloud, QuirkOrder(name="offline", device=order.device, off=order.is_online)
        )

    async def fault(self, order: FaultOrder) -> list[str]:
        """Let a model fail on light devices, or no longer; return all faults that hold.

        Raises:
            QuirkError: There are no such devices, or the order names nothing to do.
        """
        return order_fault(self._cloud.fleets, order)

    async def evaluate(self, order: EvaluationOrder) -> Evaluated:
        """Give every device now what its deployments say, whatever the period is.

        Raises:
            WorldControlError: The order names a period and none.
        """
        hub = self._cloud.hub
        if order.at_each_change and order.period_s is not None:
            raise WorldControlError("evaluate; rule: a period or at each change, not both")
        if order.at_each_change or order.period_s is not None:
            hub.schedule.set_period(order.period_s)
        hub.evaluate_deployments()
        return Evaluated(deployments=len(hub.configurations.all()), devices=len(hub.devices()))

    async def telemetry(self, order: FeedOrder) -> FeedPage:
        """Return what reached the hub."""
        return await self._feed.read(order.after, order.wait_s)

    async def down(self) -> None:
        """Ask the world to end."""
        self.ended.set()

    async def carry_out(self, command: str, document: Any) -> Any:
        """Run *command* of `COMMANDS` with the order in *document*, a tree of JSON values.

        Raises:
            KeyError: There is no such command.
            ContractError: The order breaks its contract; the message names field and rule.
            AzureStandInError: The command is refused.
        """
        entry = COMMANDS[command]
        return await entry.run(self, parse(entry.order, document))


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: the document that it takes and what it calls."""

    order: type[Any]
    run: Callable[[WorldControl, Any], Awaitable[Any]]


COMMANDS: Final[Mapping[str, Command]] = MappingProxyType(
    {
        "status": Command(order=Nothing, run=lambda control, _: control.status()),
        "quirk": Command(order=QuirkOrder, run=WorldControl.quirk),
        "line": Command(order=LineOrder, run=WorldControl.line),
        "fault": Command(order=FaultOrder, run=WorldControl.fault),
        "evaluate": Command(order=EvaluationOrder, run=WorldControl.evaluate),
        "telemetry": Command(order=FeedOrder, run=WorldControl.telemetry),
        "down": Command(order=Nothing, run=lambda control, _: control.down()),
    }
)
