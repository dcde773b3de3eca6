"""A controller whose program is the test's own hand: only its heartbeat runs by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from taktgate.plc.contract.encoding import Value, unpack
from taktgate.plc.contract.tags import COMMAND_TAG, RESULT, RESULT_TAG, TAGS, slot_of
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.server import LogixServer

HEARTBEAT_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class HandPlc:
    """Its address, and its memory."""

    address: str
    memory: TagMemory
    server: LogixServer

    def command(self, member: str, value: Value) -> None:
        """Set a member of `VIS01_Cmd`."""
        self.memory.store(COMMAND_TAG.name, member, value)

    def result(self, trigger_id: int) -> dict[str, Value]:
        """Return the result slot of *trigger_id*."""
        return unpack(RESULT, self.memory.element(RESULT_TAG.name, slot_of(trigger_id)))


@asynccontextmanager
async def hand_plc(*, deadline_ms: int) -> AsyncIterator[HandPlc]:
    """Serve a controller with our tags, part 100 being the newest."""
    memory = TagMemory(symbols_of(TAGS))
    server = LogixServer(memory)
    host, port = await server.start("127.0.0.1", 0)
    plc = HandPlc(address=f"{host}:{port}", memory=memory, server=server)
    for member, value in {"TriggerId": 100, "DeadlineMs": deadline_ms, "Enable": True}.items():
        plc.command(member, value)
    beating = asyncio.create_task(_beat(plc), name="ladder")
    try:
        yield plc
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await server.close()


async def _beat(plc: HandPlc) -> None:
    count = 0
    while True:
        count += 1
        plc.command("PlcHeartbeat", count)
        await asyncio.sleep(HEARTBEAT_S)
