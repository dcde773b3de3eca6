"""When a step that failed is tried again: later each time, and not for ever.

Azure/iotedge edge-agent/.../Agent.Core/planrunners/OrderedRetryPlanRunner.cs; that it ends for good
until edgeAgent restarts or another deployment comes is Azure/iotedge#6971.
"""

from dataclasses import dataclass

from taktgate.standin.azure.edgeagent.restart_policy import BackOff


@dataclass(frozen=True, slots=True)
class _Failure:
    count: int
    at_s: float


class StepRetries:
    """Remembers the failed steps of one deployment."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._failures: dict[str, _Failure] = {}

    def begin(self, version: int) -> None:
        """Forget all failures if *version* is another deployment than the last."""
        if version != self._version:
            self._version = version
            self._failures.clear()

    def is_due(self, key: str, *, now_s: float, back_off: BackOff) -> bool:
        """Tell whether a step may be tried now."""
        failure = self._failures.get(key)
        if failure is None:
            return True
        if failure.count >= back_off.max_restarts:
            return False
        return now_s - failure.at_s >= back_off.delay_s(failure.count)

    def failed(self, key: str, *, now_s: float) -> None:
        """Note that a step failed."""
        known = self._failures.get(key)
        self._failures[key] = _Failure(1 if known is None else known.count + 1, now_s)

    def succeeded(self, key: str) -> None:
        """Note that a step was done."""
        self._failures.pop(key, None)
