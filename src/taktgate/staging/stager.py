"""One order from the registry to an announced slot, in RAUC's order of steps.

Save the phase, fetch, unpack into a folder that is no slot, sync, verify what the disk gives back,
rename, sync, announce. No step touches the announced slot, so the power may go at any moment.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from taktgate.bundle.errors import BundleError
from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import StagingPhase, TypedError
from taktgate.staging.activation import (
    ActivationFile,
    bar_of,
    has_settled,
    is_any_barred,
    is_trial_running,
    slots_in_use,
)
from taktgate.staging.errors import (
    BarredError,
    RefusedError,
    RetriedError,
    StagingError,
    TrialRunningError,
)
from taktgate.staging.fetch.spool import Spool
from taktgate.staging.instruments import Instruments
from taktgate.staging.journal import Journal
from taktgate.staging.registry.offers import Registry, require_permitted
from taktgate.staging.slots.disk import Disk, disk_errors
from taktgate.staging.slots.slots import Shelved, Slots
from taktgate.staging.states import Event, Request

MAX_SPARE_SLOTS: Final = 4
"""Slots that nobody uses, kept until inference is known to be past them."""


class Stager:
    """Carries out the journal's order."""

    def __init__(
        self,
        *,
        journal: Journal,
        slots: Slots,
        disk: Disk,
        registry: Registry,
        activation: ActivationFile,
        waived_hil: bool,
        instruments: Instruments,
    ) -> None:
        self._journal = journal
        self._slots = slots
        self._disk = disk
        self._registry = registry
        self._activation = activation
        self._waived_hil = waived_hil
        self._instruments = instruments

    def recover(self) -> None:
        """Go on after a start: clear up, and stage again what is not what it was.

        Raises:
            DiskError: the disk refused.
            GateError: nothing can be verified, so what is announced stays.
        """
        with disk_errors():
            self._slots.sweep()
            self._journal.resume()
            announced = self._journal.announced
            if self._journal.record.phase is not StagingPhase.STAGED:
                return
            found = self._slots.verified(announced.slot) if announced else None
            if announced is None or found is None or found.model != announced.model:
                self._journal.advance(Event.DAMAGED)

    def attempt(self, request: Request, check: Callable[[], None]) -> bool:
        """Try once to stage *request*, the journal's order in a phase AT_WORK.

        Args:
            request: what is ordered.
            check: called between pieces of long work; may raise SupersededError.

        Returns:
            False when the world did not let us and a later attempt may succeed.

        Raises:
            SupersededError: a newer order waits.
            DiskError: the disk does not even take the outcome.
        """
        start = time.monotonic()
        event = Event.ANNOUNCED
        error: StagingError | BundleError | None = None
        try:
            with disk_errors():
                self._begin()
                self._stage(request, check)
        except BarredError as bar:
            event, error = Event.BARRED, bar
        except (RefusedError, BundleError) as refusal:
            event, error = Event.REFUSED, refusal
        except RetriedError as obstacle:
            event, error = Event.POSTPONED, obstacle
        self._instruments.attempted(time.monotonic() - start, error)
        with disk_errors():
            self._journal.advance(event, error=typed(error, request) if error else None)
            self._slots.sweep()
        return event is not Event.POSTPONED

    def watch(self, activation: Activation | None) -> None:
        """While nothing is to be staged: heed new and lifted bars, and collect garbage.

        Raises:
            DiskError: the disk refused.
        """
        with disk_errors():
            self._heed_bars(activation)
            self._collect(activation)

    def _begin(self) -> None:
        if self._journal.record.phase is StagingPhase.VERIFYING:
            # The last attempt ended, and the disk did not take its outcome.
            self._journal.advance(Event.POSTPONED)
        self._slots.sweep()

    def _stage(self, request: Request, check: Callable[[], None]) -> None:
        announced = self._journal.announced
        if announced is not None and _is_of(announced, request):
            _require_not_barred(self._activation.read(), announced.model.digest, request)
        self._slots.check_gate()
        shelved = self._slots.find(request.model)
        if shelved is None:
            archive = self._download(request, check)
            self._journal.advance(Event.FETCHED)
            check()
            shelved = self._slots.shelve(self._slots.unpack(archive, request.model))
            self._slots.drop_spools()
        else:
            self._journal.advance(Event.FOUND)
        self._announce(shelved, request)

    def _download(self, request: Request, check: Callable[[], None]) -> Path:
        offer = self._registry.offer(request)
        require_permitted(offer, waived_hil=self._waived_hil)
        path = self._slots.spool_path(offer.sha256)
        self._slots.drop_spools(but=path)
        for size_bytes in Spool(path, disk=self._disk).fill(offer, self._registry):
            check()
            self._instruments.fetched(size_bytes)
        return path

    def _announce(self, shelved: Shelved, request: Request) -> None:
        activation = self._activation.read()
        _require_not_barred(activation, shelved.model.digest, request)
        if is_trial_running(activation):
            raise TrialRunningError("staged, to be announced once the running trial has settled")
        self._journal.announce(
            StagedModel(
                contract=CONTRACT_VERSION,
                model=shelved.model,
                order=request.model.order,
                slot=shelved.slot,
                activation=request.model.activation,
            )
        )

    def _heed_bars(self, activation: Activation | None) -> None:
        record, announced = self._journal.record, self._journal.announced
        request = record.request
        if request is None:
            return
        if record.phase is StagingPhase.STAGED and announced is not None:
            try:
                _require_not_barred(activation, announced.model.digest, request)
            except BarredError as bar:
                self._journal.advance(Event.BARRED, error=typed(bar, request))
        if record.phase is StagingPhase.BLOCKED and not is_any_barred(
            activation, request.model.order
        ):
            self._journal.advance(Event.CLEARED)

    def _collect(self, activation: Activation | None) -> None:
        if activation is not None and activation.has_forgotten:
            return  # what judges may not be on record: nothing is spare
        announced = self._journal.announced
        keep = slots_in_use(activation) | ({announced.slot} if announced else set())
        spare = self._slots.names() - keep
        if has_settled(activation, announced) or len(spare) > MAX_SPARE_SLOTS:
            self._instruments.collected(len(self._slots.collect(keep)))


def _is_of(announced: StagedModel, request: Request) -> bool:
    """Tell whether *announced* is what *request* asks for, so that its digest is known."""
    known, order = announced.model, request.model
    return (known.name, known.version, announced.order) == (order.name, order.version, order.order)


def _require_not_barred(activation: Activation | None, digest: str, request: Request) -> None:
    bar = bar_of(activation, digest=digest, order=request.model.order)
    if bar is not None:
        raise BarredError(f"rolled back here under this order: {bar.reason}: {bar.message}")


def typed(error: StagingError | BundleError, request: Request | None) -> TypedError:
    """Return *error* as the cloud sees it."""
    order = request.model.order if request is not None else None
    return TypedError(reason=error.reason, message=str(error)[:500], order=order)
