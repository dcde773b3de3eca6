"""One bundle on its way from the registry to an announced slot, in RAUC's order of steps.

Ask what the signed registry permits, look whether the station wants and can take it, fetch, unpack
into a folder that is no slot, sync, verify what the disk gives back, test it, rename, sync,
announce. No step touches a slot in use, so the power may go at any moment.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from taktgate.bundle.compatibility import check_facts
from taktgate.bundle.reading import Heed
from taktgate.bundle.verification import VerifiedBundle
from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import Progress
from taktgate.staging.activation import ActivationFile, bar_of
from taktgate.staging.errors import BarredError, DiskError, RetriedError
from taktgate.staging.fetch.pace import Pace, PaceState
from taktgate.staging.fetch.spool import Spool
from taktgate.staging.garbage import spare
from taktgate.staging.hold_point import HoldPoint
from taktgate.staging.instruments import Instruments
from taktgate.staging.journal import Journal
from taktgate.staging.registry.offers import (
    Offer,
    Registry,
    require_as_signed,
    require_permitted,
)
from taktgate.staging.slots.quota import Quota
from taktgate.staging.slots.slots import Shelved, Slots, slot_name
from taktgate.staging.smoke.port import SmokeTest
from taktgate.staging.states import Event, Request


class Installer:
    """Takes the steps, each of which raises what hinders it."""

    def __init__(
        self,
        *,
        journal: Journal,
        slots: Slots,
        spool: Callable[[Path], Spool],
        registry: Registry,
        smoke: SmokeTest,
        activation: ActivationFile,
        hold_point: HoldPoint,
        quota: Quota,
        waived_hil: bool,
        instruments: Instruments,
        pace: Pace,
    ) -> None:
        self._journal = journal
        self._slots = slots
        self._spool = spool
        self._registry = registry
        self._smoke = smoke
        self._activation = activation
        self._hold_point = hold_point
        self._quota = quota
        self._waived_hil = waived_hil
        self._instruments = instruments
        self._pace = pace
        self.progress: Progress | None = None
        """Of the download that runs."""

    @property
    def pause(self) -> str | None:
        """Why heavy work stands or creeps now, None while it goes on."""
        status = self._pace.status
        if status.state not in (PaceState.PAUSED, PaceState.SLOW):
            return None
        return f"{status.state}: {status.why}"

    def install(self, request: Request, check: Callable[[], None]) -> None:
        """Announce what *request* asks for; *check* is called between pieces of long work.

        Raises:
            StagingError: it was not announced.
            BundleError: it is not fit for this station.
            OSError: the disk refused.
        """
        device = self._slots.device()
        offer = self._offer(request)
        require_permitted(offer, waived_hil=self._waived_hil)
        check_facts(offer.facts, device)
        require_not_barred(self._activation.read(), offer.facts.digest, request)
        self._hold_point.require_free()
        bundle = self._found(offer, check) or self._fetched(offer, request, check)
        require_as_signed(offer.facts, bundle.manifest, bundle.digest)
        self._journal.advance(Event.VERIFIED)
        check()
        self._smoke.run(bundle, check)
        shelved = self._slots.shelve(bundle)
        self._slots.drop_spools()  # a found one too: the power may have gone after the shelving
        self._announce(shelved, request)

    def make_room(self, needed: int) -> None:
        """See that *needed* bytes can be written; spare slots go for it.

        Raises:
            DiskError: what is in use leaves too little.
            OSError: the disk refused.
        """
        try:
            self._quota.require_room(needed, self._slots.usage())
        except DiskError:
            self.collect()
            self._quota.require_room(needed, self._slots.usage())

    def collect(self) -> None:
        """Remove the slots that nobody needs any more.

        Raises:
            ActivationUnknownError: inference's record cannot be read.
            OSError: the disk refused.
        """
        doomed = spare(self._slots.names(), self._activation.read(), self._journal.announced)
        if doomed:
            self._slots.remove(doomed)
            self._instruments.collected(len(doomed))

    def _offer(self, request: Request) -> Offer:
        """Return what the registry says of *request*: now, or when it was heard last.

        A bundle that lies in a slot needs nobody's answer: a layer that is withdrawn while the
        station is offline brings back what was permitted then.
        """
        try:
            return self._registry.offer(request)
        except RetriedError:
            self._hold_point.require_free()
            known = self._registry.recall(request)
            if known is None or slot_name(known.facts.digest) not in self._slots.names():
                raise
            return known

    def _found(self, offer: Offer, check: Callable[[], None]) -> VerifiedBundle | None:
        name = slot_name(offer.facts.digest)
        if name not in self._slots.names():
            return None
        self._journal.advance(Event.FOUND)
        bundle = self._slots.bundle_in(name, heed=self._heed(check))
        if bundle is None:
            self._journal.advance(Event.DAMAGED)
        return bundle

    def _fetched(self, offer: Offer, request: Request, check: Callable[[], None]) -> VerifiedBundle:
        path = self._slots.spool_path(offer.sha256)
        self._slots.drop_spools(but=path)
        unpacked = offer.facts.unpacked_bytes
        self._quota.require_possible(archive=offer.size_bytes, unpacked=unpacked)
        missing = max(0, offer.size_bytes - self._slots.spooled_bytes())
        self.make_room(missing + unpacked)
        try:
            self._fill(self._spool(path), offer, check)
        finally:
            self.progress = None
        self._journal.advance(Event.FETCHED)
        check()
        return self._slots.unpack(path, request.model, heed=self._heed(check))

    def _fill(self, spool: Spool, offer: Offer, check: Callable[[], None]) -> None:
        with closing(spool.fill(offer, self._registry)) as sizes:
            for size_bytes in sizes:
                self.progress = Progress(fetchedBytes=spool.size_bytes, totalBytes=offer.size_bytes)
                self._instruments.fetched(size_bytes)
                check()

    def _heed(self, check: Callable[[], None]) -> Heed:
        """Return what holds heavy work on the disk back, as it does the download."""

        def heed(size_bytes: int) -> None:
            check()
            for _ in self._pace.charge(size_bytes):
                check()

        return heed

    def _announce(self, shelved: Shelved, request: Request) -> None:
        require_not_barred(self._activation.read(), shelved.model.digest, request)
        self._hold_point.require_free()
        self._journal.announce(
            StagedModel(
                contract=CONTRACT_VERSION,
                model=shelved.model,
                order=request.model.order,
                slot=shelved.slot,
                activation=request.model.activation,
            )
        )


def require_not_barred(activation: Activation | None, digest: str, request: Request) -> None:
    """Let *digest* pass if it was not rolled back here under the order of *request*.

    Raises:
        BarredError: it was.
    """
    bar = bar_of(activation, digest=digest, order=request.model.order)
    if bar is not None:
        raise BarredError(digest, f"rolled back here under this order: {bar.reason}: {bar.message}")
