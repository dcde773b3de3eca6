"""The newest order: whether it is settled, barred or waits, and when it may begin."""

from typing import Final

from taktgate.contracts.activation import Refusal
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
        self.given_up: Refusal | None = None
        """What was refused last: not tried again until it is announced anew, or something else is
        asked for."""

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
        if (refusal := self.given_up) is not None and refusal.is_of(notice):
            self.waiting = None
            self._ledger.refuse(order, refusal.reason, refusal.message)
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
        if self.allows(policy):
            self._faults.clear(Source.WAITING)
            return True
        message = f"{policy}: waits until Enable is known to be off"
        self._faults.put(Source.WAITING, TypedError(reason="WAITING", message=message, order=order))
        return False

    def allows(self, policy: ActivationPolicy) -> bool:
        """Tell whether *policy* allows to change models now."""
        activation = self._ledger.activation
        is_nothing_to_disturb = activation.last_known_good is None or activation.halt is not None
        is_immediate = policy is ActivationPolicy.IMMEDIATE
        return is_immediate or is_nothing_to_disturb or self._judge.is_line_off

    def put_back(self, notice: StagedModel) -> None:
        """Have *notice*, which had to give way to something urgent, wait unless it is old."""
        if self.waiting is None:
            self.waiting = notice

    def reconsider(self) -> None:
        """Look at the newest notice again: what barred it may have gone."""
        if self.waiting is None:
            self._faults.clear(Source.ORDER, Source.WAITING)
            self.waiting, self.given_up = self._newest, None

    def settle(self) -> None:
        """Forget the newest notice and its faults: it needs nothing more, or has begun."""
        self.waiting, self.given_up = None, None
        self._faults.clear(Source.ORDER, Source.WAITING)

    def give_up(self, notice: StagedModel, reason: str, message: str) -> None:
        """Note that *notice* was refused; the stager is to know, as its slot may have rotted.

        It is not tried again, but for what was announced anew while it loaded.
        """
        self.given_up = Refusal.of(notice, reason, message)
        self._ledger.refuse(notice.order, reason, message)
        if self.waiting is None and self._newest is not None and _is_renewal(self._newest, notice):
            self.waiting = self._newest


def _is_renewal(newest: StagedModel, notice: StagedModel) -> bool:
    """Tell whether *newest* is another announcement of what *notice* announced."""
    is_same = (newest.model, newest.order) == (notice.model, notice.order)
    return is_same and newest.renewed != notice.renewed
