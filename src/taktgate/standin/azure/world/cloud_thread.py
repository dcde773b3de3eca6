"""A local cloud on an event loop of its own thread, for programs that are not asyncio."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from taktgate.standin.azure.world.cloud import LocalCloud

T = TypeVar("T")

START_TIMEOUT_S = 30.0
CALL_TIMEOUT_S = 30.0


class CloudThread:
    """Runs a `LocalCloud`; `run` and `call` reach into its loop from any other thread.

    Modules that it starts die with its thread, as the kernel ties them to the thread that forks.
    """

    def __init__(self, directory: Path, **options: Any) -> None:
        self._directory = directory
        self._options = options
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = asyncio.Event()
        self._entered = threading.Event()
        self._failure: BaseException | None = None
        self._cloud: LocalCloud | None = None

    def __enter__(self) -> Self:
        """Start the cloud.

        Raises:
            PortInUseError: One of its ports is taken.
        """
        self._thread = threading.Thread(target=self._main, name="local cloud", daemon=True)
        self._thread.start()
        if not self._entered.wait(START_TIMEOUT_S):
            raise TimeoutError("the local cloud did not start in time")
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End modules, edgeHubs and hub, then the thread."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join(CALL_TIMEOUT_S)
        if self._failure is not None and exc is None:
            raise self._failure

    @property
    def cloud(self) -> LocalCloud:
        """The cloud; use its parts by `run` and `call` only."""
        if self._cloud is None:
            raise RuntimeError("the local cloud has not been entered")
        return self._cloud

    def run(self, job: Coroutine[Any, Any, T], *, timeout_s: float = CALL_TIMEOUT_S) -> T:
        """Run a coroutine on the cloud's loop and return its result."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(timeout_s)

    def call(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Call a function on the cloud's loop and return its result."""

        async def job() -> T:
            return function(*arguments, **options)

        return self.run(job())

    def _main(self) -> None:
        try:
            asyncio.run(self._live())
        except Exception as error:  # noqa: BLE001 - raised again in the thread of the caller
            self._failure = error
        finally:
            self._entered.set()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with LocalCloud(self._directory, **self._options) as cloud:
            self._cloud = cloud
            self._entered.set()
            await self._closing.wait()
