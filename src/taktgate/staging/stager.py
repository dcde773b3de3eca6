"""Carries out the journal's order: tries, says how it ended, and follows inference from there."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taktgate.bundle.errors import BundleError
from taktgate.contracts.activation import Activation, Refusal
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import Progress, StagingPhase
from taktgate.staging.activation import bar_of, refusal_of, standing
from taktgate.staging.errors import (
    BarredError,
    HeldError,
    RefusedError,
    RetriedError,
    StagingError,
)
from taktgate.staging.fetch.download_file import CHUNK_BYTES
from taktgate.staging.hold_point import HoldPoint
from taktgate.staging.installer import Installer, require_not_barred
from taktgate.staging.instruments import Instruments
from taktgate.staging.journal import Journal
from taktgate.staging.slots.disk import disk_errors
from taktgate.staging.slots.slots import Slots
from taktgate.staging.states import ANNOUNCED, STANDINGS, Event, Request
from taktgate.staging.typed import typed

log = logging.getLogger(__name__)

_HOLD_LOOK_S: Final = 0.5
_AT_REST: Final = ANNOUNCED | {StagingPhase.IDLE, StagingPhase.FAILED, StagingPhase.BLOCKED}
"""The phases in which nothing waits to be announced, and nothing that was fetched is of use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt ended.

    Attributes:
        event: That the journal took.
        obstacle: What hinders an attempt that is to be made again.
    """

    event: Event
    obstacle: RetriedError | None = None


class Stager:
    """Does the work of one order; whose turn it is, the order desk says."""

    def __init__(
        self,
        *,
        journal: Journal,
        slots: Slots,
        installer: Installer,
        hold_point: HoldPoint,
        instruments: Instruments,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._slots = slots
        self._installer = installer
        self._hold_point = hold_point
        self._instruments = instruments
        self._clock = clock
        self._looked_into: Refusal | None = None
        """The refusal of inference after which the slot was found to be sound."""

    @property
    def progress(self) -> Progress | None:
        """How far the download got that runs now."""
        return self._installer.progress

    @property
    def pause(self) -> str | None:
        """Why the work on an order stands or creeps now, None while it goes on."""
        return self._installer.pause

    def recover(self) -> None:
        """Go on after a start: clear up, and stage again what is not what it was.

        Raises:
            DiskError: the disk refused.
            GateError: nothing can be verified, so what is announced stays.
        """
        with disk_errors():
            self._slots.sweep()
            self._journal.resume(fetched_chunks=self._slots.spooled_bytes() // CHUNK_BYTES)
            if self._journal.record.phase in _AT_REST:
                self._slots.drop_spools()  # the power may have gone before that
            if self._journal.record.phase in ANNOUNCED and not self._is_sound():
                self._journal.advance(Event.DAMAGED)

    def attempt(self, request: Request, check: Callable[[], None]) -> Outcome:
        """Try once to stage *request*, the journal's order in a phase AT_WORK.

        Args:
            request: what is ordered.
            check: called between pieces of long work; may raise SupersededError.

        Raises:
            SupersededError: a newer order waits.
            DiskError: the disk does not even take the outcome.
        """
        start = self._clock()
        event, error = self._tried(request, self._also_held(check))
        self._instruments.attempted(self._clock() - start, error)
        is_silent = error is None or event is Event.HELD
        with disk_errors():
            self._journal.advance(
                event,
                error=None if is_silent or error is None else typed(error, request),
                barred=error.digest if isinstance(error, BarredError) else None,
            )
            self._slots.sweep()
            if event in (Event.REFUSED, Event.BARRED):
                self._slots.drop_spools()  # a new order reinstalls, and trusts nothing of this one
        return Outcome(event=event, obstacle=error if isinstance(error, RetriedError) else None)

    def watch(self, activation: Activation | None) -> None:
        """While nothing is to be staged: follow inference, see holds end, and collect garbage.

        A slot that inference refused is staged again if it is not what it was.

        Raises:
            DiskError: the disk refused.
            GateError: such a slot cannot be verified now.
            ActivationUnknownError: inference's record cannot be read.
        """
        with disk_errors():
            self._follow(activation)
            if self._journal.record.phase in _AT_REST:
                self._installer.collect()

    def _tried(
        self, request: Request, check: Callable[[], None]
    ) -> tuple[Event, StagingError | BundleError | None]:
        try:
            with disk_errors():
                self._begin()
                self._installer.install(request, check)
        except HeldError as hold:
            return Event.HELD, hold
        except BarredError as bar:
            return Event.BARRED, bar
        except (RefusedError, BundleError) as refusal:
            return Event.REFUSED, refusal
        except RetriedError as obstacle:
            return Event.POSTPONED, obstacle
        return Event.ANNOUNCED, None

    def _begin(self) -> None:
        if self._journal.record.phase is not StagingPhase.FETCHING:
            # The last attempt ended, and the disk did not take its outcome.
            self._journal.advance(Event.POSTPONED)
        self._slots.sweep()

    def _also_held(self, check: Callable[[], None]) -> Callable[[], None]:
        """Return *check*, that looks for a hold as well, twice a second."""
        looked_s = self._clock()

        def check_both() -> None:
            nonlocal looked_s
            check()
            if self._clock() - looked_s >= _HOLD_LOOK_S:
                looked_s = self._clock()
                self._hold_point.require_free()

        return check_both

    def _is_sound(self) -> bool:
        """Tell whether the announced slot holds, verified, what the order in work asks for."""
        announced, request = self._journal.announced, self._journal.record.request
        if announced is None or request is None or not _is_of(announced, request):
            return False
        found = self._slots.verified(announced.slot)
        is_sound = found is not None and found.model == announced.model
        if not is_sound:
            version = announced.model.version
            log.error(
                "a slot is not what it was",
                extra={"slot": announced.slot, "model_version": version},
            )
        return is_sound

    def _has_rotted(self, activation: Activation | None, announced: StagedModel) -> bool:
        """Tell whether inference refused what is announced, and its slot is not what it was."""
        refusal = refusal_of(activation, announced)
        if refusal is None or refusal == self._looked_into:
            self._looked_into = refusal  # what was taken back is looked into when it comes again
            return False
        if not self._is_sound():
            return True
        self._looked_into = refusal
        return False

    def _follow(self, activation: Activation | None) -> None:
        record, announced = self._journal.record, self._journal.announced
        if record.request is None:
            return
        if record.phase in ANNOUNCED and announced is not None:
            self._stand(activation, announced, record.request)
        elif record.phase is StagingPhase.HELD and self._hold_point.text() is None:
            self._journal.advance(Event.RELEASED)
        elif record.phase is StagingPhase.BLOCKED and not _is_barred(
            activation, record.barred, record.request
        ):
            self._journal.advance(Event.CLEARED)

    def _stand(
        self, activation: Activation | None, announced: StagedModel, request: Request
    ) -> None:
        if self._has_rotted(activation, announced):
            self._journal.advance(Event.DAMAGED)
            return
        phase = standing(activation, announced)
        if phase is self._journal.record.phase:
            return
        try:
            if phase is StagingPhase.BLOCKED:
                require_not_barred(activation, announced.model.digest, request)
        except BarredError as bar:
            self._journal.advance(Event.BARRED, error=typed(bar, request), barred=bar.digest)
        else:
            self._journal.advance(STANDINGS[phase])


def _is_of(announced: StagedModel, request: Request) -> bool:
    known, order = announced.model, request.model
    return (known.name, known.version, announced.order) == (order.name, order.version, order.order)


def _is_barred(activation: Activation | None, digest: str | None, request: Request) -> bool:
    return digest is not None and (
        bar_of(activation, digest=digest, order=request.model.order) is not None
    )
