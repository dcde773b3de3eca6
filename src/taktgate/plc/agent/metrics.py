"""The writer's figures for Prometheus, as its agent hears of them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from taktgate.contracts.outcome import Outcome
from taktgate.plc.writer.status import WriterStatus

_ACK_BUCKETS_MS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 150.0, 200.0, 300.0, 500.0)
_LONGEST_CAUSE: Final = 120
"""Of a label: Prometheus keeps it with each sample."""

Observe = Callable[[WriterStatus], Mapping[str, int]]


class WriterMetrics:
    """Counters of results, and whatever the newest status says.

    Counts of the status start again with the writer; Prometheus takes that for what it is.
    """

    def __init__(
        self,
        meter: Meter,
        *,
        status: Callable[[], WriterStatus | None],
        losses: Callable[[], Mapping[str, int]],
    ) -> None:
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
        self._consumed_ms = meter.create_histogram(
            "taktgate_plc_trigger_to_consumed",
            unit="ms",
            description="Earlier end of the trigger interval to the reading of its AckSeq",
            explicit_bucket_boundaries_advisory=list(_ACK_BUCKETS_MS),
        )
        for name, (read, meaning) in _GAUGES.items():
            meter.create_observable_gauge(
                f"taktgate_plc_{name}", [self._observe(read)], description=meaning
            )
        for name, (read, meaning) in _COUNTERS.items():
            meter.create_observable_counter(
                f"taktgate_plc_{name}", [self._observe(read)], description=meaning
            )
        meter.create_observable_gauge(
            "taktgate_plc_last_loss",
            [self._last_loss],
            description="1, with the cause of the last lost session; absent while none was lost",
        )
        meter.create_observable_counter(
            "taktgate_plc_agent_lost",
            [lambda _options: _observations(losses())],
            description="Messages that the agent could not pass on, by receiver or cause",
        )

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
        if outcome.acknowledged_ms is not None:
            self._consumed_ms.record(outcome.acknowledged_ms, {"verdict": outcome.verdict.value})

    def _last_loss(self, _options: CallbackOptions) -> list[Observation]:
        status = self._status()
        if status is None or not status.last_loss:
            return []
        return [Observation(1, {"cause": status.last_loss[:_LONGEST_CAUSE]})]

    def _observe(self, read: Observe) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> list[Observation]:
            status = self._status()
            return [] if status is None else _observations(read(status))

        return observe


def _observations(values: Mapping[str, int]) -> list[Observation]:
    """Return one observation for each value; its key becomes the attribute `of`."""
    return [Observation(value, {"of": of} if of else {}) for of, value in values.items()]


_GAUGES: Final[Mapping[str, tuple[Observe, str]]] = {
    "connected": (lambda status: {"": int(status.is_connected)}, "A session with the PLC is open"),
    "ready": (lambda status: {"": int(status.is_ready)}, "VIS01_Sts.Ready"),
    "fault": (lambda status: {"": int(status.has_fault)}, "VIS01_Sts.Fault"),
    "error_code": (
        lambda status: {"": status.error_code},
        "VIS01_Sts.ErrorCode, also while nothing can be written",
    ),
    "realtime": (lambda status: {"": int(status.is_realtime)}, "Every real-time right is granted"),
    "realtime_right": (
        lambda status: {right: int(is_granted) for right, is_granted in status.rights.items()},
        "One real-time right is granted: scheduling (SCHED_FIFO), memory (locked)",
    ),
    "acknowledging": (
        lambda status: {"": int(status.is_acknowledging)},
        "0 after three results in a row without AckSeq",
    ),
}
_COUNTERS: Final[Mapping[str, tuple[Observe, str]]] = {
    "reconnects": (lambda status: {"": status.reconnects}, "Sessions opened after the first"),
    "losses": (lambda status: {"": status.losses}, "Sessions that were lost"),
    "contract_checks": (lambda status: {"": status.contract_checks}, "Full checks of the tags"),
    "judge_restarts": (lambda status: {"": status.judge_restarts}, "Changes of the judge's start"),
    "overflows": (lambda status: {"": status.overflows}, "Parts refused because 8 were open"),
    "rewritten": (lambda status: {"": status.rewritten}, "Results that were written again"),
    "unacknowledged": (
        lambda status: {"": status.unacknowledged},
        "Results confirmed and never acknowledged",
    ),
    "late_ticks": (lambda status: {"": status.late_ticks}, "Ticks that began one tick late"),
    "messages_refused": (lambda status: status.refused, "Messages not used, by cause and lane"),
    "verdicts_used": (lambda status: status.used, "Verdicts that decided a part, by lane"),
    "lane_lost": (lambda status: status.lost, "Datagrams that found no receiver"),
}
