"""The infer service: answers the questions of `/infer`, one at a time, with a runner of its own.

The runner that judges parts is never asked. This one serves the same bundle in another process at
idle priority; it is started by the first question, follows the live model, is replaced when it
hangs, and ends when nobody has asked for a while. One thread owns all of it, at
idle priority as well: what it starts inherits that, and dies with it.
"""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from taktgate.edge.clock import SECOND, monotonic_ns
from taktgate.edge.process import take_idle_priority
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.pool.starter import Terms
from taktgate.inspection.surface.board import LiveModel
from taktgate.inspection.surface.errors import (
    BusyError,
    SurfaceError,
    UnavailableError,
)
from taktgate.inspection.surface.infer_work import InferWork, Question, Reply
from taktgate.inspection.surface.limits import Limits
from taktgate.inspection.surface.slots import SlotCatalog

log = logging.getLogger(__name__)

_WAKE_S: Final = 1.0


class InferService:
    """Answers questions; `ask` may be called from any thread."""

    def __init__(
        self,
        terms: Terms,
        catalog: SlotCatalog,
        live: Callable[[], LiveModel | None],
        *,
        run_limit_ns: int,
        limits: Limits,
        at_idle_priority: bool = True,
    ) -> None:
        self._terms = terms
        self._catalog = catalog
        self._live = live
        self._run_limit_ns = run_limit_ns
        self._limits = limits
        self._at_idle_priority = at_idle_priority
        self._questions: queue.Queue[tuple[Question, Future[Reply]]] = queue.Queue(limits.waiting)
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="infer", daemon=True)
        self.pids: tuple[int, ...] = ()
        """The processes that work for the infer service now."""

    def start(self) -> None:
        """Start the infer service's thread; processes come with the first question."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and with it the processes."""
        self._is_stopping.set()
        self._thread.join(timeout=10)

    def ask(self, question: Question) -> "Future[Reply]":
        """Return the reply to come: a `Reply`, or one of `SurfaceError`.

        Raises:
            BusyError: as many questions as may wait are waiting.
        """
        reply: Future[Reply] = Future()
        try:
            self._questions.put_nowait((question, reply))
        except queue.Full:
            raise BusyError(f"{self._limits.waiting} questions wait already") from None
        return reply

    def _serve(self) -> None:
        if self._at_idle_priority:
            take_idle_priority()
        with FrameRing(slots=1) as ring:
            work = InferWork(self._terms, self._catalog, ring, run_limit_ns=self._run_limit_ns)
            try:
                self._serve_with(work)
            finally:
                work.close()
                self.pids = ()

    def _serve_with(self, work: InferWork) -> None:
        asked_ns = monotonic_ns()
        while not self._is_stopping.is_set():
            try:
                question, reply = self._questions.get(timeout=_WAKE_S)
            except queue.Empty:
                if monotonic_ns() - asked_ns > self._limits.idle_end_s * SECOND:
                    work.close()
                work.tend()
            else:
                asked_ns = monotonic_ns()
                if reply.set_running_or_notify_cancel():
                    self._answer(work, question, reply)
            self.pids = work.pids()

    def _answer(self, work: InferWork, question: Question, reply: "Future[Reply]") -> None:
        result: Reply | SurfaceError
        try:
            result = work.answer(question, self._live())
        except SurfaceError as error:
            result = error
        except Exception:
            log.exception("the infer service failed; it begins anew")
            work.close()
            result = UnavailableError("the infer service failed; it begins anew")
        self.pids = work.pids()
        if isinstance(result, SurfaceError):
            reply.set_exception(result)
        else:
            reply.set_result(result)
