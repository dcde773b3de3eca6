"""`model_stager` of a light device: the stager's own table of phases, in simulated time.

`taktgate.staging.states` says what each event leads to, so that a light station reports what a real
one would; what is missing is the work: nothing is fetched, and the digest follows from the name.
"""

import contextlib
import hashlib

from taktgate import __version__
from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation
from taktgate.contracts.codec import ContractError, adapter, parse
from taktgate.contracts.model import ModelRef
from taktgate.contracts.routes import INFERENCE
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.twins import (
    StagerReported,
    StagingPhase,
    TypedError,
    read_desired,
)
from taktgate.staging.activation import bar_of, is_trial_running, standing
from taktgate.staging.orders import request_in
from taktgate.staging.states import ANNOUNCED, AT_WORK, STANDINGS, Record, Request, after, ordered
from taktgate.staging.states import Event as Step
from taktgate.standin.azure.fleet.behaviour import (
    Desired,
    Effects,
    Elapsed,
    Event,
    Heard,
    Tell,
    Waits,
)
from taktgate.standin.azure.fleet.faults import FaultKind, Faults
from taktgate.standin.azure.fleet.pace import Pace
from taktgate.standin.azure.json_types import JsonObject

PROPERTY = "stager"
SLOTS = ("slot-a", "slot-b")


def digest_of(name: str, version: str) -> str:
    """Return the digest that stands in for a bundle's."""
    return "sha256:" + hashlib.sha256(f"light {name} {version}".encode()).hexdigest()


class LightStager:
    """Takes one order after the other, and announces the model to inference."""

    def __init__(self, device: str, *, pace: Pace, faults: Faults, seed: int) -> None:
        self._device = device
        self._pace = pace
        self._faults = faults
        self._seed = seed
        self._waits = Waits()
        self._record = Record()
        self._wanted: Request | None = None
        self._twin_error: TypedError | None = None
        self._announced: StagedModel | None = None
        self._activation: Activation | None = None

    def resume(self, reported: JsonObject) -> Effects:
        """Start with the model that was announced before: its slot is still on the disk."""
        with contextlib.suppress(ContractError):
            before = parse(StagerReported, reported.get(PROPERTY))
            if before.staged is not None and before.slot is not None and before.order is not None:
                self._announced = StagedModel(
                    contract=CONTRACT_VERSION,
                    model=before.staged,
                    order=before.order,
                    slot=before.slot,
                    activation=ActivationPolicy.IMMEDIATE,
                )
        return ()

    def on(self, event: Event) -> Effects:
        """Take an order, what inference says, or the end of a piece of work."""
        match event:
            case Desired(document=document):
                self._read(document)
                return self._take_order()
            case Heard(message=Activation() as activation):
                self._activation = activation
                return self._follow() or self._take_order()
            case Elapsed() if self._waits.is_over(event) and self._record.phase in AT_WORK:
                return self._work()
        return ()

    def reported(self) -> JsonObject:
        """Return the stager's report."""
        record, announced = self._record, self._announced
        report = StagerReported(
            contract=CONTRACT_VERSION,
            code=__version__,
            phase=record.phase,
            order=record.request.model.order if record.request else None,
            staged=announced.model if announced else None,
            slot=announced.slot if announced else None,
            lastError=self._twin_error or record.error,
        )
        return {
            PROPERTY: adapter(StagerReported).dump_python(report, mode="json", exclude_none=True)
        }

    def _read(self, document: JsonObject) -> None:
        try:
            self._wanted, self._twin_error = request_in(read_desired(document)), None
        except ContractError as error:
            self._twin_error = TypedError(reason="BAD_TWIN", message=str(error)[:500])

    def _take_order(self) -> Effects:
        """Begin with the newest order, unless a trial runs or this station is struck dumb."""
        wanted = self._wanted
        if wanted == self._record.request or (
            wanted is not None and is_trial_running(self._activation)
        ):
            return ()
        if wanted is not None and self._fault(wanted) is FaultKind.SILENT:
            return ()
        self._record = ordered(self._record, wanted)
        return self._begin() if wanted is not None else ()

    def _begin(self) -> Effects:
        request = self._record.request
        assert request is not None
        if self._holds(request):
            return self._waits.begin(0.0)
        return self._waits.begin(self._draw("fetch", request))

    def _work(self) -> Effects:
        request = self._record.request
        assert request is not None
        if self._record.phase is StagingPhase.VERIFYING:
            return self._announce(request)
        if self._fault(request) is FaultKind.NOT_FOUND:
            return self._end(Step.REFUSED, request, "NOT_FOUND", "no such bundle")
        self._record = after(self._record, Step.FOUND if self._holds(request) else Step.FETCHED)
        return self._waits.begin(self._draw("verify", request))

    def _announce(self, request: Request) -> Effects:
        model = request.model
        digest = digest_of(model.name, model.version)
        if self._is_barred(digest, request):
            return self._bar(digest, request)
        self._record = after(after(self._record, Step.VERIFIED), Step.ANNOUNCED)
        self._announced = StagedModel(
            contract=CONTRACT_VERSION,
            model=ModelRef(name=model.name, version=model.version, digest=digest),
            order=model.order,
            slot=self._free_slot(digest),
            activation=model.activation,
        )
        return (Tell(module=INFERENCE, message=self._announced),)

    def _follow(self) -> Effects:
        """Go where inference has the model, or stage again what was cleared."""
        record, announced = self._record, self._announced
        if record.request is None:
            return ()
        if record.phase in ANNOUNCED and announced is not None:
            phase = standing(self._activation, announced)
            if phase is StagingPhase.BLOCKED:
                return self._bar(announced.model.digest, record.request)
            if phase is not record.phase:
                self._record = after(record, STANDINGS[phase])
        if record.phase is StagingPhase.BLOCKED and not self._is_barred(
            record.barred or "", record.request
        ):
            self._record = after(record, Step.CLEARED)
            return self._begin()
        return ()

    def _is_barred(self, digest: str, request: Request) -> bool:
        return bar_of(self._activation, digest=digest, order=request.model.order) is not None

    def _bar(self, digest: str, request: Request) -> Effects:
        return self._end(
            Step.BARRED, request, "BLOCKED", f"{digest} was rolled back here", barred=digest
        )

    def _end(
        self, step: Step, request: Request, reason: str, message: str, *, barred: str | None = None
    ) -> Effects:
        error = TypedError(reason=reason, message=message, order=request.model.order)
        self._record = after(self._record, step, error=error, barred=barred)
        return ()

    def _holds(self, request: Request) -> bool:
        """Tell whether a slot holds the model: what is announced, or what the station runs."""
        digest = digest_of(request.model.name, request.model.version)
        return digest in self._slots()

    def _slots(self) -> dict[str, str]:
        """Return the slots in use by digest."""
        good = self._activation.last_known_good if self._activation else None
        announced = self._announced
        return {
            **({announced.model.digest: announced.slot} if announced else {}),
            **({good.model.digest: good.slot} if good else {}),
        }

    def _free_slot(self, digest: str) -> str:
        slots = self._slots()
        good = self._activation.last_known_good if self._activation else None
        taken = good.slot if good else ""
        return slots.get(digest) or next(slot for slot in SLOTS if slot != taken)

    def _fault(self, request: Request) -> FaultKind | None:
        fault = self._faults.of(self._device, request.model.version)
        return None if fault is None else fault.kind

    def _draw(self, what: str, request: Request) -> float:
        span = self._pace.fetch if what == "fetch" else self._pace.verify
        return span.draw(self._seed, what, self._device, request.model.order)
