"""Commands to the judge that follow from what it holds: sent as long as they are missing."""

from collections.abc import Callable

from taktgate.contracts.activation import Activation, SlotRef
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.judge_view import JudgeView
from taktgate.inspection.control import Drop, Load, RunnerState, Shadow, Swap

Command = Load | Swap | Drop | Shadow


class JudgeCommands:
    """Brings the judge's models in line with the activation."""

    def __init__(
        self,
        judge: JudgeView,
        command: Callable[[Command], None],
        *,
        probe_limit_ms: float | None,
    ) -> None:
        self._judge = judge
        self._command = command
        self._probe_limit_ms = probe_limit_ms

    def load_candidate(self, ref: SlotRef) -> None:
        """Have *ref* loaded, held against its golden images and probed."""
        self._command(
            Load(
                slot=ref.slot,
                digest=ref.model.digest,
                golden=True,
                probe_limit_ms=self._probe_limit_ms,
            )
        )

    def reload(self, ref: SlotRef) -> None:
        """Have a model that has proved itself here loaded, even if it was refused just now."""
        self._command(Load(slot=ref.slot, digest=ref.model.digest, golden=False))

    def try_again(self, ref: SlotRef) -> None:
        """Do so, and count on what was said of it before no more."""
        self._judge.forget(ref.model.digest)
        self.reload(ref)

    def swap(self, ref: SlotRef) -> None:
        """Have *ref* judge from the next part on."""
        self._command(Swap(digest=ref.model.digest))

    def drop(self, digest: str, *, even_if_live: bool = False) -> None:
        """Have the runner of *digest* ended, and count on it no more."""
        self._judge.forget(digest)
        self._command(Drop(digest=digest, even_if_live=even_if_live))

    def want_loaded(self, ref: SlotRef) -> None:
        """Have *ref* loaded, beside what judges."""
        if self._judge.model(ref.model.digest) is None:
            self.reload(ref)

    def want_live(self, ref: SlotRef) -> None:
        """Have *ref* loaded, and judging as soon as it is ready."""
        held = self._judge.model(ref.model.digest)
        if held is None:
            self.reload(ref)
        elif held.state is RunnerState.READY and not self._judge.is_live(ref):
            self.swap(ref)

    def want_shadow(self, digest: str | None) -> None:
        """Have frames shown to *digest*, and to nobody else."""
        status = self._judge.status
        if status is not None and status.shadow != digest:
            self._command(Shadow(digest=digest))

    def drop_others(self, activation: Activation, candidate: SlotRef | None) -> None:
        """Let go what is neither live, nor a way back, nor the candidate."""
        good = activation.last_known_good
        refs = (good, activation.previous_good, candidate)
        wanted = {ref.model.digest for ref in refs if ref is not None}
        live = None if self._judge.status is None else self._judge.status.live
        for model in self._judge.models:
            if model.digest not in wanted and model.digest != live:
                self.drop(model.digest)

    def silence_distrusted(self, activation: Activation) -> None:
        """End what judges although it was sent back: no trusted model can run in its place."""
        live = None if self._judge.status is None else self._judge.status.live
        refs = (activation.last_known_good, activation.previous_good)
        trusted = {ref.model.digest for ref in refs if ref is not None}
        is_distrusted = live not in trusted and table.was_rolled_back(activation, live)
        if live is not None and (activation.halt is not None or is_distrusted):
            self.drop(live, even_if_live=True)
