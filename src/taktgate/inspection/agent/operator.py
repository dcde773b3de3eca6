"""What an operator of this station may ask for: a model that is in a slot, and a second chance."""

from typing import Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import SlotRef
from taktgate.contracts.model import ModelRef
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.twins import TypedError
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.faults import Faults, Source
from taktgate.inspection.agent.ledger import STATE_WRITE, Ledger
from taktgate.inspection.agent.orders import BLOCKED, OrderDesk

NOT_BLOCKED: Final = "NOT_BLOCKED"
"""Reason of a second chance for a model that nobody has sent back here."""


class OperatorDesk:
    """Turns requests into orders of this station's own."""

    def __init__(self, ledger: Ledger, orders: OrderDesk, faults: Faults) -> None:
        self._ledger = ledger
        self._orders = orders
        self._faults = faults
        self._last_number = 0
        self.cloud_order: str | None = None
        """The newest order that the stager has announced."""

    def order_for(self, model: ModelRef, slot: str) -> SlotRef:
        """Return *model*, which lies verified in *slot*, under an order not used before."""
        order, self._last_number = table.next_operator_order(
            self._ledger.activation, self._last_number
        )
        return SlotRef(model=model, order=order, slot=slot)

    def accept(self, ref: SlotRef) -> tuple[TypedError | None, StagedModel | None]:
        """Return why *ref* cannot be asked for, or the notice that asks for it.

        Neither when it is last-known-good already and may judge: nothing is to be done. Durable is
        at once that the cloud's present order is out of force; the request itself is durable with
        its trial.
        """
        activation, digest = self._ledger.activation, ref.model.digest
        good = activation.last_known_good
        if table.was_rolled_back(activation, digest):
            message = f"{digest} was rolled back here; clear it first"
            return TypedError(reason=BLOCKED, message=message, order=ref.order), None
        if good is not None and good.model.digest == digest and activation.trial is None:
            return None, None
        if not self._ledger.save(table.override(activation, self.cloud_order)):
            return self._faults.get(Source.STATE), None
        notice = StagedModel(
            contract=CONTRACT_VERSION,
            model=ref.model,
            order=ref.order,
            slot=ref.slot,
            activation=ActivationPolicy.IMMEDIATE,
        )
        self._orders.take(notice)
        return None, notice

    def clear(self, digest: str) -> TypedError | None:
        """Forget that *digest* was sent back, and the alarm with it; return why not."""
        cleared = table.clear(self._ledger.activation, digest)
        if cleared is None:
            return TypedError(reason=NOT_BLOCKED, message=f"{digest} is not blocked here")
        if not self._ledger.save(cleared):
            return self._faults.get(Source.STATE) or TypedError(reason=STATE_WRITE, message="")
        self._faults.clear(Source.ALARM)
        self._orders.reconsider()
        return None
