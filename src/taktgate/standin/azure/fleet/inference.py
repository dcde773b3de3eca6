"""`inference` of a light device: its agent's own table of phases, in simulated time.

`taktgate.inspection.agent.activation` says what each event leads to and what is remembered, so that
a light station reports what a real one would; what is missing is the judging: parts pass by.
"""

import contextlib
from collections.abc import Callable

from taktgate import __version__
from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation, Baseline, Rollback, SlotRef, Trial
from taktgate.contracts.codec import ContractError, adapter, parse
from taktgate.contracts.model import ModelRef
from taktgate.contracts.routes import MODEL_STAGER
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.twins import InspectionPhase, InspectionReported, TypedError
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.phases import Event as Step
from taktgate.inspection.agent.phases import Phase, advance
from taktgate.inspection.guardrails.breach import Guardrail
from taktgate.standin.azure.fleet.behaviour import Effects, Elapsed, Event, Heard, Tell, Waits
from taktgate.standin.azure.fleet.faults import Fault, FaultKind, Faults
from taktgate.standin.azure.fleet.pace import Pace, Span
from taktgate.standin.azure.json_types import JsonObject

PROPERTY = "inspection"
BASELINE_RATE = 0.05
_PHASES = {
    Phase.LOADING: InspectionPhase.LOADING,
    Phase.TRIAL: InspectionPhase.TRIAL,
    Phase.REVERTING: InspectionPhase.ROLLED_BACK,
}
_BLOCKED, _WAITING = "BLOCKED", "WAITING"


class LightInference:
    """Loads what is announced, tries it on parts, and confirms it or goes back."""

    def __init__(
        self, device: str, *, pace: Pace, faults: Faults, seed: int, date: Callable[[], str]
    ) -> None:
        """Take a station without a model.

        Args:
            device: The station's name.
            pace: How long things take.
            faults: What goes wrong.
            seed: Of the times.
            date: Returns the world's date, ISO 8601.
        """
        self._device = device
        self._pace = pace
        self._faults = faults
        self._seed = seed
        self._date = date
        self._waits = Waits()
        self._activation = Activation(contract=CONTRACT_VERSION, generation=0)
        self._phase = Phase.IDLE
        self._notice: StagedModel | None = None
        self._candidate: SlotRef | None = None
        self._error: TypedError | None = None
        self._has_line_stopped = False

    def resume(self, reported: JsonObject) -> Effects:
        """Start with what was confirmed and rolled back before."""
        with contextlib.suppress(ContractError):
            before = parse(InspectionReported, reported.get(PROPERTY))
            self._activation = _remembered(self._activation, before)
        return self._tell()

    def on(self, event: Event) -> Effects:
        """Take the stager's notice, or the end of a piece of work."""
        match event:
            case Heard(message=StagedModel() as notice):
                self._notice, self._has_line_stopped = notice, False
                return self._consider()
            case Elapsed() if self._waits.is_over(event):
                return self._go_on()
        return ()

    def reported(self) -> JsonObject:
        """Return inference's report."""
        activation, candidate = self._activation, self._candidate
        good = activation.last_known_good
        order = activation.settled_order if candidate is None else candidate.order
        if self._is_barred and self._error is not None:
            order = self._error.order
        report = InspectionReported(
            contract=CONTRACT_VERSION,
            code=__version__,
            phase=self._reported_phase(),
            live=self._live(),
            candidate=None if candidate is None else candidate.model,
            lastKnownGood=None if good is None else good.model,
            order=order,
            confirmedOrder=None if good is None else good.order,
            lastRollback=activation.blocked[-1] if activation.blocked else None,
            lastError=self._error,
            provider=None if self._live() is None else "CPUExecutionProvider",
        )
        return {
            PROPERTY: adapter(InspectionReported).dump_python(
                report, mode="json", exclude_none=True
            )
        }

    @property
    def _is_barred(self) -> bool:
        error = self._error
        return self._phase is Phase.IDLE and error is not None and error.reason == _BLOCKED

    def _reported_phase(self) -> InspectionPhase:
        if self._phase is not Phase.IDLE:
            return _PHASES[self._phase]
        blocked = self._activation.blocked
        if self._is_barred or (blocked and blocked[-1].order == self._activation.settled_order):
            return InspectionPhase.ROLLED_BACK
        is_ready = self._activation.last_known_good is not None
        return InspectionPhase.LIVE if is_ready else InspectionPhase.NOT_READY

    def _live(self) -> ModelRef | None:
        good, candidate = self._activation.last_known_good, self._candidate
        if candidate is not None and self._phase is Phase.TRIAL:
            return candidate.model
        return None if good is None else good.model

    def _consider(self) -> Effects:
        """Begin with the newest notice, having settled or barred what needs no trial."""
        notice, activation = self._notice, self._activation
        if notice is None or self._phase is not Phase.IDLE:
            return ()
        digest, order, good = notice.model.digest, notice.order, activation.last_known_good
        if table.is_settled(activation, digest=digest, order=order):
            return self._settle()
        if good is not None and good.model.digest == digest:
            self._activation = table.satisfy(activation, order)
            return self._settle() + self._tell()
        if table.is_blocked(activation, digest=digest, order=order):
            self._notice = None
            return self._refuse(order, _BLOCKED, f"{digest} was rolled back here")
        if self._must_wait(notice):
            message = f"{notice.activation}: waits until Enable is known to be off"
            self._refuse(order, _WAITING, message)
            return self._wait(self._pace.line_stop, "line stop", order)
        return self._load(notice)

    def _must_wait(self, notice: StagedModel) -> bool:
        is_nothing_to_disturb = self._activation.last_known_good is None
        is_immediate = notice.activation is ActivationPolicy.IMMEDIATE
        return not (is_immediate or is_nothing_to_disturb or self._has_line_stopped)

    def _settle(self) -> Effects:
        self._notice, self._error = None, None
        return ()

    def _refuse(self, order: str, reason: str, message: str) -> Effects:
        self._error = TypedError(reason=reason, message=message, order=order)
        return ()

    def _load(self, notice: StagedModel) -> Effects:
        self._settle()
        self._candidate = SlotRef(model=notice.model, order=notice.order, slot=notice.slot)
        self._phase = advance(self._phase, Step.ORDERED)
        return self._wait(self._pace.load, "load", notice.order)

    def _go_on(self) -> Effects:
        """Do what the wait of this phase was for."""
        match self._phase:
            case Phase.IDLE:
                self._has_line_stopped = True
                return self._consider()
            case Phase.LOADING:
                return self._loaded()
            case Phase.TRIAL:
                return self._tried()
            case Phase.REVERTING:
                return self._reverted()
        return ()

    def _loaded(self) -> Effects:
        candidate = self._require_candidate()
        fault = self._fault()
        if fault is not None and fault.kind is FaultKind.REFUSED:
            self._phase = advance(self._phase, Step.REFUSED)
            self._candidate = None
            self._refuse(candidate.order, "GOLDEN", "a golden image is not judged as it must be")
            return self._consider()
        trial = Trial(candidate=candidate, attempts=1)
        baseline = self._activation.baseline
        self._activation = table.begin_trial(self._activation, trial, baseline=baseline)
        for step in (Step.READY, Step.COMPARED, Step.ALLOWED, Step.LIVE):
            self._phase = advance(self._phase, step)
        if self._activation.last_known_good is None:
            return self._confirmed()  # there is nothing to hold a first model against
        return self._tell() + self._try(candidate.order, fault)

    def _try(self, order: str, fault: Fault | None) -> Effects:
        is_bad = fault is not None and fault.kind is FaultKind.ROLLED_BACK
        parts = self._pace.trial_parts
        if fault is not None and is_bad:
            parts = min(parts, fault.after_parts)
        part_s = self._pace.part.draw(self._seed, "part", self._device, order)
        return self._waits.begin(parts * part_s)

    def _tried(self) -> Effects:
        fault = self._fault()
        if fault is None or fault.kind is not FaultKind.ROLLED_BACK:
            return self._confirmed()
        candidate = self._require_candidate()
        self._activation = table.roll_back(self._activation, self._rollback(candidate, fault))
        self._phase = advance(self._phase, Step.BREACHED)
        return self._tell() + self._wait(self._pace.revert, "revert", candidate.order)

    def _rollback(self, candidate: SlotRef, fault: Fault) -> Rollback:
        parts = min(self._pace.trial_parts, fault.after_parts)
        rejects = max(1, parts // 2)
        return Rollback(
            digest=candidate.model.digest,
            order=candidate.order,
            reason=Guardrail.OVER_REJECT,
            figures={"parts": float(parts), "rejects": float(rejects)},
            message=f"{rejects} of {parts} parts rejected, "
            f"the station's baseline is {BASELINE_RATE:.1%}",
            at=self._date(),
        )

    def _confirmed(self) -> Effects:
        parts = self._pace.trial_parts
        counts = Baseline(parts=parts, rejects=round(parts * BASELINE_RATE))
        self._activation = table.confirm(self._activation, baseline=counts)
        self._phase = advance(self._phase, Step.PASSED)
        return self._ended()

    def _reverted(self) -> Effects:
        self._phase = advance(self._phase, Step.GOOD_IS_LIVE)
        return self._ended()

    def _ended(self) -> Effects:
        self._candidate = None
        return self._tell() + self._consider()

    def _fault(self) -> Fault | None:
        return self._faults.of(self._device, self._require_candidate().model.version)

    def _tell(self) -> Effects:
        return (Tell(module=MODEL_STAGER, message=self._activation),)

    def _wait(self, span: Span, what: str, order: str) -> Effects:
        return self._waits.begin(span.draw(self._seed, what, self._device, order))

    def _require_candidate(self) -> SlotRef:
        assert self._candidate is not None
        return self._candidate


def _remembered(fresh: Activation, before: InspectionReported) -> Activation:
    """Return the activation that *before* speaks of; a trial that was under way is forgotten."""
    good, order = before.lastKnownGood, before.confirmedOrder
    blocked = () if before.lastRollback is None else (before.lastRollback,)
    return Activation(
        contract=fresh.contract,
        generation=fresh.generation + 1,
        last_known_good=None
        if good is None or order is None
        else SlotRef(model=good, order=order, slot="slot-a"),
        blocked=blocked,
        settled_order=blocked[0].order
        if before.phase is InspectionPhase.ROLLED_BACK and blocked
        else order,
        orders_since=tuple(its.order for its in blocked),
    )
