"""A candidate in the shadow of the live model: how long it stays there, and how it leaves."""

from collections.abc import Callable

from taktgate.contracts.activation import NO_PARTS, Baseline
from taktgate.inspection.agent.endurance import Endurance
from taktgate.inspection.agent.judge_view import JudgeView
from taktgate.inspection.control import LoadedModel
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.guardrails.shadow import ShadowComparison, ShadowOutcome
from taktgate.inspection.opinions import ShadowPair


class ShadowPhase:
    """Compares part by part. It waits for as long as the line stands: parts decide, not time."""

    def __init__(
        self, judge: JudgeView, settings: GuardrailSettings, clock: Callable[[], int]
    ) -> None:
        self._judge = judge
        self._settings = settings
        self._candidate_up = Endurance(clock)
        self._live_up = Endurance(clock)
        self._comparison: ShadowComparison | None = None

    @property
    def figures(self) -> dict[str, float]:
        """Return what was compared so far; nothing outside a shadow."""
        return {} if self._comparison is None else self._comparison.figures()

    @property
    def live(self) -> Baseline:
        """Return what the live model made of the parts that were compared."""
        return NO_PARTS if self._comparison is None else self._comparison.live

    def begin(self) -> None:
        """Begin with a candidate that is ready."""
        self._candidate_up.restart()
        self._live_up.restart()
        self._comparison = ShadowComparison(self._settings)

    def end(self) -> None:
        """Forget the comparison."""
        self._comparison = None

    def add(self, pair: ShadowPair, candidate: str) -> None:
        """Take in a part that live model and candidate have both judged."""
        if self._comparison is not None and pair.shadow.digest == candidate:
            self._comparison.add(pair)

    def outcome(self, held: LoadedModel) -> ShadowOutcome | Breach:
        """Return where the shadow of the model *held* stands.

        Without a live model that stays up there is nothing to compare with, and a new model may be
        the cure: the trial decides then.
        """
        if self._comparison is None or not self._settings.shadow_parts:
            return ShadowOutcome.PASSED
        why = self._candidate_up.given_out(held)
        if why is not None:
            return Breach(
                guardrail=Guardrail.INFERENCE_FAILURE,
                message=f"in the shadow {why}",
                figures=self.figures,
            )
        is_live_up = self._is_live_up()
        return self._comparison.outcome() if is_live_up else ShadowOutcome.PASSED

    def _is_live_up(self) -> bool:
        status = self._judge.status
        if status is None or self._judge.is_silent:
            return True  # nothing is known, and so nothing follows
        live = self._judge.model(status.live)
        return live is not None and self._live_up.given_out(live) is None
