"""The newest order: whether it is settled, barred or waits, and when it may begin."""

from typing import Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import SlotRef
from taktgate.contracts.codec import is_compatible
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.twins import TypedError
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.faults import Faults, Source
from taktgate.inspection.agent.judge_view import JudgeView
from taktgate.inspection.agent.ledger import Ledger

BLOCKED: Final = "BLOCKED"
"""Reason of an order for what was rolled back under it before."""


class OrderDesk:
    """Holds the newest notice of the stager until it has begun or needs nothing."""

    def __init__(self, ledger: Ledger, judge: JudgeView, faults: Faults) -> None:
        self._ledger = ledger
        self._judge = judge
        self._faults = faults
        self.waiting: StagedModel | None = None
        self._newest: StagedModel | None = None
        self._given_up: tuple[str, str] | None = None
        """Digest and order that were refused: not tried again until something else is asked for."""

    def take(self, notice: StagedModel) -> bool:
        """Take the newest notice, whatever becomes of the one before.

        Returns:
            False when it is to be passed over: an operator put another model in its place, or it
            cannot be understood.
        """
        if notice.order == self._ledger.activation.overridden_order:
            return False
        self._faults.clear(Source.ORDER, Source.WAITING)
        self.waiting = notice if is_compatible(notice.contract) else None
        self._newest = self.waiting
        if self.waiting is None:
            self._ledger.refuse(notice.order, "CONTRACT", f"contract {notice.contract} is not ours")
        return self.waiting is not None

    def next(self) -> StagedModel | None:
        """Return the notice to begin with now, having settled or barred what needs no trial."""
        notice, activation = self.waiting, self._ledger.activation
        if notice is None or (activation.has_forgotten and self._judge.status is None):
            return None  # what judges may be adopted first
        digest, order, good = notice.model.digest, notice.order, activation.last_known_good
        if (digest, order) == self._given_up:
            return None
        if table.is_settled(activation, digest=digest, order=order):
            self.settle()
        elif good is not None and good.model.digest == digest:
            if self._ledger.save(table.satisfy(activation, order)):
                self.settle()
        elif table.is_blocked(activation, digest=digest, order=order):
            self.waiting = None
            message = f"{digest} was rolled back here; it needs a new order"
            self._ledger.refuse(order, BLOCKED, message)
        else:
            return notice
        return None

    def may_change(self, policy: ActivationPolicy, order: str) -> bool:
        """Tell whether *policy* allows to change models now, and say so when it does not."""
        activation = self._ledger.activation
        is_nothing_to_disturb = activation.last_known_good is None or activation.halt is not None
        is_immediate = policy is ActivationPolicy.IMMEDIATE
        if is_immediate or is_nothing_to_disturb or self._judge.is_line_off:
            self._faults.clear(Source.WAITING)
            return True
        message = f"{policy}: waits until Enable is known to be off"
        self._faults.put(Source.WAITING, TypedError(reason="WAITING", message=message, order=order))
        return False

    def put_back(self, candidate: SlotRef, policy: ActivationPolicy) -> None:
        """Have *candidate*, which had to give way to something urgent, wait unless it is old."""
        if self.waiting is None:
            self.waiting = StagedModel(
                contract=CONTRACT_VERSION,
                model=candidate.model,
                order=candidate.order,
                slot=candidate.slot,
                activation=policy,
            )

    def reconsider(self) -> None:
        """Look at the newest notice again: what barred it may have gone."""
        if self.waiting is None:
            self._faults.clear(Source.ORDER, Source.WAITING)
            self.waiting, self._given_up = self._newest, None

    def settle(self) -> None:
        """Forget the newest notice and its faults: it needs nothing more, or has begun."""
        self.waiting, self._given_up = None, None
        self._faults.clear(Source.ORDER, Source.WAITING)

    def give_up(self, candidate: SlotRef, reason: str, message: str) -> None:
        """Note that *candidate* was refused: it is not tried again under the same order."""
        self._given_up = (candidate.model.digest, candidate.order)
        self._ledger.refuse(candidate.order, reason, message)
