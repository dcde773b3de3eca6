"""The order desk: what the twin asks for, when its turn is, and when to try again."""

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import ContractError
from taktgate.contracts.twins import (
    StagerDesired,
    StagerReported,
    TypedError,
    read_desired,
)
from taktgate.staging.activation import ActivationFile, is_trial_running
from taktgate.staging.errors import RetriedError, SupersededError, TrialRunningError
from taktgate.staging.fetch.repository import broken_rule
from taktgate.staging.journal import Journal
from taktgate.staging.slots.disk import disk_errors
from taktgate.staging.stager import Stager, typed
from taktgate.staging.states import AT_WORK, Request

log = logging.getLogger(__name__)

POLL_S: Final = 0.5
"""How often `activation.json` is looked at."""
SHORTEST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
_CHANCE: Final = secrets.SystemRandom()


class BackOff:
    """Pauses that double from 0.5 s to 30 s, shortened by chance so that a fleet spreads out."""

    def __init__(self, *, chance: Callable[[], float] = _CHANCE.random) -> None:
        self._chance = chance
        self._pause_s = SHORTEST_PAUSE_S

    def reset(self) -> None:
        """Start again with the shortest pause."""
        self._pause_s = SHORTEST_PAUSE_S

    def next_s(self) -> float:
        """Return the next pause."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return max(SHORTEST_PAUSE_S, pause_s * (1 - 0.25 * self._chance()))


class OrderDesk:
    """Decides at each step whether to take an order, work on it, or wait."""

    def __init__(
        self,
        *,
        journal: Journal,
        stager: Stager,
        activation: ActivationFile,
        code: str,
        clock: Callable[[], float] = time.monotonic,
        back_off: BackOff | None = None,
    ) -> None:
        self._journal = journal
        self._stager = stager
        self._activation = activation
        self._code = code
        self._clock = clock
        self._back_off = back_off or BackOff()
        self._wanted = journal.record.request
        self._twin_error: TypedError | None = None
        self._obstacle: TypedError | None = None
        self._due_s = 0.0

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
            self._twin_error = TypedError(reason="BAD_TWIN", message=str(error)[:500])
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
            return POLL_S if isinstance(error, TrialRunningError) else self._back_off.next_s()
        self._obstacle = None
        if self._journal.record.phase in AT_WORK:
            return min(POLL_S, max(0.0, self._due_s - self._clock()))
        return POLL_S

    def report(self) -> StagerReported:
        """Return what is the case."""
        record, announced = self._journal.record, self._journal.announced
        return StagerReported(
            contract=CONTRACT_VERSION,
            code=self._code,
            phase=record.phase,
            order=record.request.model.order if record.request else None,
            staged=announced.model if announced else None,
            slot=announced.slot if announced else None,
            lastError=self._twin_error or self._obstacle or record.error,
        )

    def _step(self, check: Callable[[], None]) -> None:
        activation = self._activation.read()
        if self.has_newer_order:
            if self._wanted is not None and is_trial_running(activation):
                raise TrialRunningError("the order waits until the running trial has settled")
            self._take_order()
        record = self._journal.record
        if record.phase not in AT_WORK or record.request is None:
            self._stager.watch(activation)
            return
        if is_trial_running(activation):
            raise TrialRunningError("staging waits until the running trial has settled")
        if self._clock() >= self._due_s:
            self._attempt(record.request, check)

    def _take_order(self) -> None:
        with disk_errors():
            self._journal.order(self._wanted)
        self._back_off.reset()
        self._due_s = 0.0

    def _attempt(self, request: Request, check: Callable[[], None]) -> None:
        if self._stager.attempt(request, check):
            self._back_off.reset()
            self._due_s = 0.0
        else:
            self._due_s = self._clock() + self._back_off.next_s()


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
