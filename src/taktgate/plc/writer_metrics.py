"""The writer's figures for Prometheus, as its agent hears of them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from taktgate.contracts.outcome import Outcome
from taktgate.plc.status import WriterStatus

_ACK_BUCKETS_MS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 150.0, 200.0, 300.0, 500.0)

Observe = Callable[[WriterStatus], Mapping[str, int]]


class WriterMetrics:
    """Counters of results, and whatever the newest status says.

    Counts of the status start again with the writer; Prometheus takes that for what it is.
    """

    def __init__(self, meter: Meter, status: Callable[[], WriterStatus | None]) -> None:
        self._status = status
        self._results = meter.create_counter(
            "taktgate_plc_results", description="Closed parts by verdict, reason and lane"
        )
        self._ack_ms = meter.create_histogram(
            "taktgate_plc_trigger_to_ack",
            unit="ms",
            description="Earlier end of the trigger interval to the PLC's acknowledge",
            explicit_bucket_boundaries_advisory=list(_ACK_BUCKETS_MS),
        )
        for name, read in _GAUGES.items():
            meter.create_observable_gauge(f"taktgate_plc_{name}", [self._observe(read)])
        for name, read in _COUNTERS.items():
            meter.create_observable_counter(f"taktgate_plc_{name}", [self._observe(read)])

    def count(self, outcome: Outcome) -> None:
        """Count one closed part."""
        self._results.add(
            1,
            {
                "verdict": outcome.verdict.value,
                "reason": outcome.reason.value,
                "lane": outcome.lane.value,
                "written": str(outcome.written).lower(),
            },
        )
        if outcome.trigger_to_ack_ms is not None:
            self._ack_ms.record(outcome.trigger_to_ack_ms, {"verdict": outcome.verdict.value})

    def _observe(self, read: Observe) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> list[Observation]:
            status = self._status()
            if status is None:
                return []
            return [
                Observation(value, {"of": label} if label else {})
                for label, value in read(status).items()
            ]

        return observe


_GAUGES: Final[Mapping[str, Observe]] = {
    "connected": lambda status: {"": int(status.is_connected)},
    "ready": lambda status: {"": int(status.is_ready)},
    "fault": lambda status: {"": int(status.has_fault)},
    "realtime": lambda status: {"": int(status.is_realtime)},
}
_COUNTERS: Final[Mapping[str, Observe]] = {
    "reconnects": lambda status: {"": status.reconnects},
    "judge_restarts": lambda status: {"": status.judge_restarts},
    "overflows": lambda status: {"": status.overflows},
    "late_ticks": lambda status: {"": status.late_ticks},
    "messages_refused": lambda status: status.refused,
    "verdicts_used": lambda status: status.used,
    "lane_lost": lambda status: status.lost,
}
