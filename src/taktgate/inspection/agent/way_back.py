"""Which trusted model is to judge: last-known-good, or the one before it while that is refused."""

from taktgate.contracts.activation import SlotRef
from taktgate.inspection.agent.judge_view import JudgeView
from taktgate.inspection.agent.rollbacks import RollbackDesk
from taktgate.inspection.control import RunnerState


class WayBack:
    """Looks at what the station trusts and at what its runners say."""

    def __init__(self, judge: JudgeView, rollbacks: RollbackDesk) -> None:
        self._judge = judge
        self._rollbacks = rollbacks

    @property
    def good(self) -> SlotRef | None:
        """Return last-known-good unless it must not judge any more."""
        outlook = self._rollbacks.outlook
        return outlook.last_known_good if outlook.halt is None else None

    @property
    def previous(self) -> SlotRef | None:
        """Return the model confirmed before last-known-good."""
        return self._rollbacks.outlook.previous_good

    def target(self) -> SlotRef | None:
        """Return what is to judge; None when nothing that is trusted can run here.

        Last-known-good may be refused by its own runner: its slot is damaged, or it does not pass
        golden under another runtime. Then the one before stands in, until last-known-good is
        announced anew (`good_slot`) or the judge starts, which tries it first again. It stays what
        it is: nothing is blocked for it.
        """
        for ref in (self.good, self.previous if self.good is not None else None):
            if ref is not None and not self.is_refused(ref):
                return ref
        return None

    def is_refused(self, ref: SlotRef | None) -> bool:
        """Tell whether *ref*'s runner has turned it down."""
        held = None if ref is None else self._judge.model(ref.model.digest)
        return held is not None and held.state is RunnerState.REFUSED
