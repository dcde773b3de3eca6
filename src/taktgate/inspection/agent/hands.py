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
        good = activation.last_known_good
        wanted = {ref.model.digest for ref in (good, candidate) if ref is not None}
        live = None if self._judge.status is None else self._judge.status.live
        for model in self._judge.models:
            if model.digest in wanted:
                continue
            if good is None and table.was_rolled_back(activation, model.digest):
                self._command(Drop(digest=model.digest, even_if_live=True))
            elif model.digest != live:
                self._command(Drop(digest=model.digest))
