"""What the parts of the agent that move models share."""

from collections.abc import Callable
from dataclasses import dataclass

from taktgate.contracts.activation import Rollback, SlotRef
from taktgate.inspection.agent.faults import Faults
from taktgate.inspection.agent.good_model import GoodModel
from taktgate.inspection.agent.judge_commands import JudgeCommands
from taktgate.inspection.agent.judge_view import JudgeView
from taktgate.inspection.agent.ledger import Ledger
from taktgate.inspection.agent.orders import OrderDesk
from taktgate.inspection.agent.rollbacks import RollbackDesk
from taktgate.inspection.agent.way_back import WayBack
from taktgate.inspection.guardrails.breach import Breach


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One of each per station."""

    faults: Faults
    judge: JudgeView
    ledger: Ledger
    commands: JudgeCommands
    orders: OrderDesk
    rollbacks: RollbackDesk
    way_back: WayBack
    good: GoodModel
    wall_clock: Callable[[], str]

    def rollback_of(self, ref: SlotRef, breach: Breach) -> Rollback:
        """Return the record of *ref* being sent back for *breach*."""
        return Rollback(
            digest=ref.model.digest,
            order=ref.order,
            reason=breach.guardrail,
            figures=dict(breach.figures),
            message=breach.message[:500],
            at=self.wall_clock(),
        )
