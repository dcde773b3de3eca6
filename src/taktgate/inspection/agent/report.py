"""What inference tells the cloud about itself: the reported property `inspection`."""

from collections.abc import Mapping
from typing import Any, Final

from taktgate import __version__
from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import adapter
from taktgate.contracts.twins import InspectionPhase, InspectionReported
from taktgate.edge.clock import SECOND
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.agent.faults import Source
from taktgate.inspection.agent.orders import BLOCKED
from taktgate.inspection.agent.phases import Phase

PROPERTY: Final = "inspection"
REPORT_EVERY_NS: Final = 1 * SECOND
_PHASES: Final = {
    Phase.RESUMING: InspectionPhase.STARTING,
    Phase.LOADING: InspectionPhase.LOADING,
    Phase.SHADOW: InspectionPhase.SHADOW,
    Phase.WAITING: InspectionPhase.SHADOW,
    Phase.SWAPPING: InspectionPhase.TRIAL,
    Phase.TRIAL: InspectionPhase.TRIAL,
    Phase.REVERTING: InspectionPhase.ROLLED_BACK,
}


def report_of(activator: Activator) -> InspectionReported:
    """Return what is."""
    activation, candidate = activator.activation, activator.candidate
    order = activation.settled_order if candidate is None else candidate.order
    refusal = activator.faults.get(Source.ORDER)
    if _is_barred(activator) and refusal is not None:
        order = refusal.order
    good, live = activation.last_known_good, activator.judge.live_model
    return InspectionReported(
        contract=CONTRACT_VERSION,
        code=__version__,
        phase=_phase(activator),
        live=None if live is None or live.ready is None else live.ready.model,
        candidate=None if candidate is None else candidate.model,
        lastKnownGood=None if good is None else good.model,
        order=order,
        confirmedOrder=None if good is None else good.order,
        lastRollback=activation.blocked[-1] if activation.blocked else None,
        lastError=activator.error,
        guardrail=activator.figures or None,
        provider=None if live is None or live.ready is None else live.ready.provider,
        realtime=activator.judge.has_all_rights,
        rights=activator.judge.rights,
    )


def patch_from(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that turns *before* into *after*; what has gone becomes null."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        known = before.get(key)
        if isinstance(value, Mapping) and isinstance(known, Mapping):
            inner = patch_from(known, value)
            if inner:
                patch[key] = inner
        elif value != known:
            patch[key] = value
    return patch


class Reporter:
    """Turns reports into patches: only what changed, at most once a second."""

    def __init__(self) -> None:
        self._sent: dict[str, Any] = {}
        self._sent_ns: int | None = None

    def patch(self, report: InspectionReported, now_ns: int) -> dict[str, Any] | None:
        """Return the patch to send now; None when nothing changed or it is too early."""
        if self._sent_ns is not None and now_ns - self._sent_ns < REPORT_EVERY_NS:
            return None
        document = adapter(InspectionReported).dump_python(report, mode="json", exclude_none=True)
        patch = patch_from(self._sent, document)
        if not patch:
            return None
        self._sent, self._sent_ns = document, now_ns
        return {PROPERTY: patch}


def _phase(activator: Activator) -> InspectionPhase:
    """Return the phase in the cloud's words. What a silent judge does is not known, so not said."""
    if activator.judge.is_silent:
        return InspectionPhase.NOT_READY
    if activator.phase is not Phase.IDLE:
        return _PHASES[activator.phase]
    activation = activator.activation
    blocked = activation.blocked
    was_rolled_back = bool(blocked) and blocked[-1].order == activation.settled_order
    if was_rolled_back or _is_barred(activator):
        return InspectionPhase.ROLLED_BACK
    if activator.judge.status is None:
        return InspectionPhase.STARTING
    return InspectionPhase.LIVE if activator.judge.is_ready else InspectionPhase.NOT_READY


def _is_barred(activator: Activator) -> bool:
    """Tell whether the newest order asks for what was rolled back under it before."""
    error = activator.faults.get(Source.ORDER)
    return activator.phase is Phase.IDLE and error is not None and error.reason == BLOCKED
