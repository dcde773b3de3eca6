"""How often a hub evaluates its deployments; Azure takes minutes, tests take what they need."""

from collections.abc import Callable

from taktgate.standin.azure.clock import Clock, Timer


class EvaluationPeriod:
    """Calls *evaluate* every so many seconds of the world's clock while a period is set."""

    def __init__(self, clock: Clock, evaluate: Callable[[], None]) -> None:
        self._clock = clock
        self._evaluate = evaluate
        self._timer: Timer | None = None

    def set(self, period_s: float | None) -> None:
        """Begin a period, or end the one that is set (None)."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if period_s is not None:
            self._begin(period_s)

    def _begin(self, period_s: float) -> None:
        def evaluate() -> None:
            self._evaluate()
            self._begin(period_s)

        self._timer = self._clock.call_later(period_s, evaluate)
