"""Somebody else's controller judges our writer: the real process, the `flat` profile, real TCP.

cm-ethernetip's server has no class 0xAC, no usable templates and no second connection manager: it
knows nothing of us. Its ladder is the test's: a heartbeat, and part numbers that rise.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from ethernetip.cip.identity_info import IdentityInfo
from ethernetip.cip.path import CipPath
from ethernetip.cip.service import CipServiceRequest, CipServiceResponse
from ethernetip.connections.connection_manager import ConnectionManagerObject
from ethernetip.logix import data_types
from ethernetip.logix.logix_dispatcher import LogixDispatcher
from ethernetip.logix.tag_database import TagDatabase
from ethernetip.protocol.eip_adapter import EipAdapter
from tests.integration.writer_station import Station, running_station

from taktgate.contracts.outcome import Outcome
from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.tags import FLAT_TAGS, CipType
from taktgate.standin.azure.loopback import FIRST_GATEWAY_HOST, free_loopback_network
from taktgate.standin.logix.server import DEFAULT_PORT

TYPES = {
    CipType.DINT: data_types.DINT,
    CipType.REAL: data_types.REAL,
    CipType.BOOL: data_types.BOOL,
}
PROGRAMMABLE_CONTROLLER = 14
SYMBOL_CLASS = 0x6B
GET_INSTANCE_ATTRIBUTE_LIST = 0x55
HEARTBEAT_S = 0.1
DEADLINE_MS = 2000
MOST_LOST = 10
IDENTITY = IdentityInfo(
    # From 18 on it would tell "None" as the external access of every tag.
    device_type=PROGRAMMABLE_CONTROLLER,
    major_revision=17,
    product_name="Somebody else's",
)


class Dispatcher(LogixDispatcher):  # type: ignore[misc]  # it has no types
    """The server's own routing, which takes the second page of a tag list for a tag's service.

    Its list begins behind the instance that the request names, a Logix's list with it.
    """

    def on_unhandled(
        self, service_code: int, path: CipPath, data: bytes, default_status: int | None = None
    ) -> CipServiceResponse:
        if (service_code, path.class_id) != (GET_INSTANCE_ATTRIBUTE_LIST, SYMBOL_CLASS):
            return super().on_unhandled(service_code, path, data, default_status)
        before = CipPath(class_id=SYMBOL_CLASS, instance_id=path.instance_id - 1)
        request = CipServiceRequest(service_code=service_code, path=before, data=data)
        symbols = self.get_class(SYMBOL_CLASS)
        listing = symbols.get_service(service_code, is_class_level=True)
        return listing.handler(symbols.get_instance(0), request)


class Adapter(EipAdapter):  # type: ignore[misc]  # it has no types
    """The server as it is, with a way to drop its clients as a power cut does."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__(dispatcher, IDENTITY)
        connections = ConnectionManagerObject()
        connections.dispatch_request = dispatcher.dispatch
        dispatcher.register_class(connections.cip_class)
        # Without it a reply would carry our own connection id back, which no Logix does.
        self.connection_id_lookup = lambda to_target: (
            connections.find_by_ot_id(to_target).to_connection_id
        )
        self._clients: set[asyncio.StreamWriter] = set()

    async def _handle_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._clients.add(writer)
        try:
            await super()._handle_client(reader, writer)
        finally:
            self._clients.discard(writer)

    async def die(self) -> None:
        """Stop listening, and reset every connection."""
        self._server.close()
        for client in tuple(self._clients):
            client.transport.abort()
        await asyncio.sleep(0)


class OtherController:
    """Somebody else's server with our flat tags, and a log of what changed in which order."""

    def __init__(self) -> None:
        self._tags = TagDatabase()
        self._by_name = {
            tag.name: self._tags.add_tag(tag.name, TYPES[tag.atomic], max(tag.dimension, 1))
            for tag in FLAT_TAGS
        }
        self._dispatcher = Dispatcher(self._tags, IDENTITY)
        self._adapter = Adapter(self._dispatcher)
        # An address of its own: while it is away nobody else is given its port.
        self._host = free_loopback_network().address(FIRST_GATEWAY_HOST)
        self.changes: list[str] = []
        """Names of the tags that were written, in order."""
        self._tags.on_any_tag_changed.append(lambda tag, _: self.changes.append(tag.name))
        self.set("VIS01_Cmd_DeadlineMs", DEADLINE_MS)
        self.set("VIS01_Cmd_TriggerId", 100)
        self._by_name["VIS01_Cmd_Enable"].set_data(b"\x01")

    @property
    def address(self) -> str:
        return f"{self._host}:{DEFAULT_PORT}"

    def set(self, name: str, value: int) -> None:
        self._by_name[name].write_dint(0, value)

    def read(self, name: str, slot: int = 0) -> int:
        return int(self._by_name[name].read_dint(4 * slot))

    def flag(self, name: str) -> bool:
        return bool(self._by_name[name].get_data()[0])

    async def start(self) -> None:
        await self._adapter.listen(self._host, DEFAULT_PORT)

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Be away, with all connections reset; the tags stay as they are."""
        await self._adapter.die()
        yield
        self._adapter = Adapter(self._dispatcher)
        await self.start()

    async def beat(self) -> None:
        """Do what a ladder does all the time."""
        count = 0
        while True:
            count += 1
            self.set("VIS01_Cmd_PlcHeartbeat", count)
            await asyncio.sleep(HEARTBEAT_S)

    async def stop(self) -> None:
        await self._adapter.die()


@pytest.fixture(params=["pycomm3", "cached"])
def settings(request: pytest.FixtureRequest) -> dict[str, object]:
    return {"profile": "flat", "backend": request.param, "reply_timeout_ms": 1000}


@asynccontextmanager
async def judged_station(
    folder: Path, settings: dict[str, object]
) -> AsyncIterator[tuple[OtherController, Station]]:
    """The other's controller, and our writer at work on it."""
    plc = OtherController()
    await plc.start()
    beating = asyncio.create_task(plc.beat(), name="ladder")
    try:
        async with running_station(folder, address=plc.address, settings=settings) as station:
            station.start_writer()
            await station.until_ready()
            yield plc, station
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await plc.stop()


async def outcome_of(station: Station, trigger_id: int) -> Outcome:
    """Wait until the part is closed; return what is on record."""
    await station.until(lambda: any(one.trigger_id == trigger_id for one in station.outcomes))
    return next(one for one in station.outcomes if one.trigger_id == trigger_id)


async def pass_part(plc: OtherController, station: Station) -> int:
    """Let parts come until one has its PASS on record; return its trigger id.

    A ladder and a judge that stand still cost a part its verdict, as they should: on a busy machine
    they are this very process.
    """
    for _ in range(MOST_LOST):
        trigger_id = plc.read("VIS01_Cmd_TriggerId") + 1
        plc.changes.clear()
        plc.set("VIS01_Cmd_TriggerId", trigger_id)
        outcome = await outcome_of(station, trigger_id)
        if outcome.verdict is Verdict.PASS and outcome.written:
            return trigger_id
        await station.until_ready()
    raise AssertionError("no part is passed")


def test_each_verdict_lies_in_its_slot_and_the_commit_comes_last(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    async def scenario() -> None:
        async with judged_station(tmp_path, settings) as (plc, station):
            for _ in range(9):
                trigger_id = await pass_part(plc, station)
                slot = trigger_id & 7
                assert plc.read("VIS01_Result_TriggerId", slot) == trigger_id
                assert plc.read("VIS01_Result_Decision", slot) == 1
                begin, end = (
                    plc.read(f"VIS01_Result_{name}", slot) for name in ("SeqBegin", "SeqEnd")
                )
                assert begin == end
                written = [name for name in plc.changes if name.startswith("VIS01_Result_")]
                assert (written[0], written[-1]) == (
                    "VIS01_Result_SeqBegin",
                    "VIS01_Result_SeqEnd",
                )

    asyncio.run(scenario())


def test_the_status_lives_and_says_ready(tmp_path: Path, settings: dict[str, object]) -> None:
    async def scenario() -> None:
        async with judged_station(tmp_path, settings) as (plc, station):
            beat = plc.read("VIS01_Sts_Heartbeat")
            await station.until(lambda: plc.read("VIS01_Sts_Heartbeat") > beat + 2)
            await station.until(lambda: plc.flag("VIS01_Sts_Ready"))
            assert plc.read("VIS01_Sts_State") == 2

    asyncio.run(scenario())


def test_it_is_written_again_after_the_controller_was_away(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    async def scenario() -> None:
        async with judged_station(tmp_path, settings) as (plc, station):
            await pass_part(plc, station)
            async with plc.away():
                await station.until(lambda: station.is_connected is False)
            await station.until_ready()
            await pass_part(plc, station)

    asyncio.run(scenario())
