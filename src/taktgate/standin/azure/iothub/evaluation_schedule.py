"""When the hub evaluates its deployments: at each change, or from time to time as Azure does."""

from collections.abc import Callable

from taktgate.standin.azure.clock import Clock, Timer


class EvaluationSchedule:
    """Calls *evaluate* when a period is over; without a period each change is acted on at once."""

    def __init__(self, clock: Clock, evaluate: Callable[[], None], *, at_each_change: bool) -> None:
        self._clock = clock
        self._evaluate = evaluate
        self._timer: Timer | None = None
        self.is_at_each_change = at_each_change

    def set_period(self, period_s: float | None) -> None:
        """Evaluate every so many seconds of the world's clock; None: at each change, and now.

        With a period the gap between deleting a deployment and creating its successor shows
        (Azure/azure-cli-extensions#1988). To be called on the event loop.
        """
        self.stop()
        self.is_at_each_change = period_s is None
        if period_s is None:
            self._evaluate()
        else:
            self._await_period(period_s)

    def stop(self) -> None:
        """Evaluate no more by the period; for the end of a world."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _await_period(self, period_s: float) -> None:
        def evaluate() -> None:
            self._evaluate()
            self._await_period(period_s)

        self._timer = self._clock.call_later(period_s, evaluate)
