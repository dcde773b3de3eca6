"""A hub client's worker: one thread that keeps the link, the outbox and the twin going."""

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from taktgate.edge.hub import (
    Deliver,
    HubCounters,
    HubSettings,
    HubUnreachableError,
    LinkFatal,
    LinkState,
    MethodCall,
    MethodRefusedError,
    MethodResult,
)
from taktgate.edge.hub_health import LinkHealth
from taktgate.edge.hub_outbox import Outbox, OutgoingMessage
from taktgate.edge.hub_transport import (
    HubTransport,
    LinkLostError,
    OperationRefusedError,
    Receivers,
)
from taktgate.edge.hub_twins import DesiredState, ReportedState, VersionGapError

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 10.0
REPORT_AGAIN_S = 30.0
"""After a refused report: a hub that throttles takes it later, and a last word must not be lost."""
MAX_MESSAGE_BYTES = 255 * 1024
"""edgeHub refuses messages above 256 KiB; system properties come on top of ours."""


class HubLink:
    """Implements `taktgate.edge.hub.HubClient` on a transport."""

    def __init__(
        self,
        transport: HubTransport,
        settings: HubSettings | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        report_again_s: float = REPORT_AGAIN_S,
    ) -> None:
        self._report_again_s = report_again_s
        self._transport = transport
        self._settings = settings or HubSettings()
        self._outbox = Outbox(self._settings.outbox_capacity, now)
        self._health = LinkHealth(self._settings, now)
        self._desired = DesiredState()
        self._reported = ReportedState()
        self._deliver: Deliver = lambda _: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._stopping = asyncio.Event()
        self._link_down = asyncio.Event()
        self._has_messages = asyncio.Event()
        self._has_twin_work = asyncio.Event()
        self._is_twin_stale = True
        self._answers: set[asyncio.Task[None]] = set()
        self._sent = 0
        self._connects = 0

    @property
    def counters(self) -> HubCounters:
        """What happened since the start."""
        return HubCounters(
            sent=self._sent,
            dropped_expired=self._outbox.dropped_expired,
            refused_full=self._outbox.refused_full,
            reconnects=max(0, self._connects - 1),
        )

    def start(self, deliver: Deliver) -> None:
        """Return at once; connect in the background and retry for ever."""
        self._deliver = deliver
        self._thread = threading.Thread(target=self._run, name="hub link", daemon=True)
        self._thread.start()

    def send(
        self,
        output: str,
        payload: bytes,
        *,
        properties: Mapping[str, str] | None = None,
        ttl_s: float,
    ) -> bool:
        """Queue a JSON message; return False when the outbox is full (counted).

        Raises:
            ValueError: The message is larger than edgeHub takes.
        """
        given = dict(properties or {})
        size_bytes = len(payload) + sum(len(k) + len(v) for k, v in given.items())
        if size_bytes > MAX_MESSAGE_BYTES:
            raise ValueError(f"message of {size_bytes} bytes; rule: at most {MAX_MESSAGE_BYTES}")
        is_queued = self._outbox.put(output, payload, given, ttl_s=ttl_s)
        self._call_soon(self._has_messages.set)
        return is_queued

    def report(self, patch: Mapping[str, object]) -> None:
        """Merge *patch* (null deletes) into the reported properties."""
        self._reported.report(patch)
        self._call_soon(self._has_twin_work.set)

    def invoke(
        self, module: str, method: str, payload: object, *, timeout_s: float
    ) -> MethodResult:
        """Call a direct method of another module of this device.

        Raises:
            HubUnreachableError: edgeHub's HTTPS port does not answer within *timeout_s*.
            MethodRefusedError: The module is not there, too slow, or edgeHub refused the call.
        """
        if self._loop is None or not self._connects:
            raise HubUnreachableError("not connected yet")
        call = self._transport.invoke(module, method, payload, timeout_s=timeout_s)
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result(timeout_s)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise HubUnreachableError(f"{module}.{method}: no answer in {timeout_s} s") from None
        except LinkLostError as error:
            raise HubUnreachableError(f"{module}.{method}: {error}") from error
        except OperationRefusedError as error:
            raise MethodRefusedError(f"{module}.{method}: {error}") from error

    def stop(self) -> None:
        """Close the link; what is still queued is lost."""
        self._is_stopping = True
        self._call_soon(self._stopping.set)
        if self._thread is not None:
            self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:
            log.exception("hub client ended")
            self._deliver(LinkFatal(reason=f"hub client ended: {error}"))

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._is_stopping:
            self._stopping.set()
        try:
            await _first_end(self._keep_connected(), self._stopping.wait())
        finally:
            try:
                await self._transport.close()
            except (LinkLostError, OperationRefusedError) as error:
                log.info("hub client closed with an error", extra={"reason": str(error)})

    async def _keep_connected(self) -> None:
        delay_s = self._settings.retry_min_s
        while True:
            connects = self._connects
            try:
                await self._connect_and_serve()
            except LinkLostError as error:
                self._health.failed(error)
            except OperationRefusedError as error:
                log.error("edgeHub refuses the twin", extra={"reason": str(error)})
            if reason := self._health.fatal_reason():
                log.critical("hub link given up", extra={"reason": reason})
                self._deliver(LinkFatal(reason=reason))
            if self._connects > connects:
                delay_s = self._settings.retry_min_s
            await self._disconnect()
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, self._settings.retry_max_s)

    async def _connect_and_serve(self) -> None:
        self._link_down.clear()
        await self._transport.connect(self._receivers())
        self._connects += 1
        self._health.connected()
        self._deliver(LinkState(connected=True))
        try:
            await _first_end(self._watch_link(), self._sync_twin(), self._empty_outbox())
        finally:
            self._deliver(LinkState(connected=False))

    async def _disconnect(self) -> None:
        try:
            await self._transport.disconnect()
        except (LinkLostError, OperationRefusedError) as error:
            log.info("hub disconnected with an error", extra={"reason": str(error)})

    def _receivers(self) -> Receivers:
        return Receivers(
            on_message=self._deliver,
            on_desired_patch=lambda patch: self._call_soon(self._take_patch, patch),
            on_method=self._deliver_method,
            on_disconnected=lambda: self._call_soon(self._link_down.set),
        )

    async def _watch_link(self) -> None:
        if self._transport.is_connected:
            await self._link_down.wait()
        raise LinkLostError("connection dropped")

    async def _sync_twin(self) -> None:
        self._is_twin_stale = True
        while True:
            self._has_twin_work.clear()
            if self._is_twin_stale:
                self._is_twin_stale = False
                self._take_twin(await self._transport.twin())
            patch = self._reported.take_patch()
            is_taken = not patch or await self._send_report(patch)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if is_taken else self._report_again_s):
                    await self._has_twin_work.wait()

    def _take_twin(self, twin: Mapping[str, Any]) -> None:
        self._reported.connected(twin.get("reported") or {})
        desired = twin.get("desired") or {}
        if "$version" not in desired:
            log.warning("edgeHub has no desired properties yet: offline since its first start")
        elif (news := self._desired.replace(desired)) is not None:
            self._deliver(news)

    def _take_patch(self, patch: Mapping[str, Any]) -> None:
        try:
            news = self._desired.patch(patch)
        except VersionGapError:
            self._is_twin_stale = True
            self._has_twin_work.set()
        else:
            if news is not None:
                self._deliver(news)

    async def _send_report(self, patch: dict[str, object]) -> bool:
        """Send *patch*; return False when it is refused: all is sent again, soon or later."""
        try:
            await self._transport.report(patch)
        except OperationRefusedError as error:
            log.error("reported properties refused", extra={"reason": str(error)})
            self._reported.refuse()
            return False
        self._reported.confirm()
        return True

    async def _empty_outbox(self) -> None:
        while True:
            self._has_messages.clear()
            while (message := self._outbox.take()) is not None:
                await self._send_message(message)
            await self._has_messages.wait()

    async def _send_message(self, message: OutgoingMessage) -> None:
        is_settled = False
        try:
            await self._transport.send(message)
            self._sent += 1
            is_settled = True
        except OperationRefusedError as error:
            log.error("message refused", extra={"output": message.output, "reason": str(error)})
            is_settled = True
        finally:
            if not is_settled:
                self._outbox.put_back(message)

    def _deliver_method(self, request_id: str, name: str, payload: object) -> None:
        def respond(status: int, answer: object) -> None:
            self._call_soon(self._start_answer, request_id, status, answer)

        self._deliver(MethodCall(name=name, payload=payload, respond=respond))

    def _start_answer(self, request_id: str, status: int, payload: object) -> None:
        task = asyncio.create_task(self._answer(request_id, status, payload))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _answer(self, request_id: str, status: int, payload: object) -> None:
        try:
            await self._transport.answer(request_id, status, payload)
        except (LinkLostError, OperationRefusedError) as error:
            log.warning("answer to a direct method lost", extra={"reason": str(error)})

    def _call_soon(self, callback: Callable[..., object], *arguments: object) -> None:
        """Run *callback* on the worker; without effect before `start` and after `stop`."""
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            log.debug("hub client is closed")


async def _first_end(*jobs: Coroutine[Any, Any, Any]) -> None:
    """Run *jobs* until the first ends; cancel the others; raise what went wrong."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end
