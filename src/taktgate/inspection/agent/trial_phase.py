"""A candidate on trial: watched part by part, its counts kept on the disk, its runner followed."""

from collections.abc import Callable

from taktgate.contracts.activation import Activation, Baseline
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.endurance import Endurance
from taktgate.inspection.agent.ledger import Ledger
from taktgate.inspection.control import LoadedModel
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.guardrails.trial import TrialWatch, counts_of


class TrialPhase:
    """The trial that goes on now, if one does."""

    def __init__(
        self, ledger: Ledger, settings: GuardrailSettings, clock: Callable[[], int]
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._endurance = Endurance(clock)
        self.watch: TrialWatch | None = None

    @property
    def figures(self) -> dict[str, float]:
        """Return what the trial has shown so far; nothing outside one."""
        return counts_of(self.watch)

    @property
    def counts(self) -> Baseline:
        """Return what the trial has shown, as the baseline of the model that it confirms."""
        assert self.watch is not None
        return self.watch.as_baseline()

    @property
    def is_over(self) -> bool:
        """Return True when all its parts are in."""
        return self.watch is not None and self.watch.is_over

    def begin(self, activation: Activation) -> None:
        """Begin, or go on with what *activation* has recorded of it."""
        self._endurance.restart()
        self.watch = TrialWatch(self._settings, activation.baseline, activation.trial)

    def end(self) -> None:
        """Forget the trial."""
        self.watch = None

    def observe(self, envelope: VerdictEnvelope) -> Breach | None:
        """Take in one part of it; return the breach that the part completes."""
        if self.watch is None:
            return None
        breach = self.watch.observe(envelope)
        if breach is None and not self.watch.is_over:
            progress = table.with_progress(self._ledger.activation, self.watch.progress)
            if progress is not None:
                self._ledger.save(progress)
        return breach

    def escape(self, trigger_id: int, defect_class: str) -> Breach | None:
        """Take in a confirmed escape of the candidate; return the breach that it completes."""
        return None if self.watch is None else self.watch.escape(trigger_id, defect_class)

    def given_out(self, held: LoadedModel | None) -> Breach | None:
        """Return a breach when its runner cannot come up: that gives no verdicts to watch."""
        why = self._endurance.given_out(held)
        return None if why is None else failure(why, self.figures)


def failure(message: str, figures: dict[str, float]) -> Breach:
    """Return the breach of a candidate that cannot be relied on to run."""
    return Breach(guardrail=Guardrail.INFERENCE_FAILURE, message=message, figures=figures)
