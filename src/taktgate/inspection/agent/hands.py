"""Commands to the judge that follow from what it holds: sent as long as they are missing."""

from collections.abc import Callable

from taktgate.contracts.activation import Activation, SlotRef
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.judge_view import JudgeView
from taktgate.inspection.control import Drop, Load, RunnerState, Swap

Command = Load | Swap | Drop


class Hands:
    """Brings the judge's models in line with the activation."""

    def __init__(self, judge: JudgeView, command: Callable[[Command], None]) -> None:
        self._judge = judge
        self._command = command

    def want_live(self, good: SlotRef) -> None:
        """Have last-known-good loaded, and judging as soon as it is ready."""
        held = self._judge.model(good.model.digest)
        if held is None:
            self._command(Load(slot=good.slot, digest=good.model.digest, golden=False))
        elif held.state is RunnerState.READY and not self._judge.is_live(good):
            self._command(Swap(digest=good.model.digest))

    def drop_others(self, activation: Activation, candidate: SlotRef | None) -> None:
        """Let go what is neither live, nor the way back, nor the candidate."""
        refs = (activation.last_known_good, candidate)
        wanted = {ref.model.digest for ref in refs if ref is not None}
        for model in self._judge.models:
            is_live = model.digest == self._rightly_live(activation)
            if not is_live and model.digest not in wanted:
                self._command(Drop(digest=model.digest))

    def _rightly_live(self, activation: Activation) -> str | None:
        """Return what judges, unless it was sent back and there is nothing to put in its place."""
        live = None if self._judge.status is None else self._judge.status.live
        is_banned = table.was_rolled_back(activation, live)
        return None if is_banned and activation.last_known_good is None else live
