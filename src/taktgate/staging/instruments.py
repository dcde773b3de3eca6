"""The stager's metrics."""

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from taktgate.bundle.errors import BundleError
from taktgate.contracts.twins import StagingPhase
from taktgate.staging.errors import StagingError
from taktgate.staging.fetch.pace import Pace, PaceState


class Instruments:
    """Counts attempts, failures by reason and bytes; shows the phase as one series per phase."""

    def __init__(self, meter: Meter, *, phase: Callable[[], StagingPhase]) -> None:
        self._fetched = meter.create_counter("model_stager_fetched", unit="By")
        self._duration = meter.create_histogram("model_stager_staging_duration", unit="s")
        self._failures = meter.create_counter("model_stager_failures")
        self._collected = meter.create_counter("model_stager_collected_slots")

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            now = phase()
            return [Observation(int(one is now), {"phase": one.value}) for one in StagingPhase]

        meter.create_observable_gauge("model_stager_phase", callbacks=[observe])

    def fetched(self, size_bytes: int) -> None:
        """Count bytes that came from the registry."""
        self._fetched.add(size_bytes)

    def attempted(self, duration_s: float, error: StagingError | BundleError | None) -> None:
        """Count one attempt, with the reason why it did not end in an announcement."""
        self._duration.record(duration_s, {"outcome": error.reason if error else "STAGED"})
        if error is not None:
            self._failures.add(1, {"reason": error.reason})

    def collected(self, slots: int) -> None:
        """Count removed slots."""
        self._collected.add(slots)


def show_pace(meter: Meter, pace: Pace) -> None:
    """Show what heavy work is doing as one series per state, and how often it has paused."""

    def state(_: CallbackOptions) -> Iterable[Observation]:
        now = pace.status.state
        return [Observation(int(one is now), {"state": one.value}) for one in PaceState]

    def pauses(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(pace.pauses)]

    meter.create_observable_gauge("model_stager_pace", callbacks=[state])
    meter.create_observable_counter("model_stager_pauses", callbacks=[pauses])
