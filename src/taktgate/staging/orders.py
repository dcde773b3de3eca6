"""The order desk: what the twin asks for, when its turn is, and when to try again."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import ContractError
from taktgate.contracts.twins import (
    StagerDesired,
    StagerReported,
    StagingPhase,
    TypedError,
    read_desired,
)
from taktgate.staging.activation import ActivationFile
from taktgate.staging.back_off import BackOff
from taktgate.staging.errors import (
    ActivationUnknownError,
    DiskError,
    RetriedError,
    SupersededError,
)
from taktgate.staging.fetch.repository import broken_rule
from taktgate.staging.hold_point import HoldPoint, utc_now
from taktgate.staging.journal import Journal
from taktgate.staging.slots.disk import disk_errors
from taktgate.staging.stager import Stager
from taktgate.staging.states import AT_WORK, Request
from taktgate.staging.surroundings import Surroundings
from taktgate.staging.typed import MESSAGE_BYTES, fitted, typed

log = logging.getLogger(__name__)

POLL_S: Final = 0.5
"""How often `activation.json` and `hold.json` are looked at."""


class OrderDesk:
    """Decides at each step whether to take an order, work on it, or wait."""

    def __init__(
        self,
        *,
        journal: Journal,
        stager: Stager,
        activation: ActivationFile,
        hold_point: HoldPoint,
        surroundings: Surroundings,
        code: str,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = utc_now,
        back_off: BackOff | None = None,
    ) -> None:
        self._journal = journal
        self._stager = stager
        self._activation = activation
        self._hold_point = hold_point
        self._surroundings = surroundings
        self._code = code
        self._clock = clock
        self._wall = wall
        self._back_off = back_off or BackOff()
        self._wanted = journal.record.request
        self._twin_error: TypedError | None = None
        self._obstacle: TypedError | None = None
        self._unsaved: TypedError | None = None
        """How the last attempt ended, when the disk did not even take that."""
        self._due_s = 0.0
        self._retry_at: str | None = None

    @property
    def has_newer_order(self) -> bool:
        """Tell whether the twin asks for something else than what is worked on."""
        return self._wanted != self._journal.record.request

    def take(self, document: Mapping[str, Any]) -> None:
        """Take note of the full desired *document*; a malformed one changes the report alone."""
        try:
            self._wanted = request_in(read_desired(document))
        except ContractError as error:
            log.warning("the desired twin is malformed", extra={"error": str(error)})
            self._twin_error = TypedError(
                reason="BAD_TWIN", message=fitted(str(error), MESSAGE_BYTES)
            )
        else:
            self._twin_error = None

    def work(self, check: Callable[[], None]) -> float:
        """Do what can be done now; return after how many seconds to come back.

        *check* is called between pieces of long work and raises SupersededError to end it.
        """
        try:
            self._step(check)
        except SupersededError:
            return 0.0
        except RetriedError as error:
            self._obstacle = typed(error, self._wanted)
            return POLL_S
        finally:
            self._surroundings.forget()
        self._obstacle = None
        if self._journal.record.phase in AT_WORK:
            return min(POLL_S, max(0.0, self._due_s - self._clock()))
        return POLL_S

    def report(self) -> StagerReported:
        """Return what is the case."""
        record, announced = self._journal.record, self._journal.announced
        view = self._surroundings.view()
        return StagerReported(
            contract=CONTRACT_VERSION,
            code=self._code,
            phase=record.phase,
            order=record.request.model.order if record.request else None,
            course=record.course,
            staged=announced.model if announced else None,
            slot=announced.slot if announced else None,
            progress=self._stager.progress,
            hold=self._hold(),
            live=view.live,
            candidate=view.candidate,
            lastKnownGood=view.last_known_good,
            previous=view.previous,
            registry=view.registry,
            disk=view.disk,
            lastError=self._twin_error or self._obstacle or self._order_error(),
        )

    def _hold(self) -> str | None:
        phase = self._journal.record.phase
        if phase in AT_WORK:
            return self._stager.pause
        if phase is not StagingPhase.HELD:
            return None
        try:
            return self._hold_point.text()
        except ActivationUnknownError as error:
            return fitted(str(error), 200)

    def _order_error(self) -> TypedError | None:
        error = self._unsaved or self._journal.record.error
        return None if error is None else replace(error, retryAt=self._retry_at)

    def _step(self, check: Callable[[], None]) -> None:
        if self.has_newer_order:
            self._take_order()
        activation = self._activation.read()
        record = self._journal.record
        if record.phase not in AT_WORK or record.request is None:
            self._stager.watch(activation)
        elif self._clock() >= self._due_s:
            self._attempt(record.request, check)

    def _take_order(self) -> None:
        with disk_errors():
            self._journal.order(self._wanted)
        self._back_off.reset()
        self._due_s, self._retry_at, self._unsaved = 0.0, None, None

    def _attempt(self, request: Request, check: Callable[[], None]) -> None:
        self._retry_at = self._unsaved = unsaved = None
        try:
            obstacle = self._stager.attempt(request, check).obstacle
        except DiskError as error:
            obstacle, unsaved = error, typed(error, request)
        if obstacle is None or self._journal.record.phase not in AT_WORK:
            self._back_off.reset()
            self._due_s = 0.0
            return
        self._unsaved = unsaved
        pause_s = self._back_off.next_s(wish_s=obstacle.retry_after_s)
        self._due_s = self._clock() + pause_s
        retry_at = self._wall() + timedelta(seconds=pause_s)
        self._retry_at = retry_at.isoformat(timespec="seconds")


def request_in(desired: StagerDesired) -> Request | None:
    """Return what *desired* asks for, None when it asks for nothing.

    Raises:
        ContractError: it asks for a model and does not say where bundles lie, or malformed.
    """
    if desired.model is None:
        return None
    if desired.repository is None:
        raise ContractError("StagerDesired", "repository", "required when there is a model")
    if (rule := broken_rule(desired.repository)) is not None:
        raise ContractError("StagerDesired", "repository", rule)
    return Request(model=desired.model, repository=desired.repository)
