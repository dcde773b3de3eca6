"""A controller in a thread, for code that is not asynchronous: a test with a blocking client."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Final, TypeVar

from taktgate.standin.logix.downloads import Download
from taktgate.standin.logix.faults import Faults
from taktgate.standin.logix.firmware import STANDARD, Firmware
from taktgate.standin.logix.identity import Identity, Mode
from taktgate.standin.logix.memory import TagMemory
from taktgate.standin.logix.server import LogixServer
from taktgate.standin.logix.write_log import LoggedWrite

_TIMEOUT_S: Final = 30.0
Result = TypeVar("Result")


class LogixThread:
    """Serves *memory* from entering to leaving the `with` block.

    Its methods do what those of `LogixServer` do, on the server's own thread; when they return, it
    is done.
    """

    def __init__(
        self,
        memory: TagMemory,
        *,
        firmware: Firmware = STANDARD,
        identity: Identity | None = None,
        address: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self._server = LogixServer(memory, firmware=firmware, identity=identity)
        self._address = address
        self._started: Future[tuple[str, int]] = Future()
        self._thread = threading.Thread(target=self._run, name="logix", daemon=True)

    def __enter__(self) -> "LogixThread":
        self._thread.start()
        self.host, self.port = self._started.result(_TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_TIMEOUT_S)

    @property
    def address(self) -> str:
        """Return `host:port` as pycomm3 takes it."""
        return f"{self.host}:{self.port}"

    def apply(self, faults: Faults) -> None:
        """Put *faults* into force."""
        self._do(lambda: self._server.apply(faults))

    def reset(self) -> None:
        """Reset every TCP connection now."""
        self._do(self._server.reset)

    def forget(self, *, sessions: bool = True) -> None:
        """Forget all class 3 connections, and with *sessions* who has registered."""
        self._do(lambda: self._server.forget(sessions=sessions))

    def download(self, download: Download) -> None:
        """Replace the tag table.

        Raises:
            DownloadError: the change is impossible; nothing has changed.
        """
        self._do(lambda: self._server.download(download))

    def set_mode(self, mode: Mode) -> None:
        """Turn the key."""
        self._do(lambda: self._server.set_mode(mode))

    def power_off(self) -> None:
        """Lose all connections and sessions."""
        self._do(self._server.power_off)

    def power_on(self) -> None:
        """Take clients again."""
        self._do(self._server.power_on)

    def newest_writes(self, count: int) -> tuple[LoggedWrite, ...]:
        """Return the last *count* writes of clients to any tag, oldest first."""
        return self._do(lambda: self._server.newest_writes(count))

    def requests(self) -> Mapping[str, int]:
        """Return how many CIP requests each client (`host:port`) has sent."""
        return self._do(lambda: dict(self._server.requests()))

    def _do(self, action: Callable[[], Result]) -> Result:
        """Run *action* on the server's thread; return what it returns, raise what it raises."""
        done: Future[Result] = Future()

        def run() -> None:
            try:
                done.set_result(action())
            except Exception as error:  # noqa: BLE001 - it belongs to the caller, whatever it is
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(_TIMEOUT_S)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._started.set_result(await self._server.start(*self._address))
        await self._stop.wait()
        await self._server.close()
