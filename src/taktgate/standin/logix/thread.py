"""A controller in a thread, for code that is not asynchronous: a test with a blocking client."""

import asyncio
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Final

from taktgate.standin.logix.faults import Faults
from taktgate.standin.logix.memory import TagMemory
from taktgate.standin.logix.server import LogixServer

_TIMEOUT_S: Final = 5.0


class LogixThread:
    """Serves *memory* from entering to leaving the `with` block."""

    def __init__(self, memory: TagMemory, *, strict: bool = False) -> None:
        self._server = LogixServer(memory, strict=strict)
        self._started: Future[tuple[str, int]] = Future()
        self._thread = threading.Thread(target=self._run, name="logix", daemon=True)

    def __enter__(self) -> "LogixThread":
        self._thread.start()
        self.host, self.port = self._started.result(_TIMEOUT_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_TIMEOUT_S)

    @property
    def address(self) -> str:
        """Return `host:port` as pycomm3 takes it."""
        return f"{self.host}:{self.port}"

    def apply(self, faults: Faults) -> None:
        """Put *faults* into force."""
        self._loop.call_soon_threadsafe(self._server.apply, faults)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._started.set_result(await self._server.start("127.0.0.1", 0))
        await self._stop.wait()
        await self._server.close()
