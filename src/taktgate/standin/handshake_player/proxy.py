"""A proxy between writer and controller: the network, with all the ill will of the model.

Requests that open and close a session go through at once. A request that reads or writes our tags
stops here, and so does its reply, until the stage says what becomes of them. To the writer this is
a network that takes its time; to the controller, a client. It finds its way in the frames without
the writer's codec, which is under test.
"""

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from taktgate.plc.contract.tags import COMMAND_TAG, RESULT, RESULT_TAG, STATUS, STATUS_TAG

_HEADER_BYTES: Final = 24
_SEND_UNIT_DATA: Final = 0x70
_UNREGISTER: Final = 0x66
_IDENTITY_READ: Final = bytes((0x01, 0x02, 0x20, 0x01, 0x24, 0x01))
"""Get_Attributes_All of the identity: the marks are asked for with it (`plc/link/marks.py`)."""
_LIMIT_S: Final = 20.0
"""Of an exchange with our own server: it answers in a millisecond, unless the machine is busy."""
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_TYPE_AND_COUNT: Final = 6
"""Before the data of a structure: `A0 02`, its handle, a count (1756-PM020, Write Tag)."""
_BEFORE_DATA: Final = 2 + _TYPE_AND_COUNT
"""From the name of the array in a write request to its data: the element is one byte."""
_AFTER_SLOT: Final = 1 + _TYPE_AND_COUNT
"""From the number of the element to the data."""
_HEARTBEAT_NAME: Final = b"Heartbeat"
_BEFORE_ATOMIC: Final = 1 + 4
"""From that name, which is odd, to its value: pad, type of two bytes, count."""


class Kind(StrEnum):
    """What a request asks for."""

    SESSION = "session"
    READ = "read"
    WRITE = "write"


class Held:
    """A request that the writer has sent and the controller has not seen; then, its reply."""

    def __init__(self, pipe: "Pipe", kind: Kind, frame: bytes) -> None:
        self.pipe = pipe
        self.kind = kind
        self.frame = frame
        self.answer = b""

    async def execute(self, instead: bytes | None = None) -> None:
        """Have the controller execute it, or another *instead*; the reply stops here."""
        self.answer = await self.pipe.ask(instead or self.frame)

    def reply(self) -> None:
        """Let the reply go on to the writer."""
        self.pipe.give(self.answer)

    def first_result(self) -> tuple[int, bytes]:
        """Return the slot of the first result in a write request, and its bytes."""
        at = self._results_at()[0]
        return self.frame[at - _AFTER_SLOT], self.frame[at : at + RESULT.size]

    def replace_first_result(self, content: bytes) -> None:
        """Have the request carry other bytes for its first result."""
        self.frame = _replaced(self.frame, self._results_at()[0], content)

    def with_contents(self, result: Callable[[int], bytes], status: bytes) -> bytes:
        """Return the request with other contents: by slot, and for the status."""
        frame = self.frame
        for at in self._results_at():
            frame = _replaced(frame, at, result(frame[at - _AFTER_SLOT]))
        if not self.has_result:
            # A status alone is preceded by its first member (`udt_profile`).
            at = frame.index(_HEARTBEAT_NAME) + len(_HEARTBEAT_NAME) + _BEFORE_ATOMIC
            frame = _replaced(frame, at, status[:4])
        return _replaced(frame, self._status_at(), status)

    def status(self) -> bytes:
        """Return the status in a write request."""
        at = self._status_at()
        return self.frame[at : at + STATUS.size]

    @property
    def has_result(self) -> bool:
        """True when it carries a result, and not the status alone."""
        return RESULT_TAG.name.encode("ascii") in self.frame

    def _results_at(self) -> list[int]:
        name = re.escape(RESULT_TAG.name.encode("ascii"))
        return [found.end() + _BEFORE_DATA for found in re.finditer(name, self.frame)]

    def _status_at(self) -> int:
        name = STATUS_TAG.name.encode("ascii")
        # An odd name is padded; its last mention is the whole tag, not one member.
        return self.frame.rindex(name) + len(name) + len(name) % 2 + _TYPE_AND_COUNT


class Pipe:
    """One connection of the writer, and the one to the controller that stands for it."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        hold: Callable[[Held], None],
    ) -> None:
        self._from_client, self._to_client = client
        self._from_server, self._to_server = server
        self._hold = hold
        self._is_deaf = False
        self._is_spared = False
        """The controller's side lives on for a ghost."""

    async def run(self) -> None:
        """Take requests until the writer has gone."""
        try:
            while True:
                frame = await _frame(self._from_client)
                if self._is_deaf:
                    continue
                kind = kind_of(frame)
                if kind is not Kind.SESSION:
                    self._hold(Held(self, kind, frame))
                    continue
                if frame[0] == _UNREGISTER:
                    break
                self.give(await self.ask(frame))
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            self._to_client.close()

    async def ask(self, frame: bytes) -> bytes:
        """Send *frame* to the controller; return its reply.

        Raises:
            OSError: the controller has dropped the session.
        """
        self._to_server.write(frame)
        try:
            async with asyncio.timeout(_LIMIT_S):
                return await _frame(self._from_server)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the controller dropped the session") from error

    def give(self, reply: bytes) -> None:
        """Send *reply* to the writer."""
        self._to_client.write(reply)

    def fall_silent(self) -> None:
        """Forget the session at the controller: the writer gets no answer any more."""
        self._is_deaf = True
        self._to_server.transport.abort()

    def reset(self, *, is_controller_spared: bool) -> None:
        """Reset the writer's connection; the other one lives on for the sake of a ghost."""
        self._is_deaf = True
        self._is_spared = self._is_spared or is_controller_spared
        _reset(self._to_client)
        if not self._is_spared:
            self._to_server.transport.abort()

    def end(self) -> None:
        """Drop both connections."""
        self._to_client.transport.abort()
        self._to_server.transport.abort()


class Proxy:
    """Listens for the writer, and tells `hold` of each request that stops here."""

    def __init__(self, controller: tuple[str, int], hold: Callable[[Held], None]) -> None:
        self._controller = controller
        self._hold = hold
        self._pipes: list[Pipe] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Listen; return `host:port`."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def close(self) -> None:
        """Drop everybody."""
        for pipe in self._pipes:
            pipe.end()
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def newest(self) -> Pipe | None:
        """Return the connection that the writer opened last."""
        return self._pipes[-1] if self._pipes else None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        server = await asyncio.open_connection(*self._controller)
        pipe = Pipe((reader, writer), server, self._hold)
        self._pipes.append(pipe)
        await pipe.run()


def kind_of(frame: bytes) -> Kind:
    """Return what a request asks for, by the tags that it names."""
    if frame[0] != _SEND_UNIT_DATA or _IDENTITY_READ in frame:
        return Kind.SESSION
    if COMMAND_TAG.name.encode("ascii") in frame:
        return Kind.READ
    return Kind.WRITE if STATUS_TAG.name.encode("ascii") in frame else Kind.SESSION


def _replaced(frame: bytes, at: int, content: bytes) -> bytes:
    return frame[:at] + content + frame[at + len(content) :]


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """Return one encapsulated message (CIP Vol 2, 2-3: the length stands in bytes 2 and 3)."""
    header = await reader.readexactly(_HEADER_BYTES)
    return header + await reader.readexactly(int.from_bytes(header[2:4], "little"))


def _reset(writer: asyncio.StreamWriter) -> None:
    if writer.transport.is_closing():
        return
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
