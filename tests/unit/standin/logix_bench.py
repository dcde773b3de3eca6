"""A controller on TCP and a client that speaks to it byte by byte."""

import asyncio
import itertools
import struct
from collections.abc import Awaitable, Callable
from typing import Final

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.logix.encapsulation import Frame, ItemType, encode_items
from taktgate.standin.logix.firmware import STANDARD, Firmware
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.server import LogixServer

REGISTER: Final = struct.pack("<HHII8sIHH", 0x65, 4, 0, 0, b"context_", 0, 1, 0)
LIST_IDENTITY: Final = struct.pack("<HHII8sI", 0x63, 0, 0, 0, b"context_", 0)
READ, WRITE = 0x4C, 0x4D

Scenario = Callable[[LogixServer, int], Awaitable[None]]
_serials: Final = itertools.count(1)


def serve(
    scenario: Scenario, *, memory: TagMemory | None = None, firmware: Firmware = STANDARD
) -> None:
    """Run *scenario* with a controller and its port; 60 s are the limit of everything."""

    async def run() -> None:
        server = LogixServer(memory or TagMemory(symbols_of(TAGS)), firmware=firmware)
        _, port = await server.start("127.0.0.1", 0)
        try:
            async with asyncio.timeout(60):
                await scenario(server, port)
        finally:
            await server.close()

    asyncio.run(run())


def path(*names: str | int) -> bytes:
    """Return an EPATH of symbols, with an element where a number is."""
    parts = []
    for name in names:
        if isinstance(name, int):
            parts.append(bytes((0x28, name)))
        else:
            parts.append(bytes((0x91, len(name))) + name.encode() + b"\0" * (len(name) % 2))
    return b"".join(parts)


def request(service: int, where: bytes, data: bytes = b"") -> bytes:
    return bytes((service, len(where) // 2)) + where + data


def dint(value: int) -> bytes:
    return struct.pack("<HHi", 0xC4, 1, value)


def set_state(value: int) -> bytes:
    """Return a write to VIS01_Sts.State."""
    return request(WRITE, path("VIS01_Sts", "State"), dint(value))


def packet(*services: bytes) -> bytes:
    """Return a Multiple Service Packet of *services*."""
    offsets, position = [], 2 + 2 * len(services)
    for service in services:
        offsets.append(position)
        position += len(service)
    body = struct.pack(f"<{len(services) + 1}H", len(services), *offsets) + b"".join(services)
    return request(0x0A, b"\x20\x02\x24\x01", body)


def status_of(reply: bytes) -> tuple[int, int | None]:
    """Return general and extended status of a CIP reply."""
    return reply[2], struct.unpack_from("<H", reply, 4)[0] if reply[3] else None


class Peer:
    """A client whose every byte the test chooses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.session = 0
        self.connection = 0
        self._sequence = 0

    @classmethod
    async def connect(cls, port: int) -> "Peer":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @classmethod
    async def opened(cls, port: int) -> "Peer":
        """Return a client with a session and a class 3 connection."""
        peer = await cls.connect(port)
        await peer.register()
        assert status_of(await peer.forward_open()) == (0, None)
        return peer

    async def ask(self, frame: bytes) -> bytes:
        self.writer.write(frame)
        return await self.next_frame()

    async def next_frame(self) -> bytes:
        header = await self.reader.readexactly(24)
        return header + await self.reader.readexactly(struct.unpack_from("<H", header, 2)[0])

    async def register(self) -> int:
        """Return the encapsulation status of a registration."""
        reply = await self.ask(REGISTER)
        self.session, status = struct.unpack_from("<II", reply, 4)
        return int(status)

    async def forward_open(self) -> bytes:
        serial = next(_serials) & 0xFFFF
        rates = (2_113_537, 0x4200_0FA0, 2_113_537, 0x4200_0FA0)
        fields = struct.pack("<BBIIHHIB3xIIIIB", 10, 5, 0, 0x77, serial, 2, 3, 7, *rates, 0xA3)
        message = request(0x5B, b"\x20\x06\x24\x01", fields + b"\x03\x01\x00\x20\x02\x24\x01")
        items = [(int(ItemType.NULL_ADDRESS), b""), (int(ItemType.UNCONNECTED_DATA), message)]
        reply = (await self.ask(self._frame(0x6F, items)))[40:]
        if reply[2] == 0:
            (self.connection,) = struct.unpack_from("<I", reply, 4)
        return reply

    def connected(self, message: bytes) -> bytes:
        """Return the frame of *message* on the connection, with the next sequence count."""
        self._sequence += 1
        items = [
            (int(ItemType.CONNECTED_ADDRESS), struct.pack("<I", self.connection)),
            (int(ItemType.CONNECTED_DATA), struct.pack("<H", self._sequence) + message),
        ]
        return self._frame(0x70, items)

    async def send(self, message: bytes) -> bytes:
        """Return the CIP reply to *message* on the connection."""
        return (await self.ask(self.connected(message)))[46:]

    async def is_silent(self, seconds: float = 0.05) -> bool:
        """Tell whether nothing comes for so long; the connection stays."""
        try:
            async with asyncio.timeout(seconds):
                await self.reader.readexactly(1)
        except TimeoutError:
            return True
        return False

    async def is_closed(self) -> bool:
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True
        finally:
            self.writer.close()

    async def is_reset(self) -> bool:
        """Tell whether the connection ends by an RST, not by a FIN."""
        try:
            await self.reader.read(1)
        except ConnectionResetError:
            return True
        finally:
            self.writer.close()
        return False

    def close(self) -> None:
        self.writer.close()

    def _frame(self, command: int, items: list[tuple[int, bytes]]) -> bytes:
        data = encode_items(items)
        return Frame(command=command, session=self.session, context=b"_tests__", data=data).encode()


def sequence_of(frame: bytes) -> int:
    """Return the sequence count of a SendUnitData reply."""
    return int.from_bytes(frame[44:46], "little")
