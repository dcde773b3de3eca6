"""What a person asks for by the control surface, done in the agent's own thread."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TypeVar

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.hold import Hold
from taktgate.contracts.model import ModelRef
from taktgate.contracts.twins import TypedError
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.agent.faults import Source
from taktgate.inspection.agent.ledger import STATE_WRITE
from taktgate.inspection.agent.operator import NOT_BLOCKED
from taktgate.inspection.hold_file import HoldFile
from taktgate.inspection.surface.errors import UnavailableError
from taktgate.inspection.surface.operator import Cleared, Escaped, Held, Ordered

log = logging.getLogger(__name__)

T = TypeVar("T")
SendErrand = Callable[[Callable[[Activator], None]], bool]
"""Has something done to the models in the agent's thread; False when its inbox is full."""


class SurfaceOrders:
    """Implements the surface's `Operator`."""

    def __init__(self, send: SendErrand, holds: HoldFile) -> None:
        self._send = send
        self._holds = holds

    def place_order(self, model: ModelRef, slot: str) -> "Future[Ordered]":
        """Bring *model*, which lies verified in *slot*, to life by the way of every order."""
        return self._do(lambda activator: _place(activator, model, slot))

    def report_escape(self, trigger_id: int, defect_class: str, digest: str) -> "Future[Escaped]":
        """Hold part *trigger_id* against the model *digest*, which had passed it."""
        return self._do(lambda activator: _report(activator, trigger_id, defect_class, digest))

    def clear(self, digest: str) -> "Future[Cleared]":
        """Give *digest*, which was sent back here, another chance."""
        return self._do(lambda activator: _clear(activator, digest))

    def hold(self, reason: str) -> "Future[Held]":
        """Have the stager neither fetch nor announce new models, because of *reason*."""
        hold = Hold(
            contract=CONTRACT_VERSION,
            by="operator",
            reason=reason,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return self._do(lambda _: _hold(self._holds, hold))

    def release_hold(self) -> "Future[Held]":
        """Let new models come again."""
        return self._do(lambda _: _release(self._holds))

    def _do(self, work: Callable[[Activator], T]) -> "Future[T]":
        future: Future[T] = Future()

        def errand(activator: Activator) -> None:
            if not future.set_running_or_notify_cancel():
                return  # nobody waits any more: it is not done behind the asker's back
            try:
                future.set_result(work(activator))
            except Exception:
                log.exception("an errand failed")
                future.set_exception(UnavailableError("the agent failed over it"))

        if not self._send(errand):
            future.set_exception(UnavailableError("the agent's inbox is full"))
        return future


def _place(activator: Activator, model: ModelRef, slot: str) -> Ordered:
    activation = activator.activation
    good = activation.last_known_good
    is_good = good is not None and good.model.digest == model.digest and activation.trial is None
    ref = activator.operator.order_for(model, slot)
    refused = activator.request(ref)
    phase = activator.phase.value
    if refused is not None:
        return Ordered(order=None, phase=phase, refusal=_said(refused))
    return Ordered(order=None if is_good else ref.order, phase=phase)


def _report(activator: Activator, trigger_id: int, defect_class: str, digest: str) -> Escaped:
    refused = activator.escape(trigger_id, defect_class, digest)
    return Escaped(
        is_sent_back=activator.is_sent_back(digest),
        phase=activator.phase.value,
        alarm=_said(activator.faults.get(Source.ALARM)),
        refusal=_said(refused),
    )


def _clear(activator: Activator, digest: str) -> Cleared:
    refused = activator.clear(digest)
    return Cleared(
        phase=activator.phase.value,
        is_blocked=refused is None or refused.reason != NOT_BLOCKED,
        refusal=_said(refused),
    )


def _hold(holds: HoldFile, hold: Hold) -> Held:
    try:
        holds.put(hold)
    except OSError as error:
        return Held(was_held=False, refusal=f"{STATE_WRITE}: {error.strerror or error}")
    return Held(was_held=True)


def _release(holds: HoldFile) -> Held:
    try:
        return Held(was_held=holds.lift())
    except OSError as error:
        return Held(was_held=True, refusal=f"{STATE_WRITE}: {error.strerror or error}")


def _said(error: TypedError | None) -> str:
    return "" if error is None else f"{error.reason}: {error.message}"
