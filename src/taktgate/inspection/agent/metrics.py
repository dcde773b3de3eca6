"""The figures of inference for Prometheus. Labels take few values: no part, no order, no digest."""

from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.edge.clock import SECOND
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.control import JudgeEvent, LoadedModel, Ready

_LATENCY_BUCKETS_S: Final = (
    0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1.0,
)  # fmt: skip


class AgentMetrics:
    """Implements the agent's `Figures` with OpenTelemetry instruments."""

    def __init__(self, meter: Meter) -> None:
        self._verdicts = meter.create_counter(
            "taktgate.verdicts", description="Verdicts by verdict, reason and model"
        )
        self._events = meter.create_counter(
            "taktgate.judge.events", description="What happened in the judge"
        )
        self._to_verdict = meter.create_histogram(
            "taktgate.frame.to.verdict",
            unit="s",
            description="Frame complete in memory to verdict decided",
            explicit_bucket_boundaries_advisory=_LATENCY_BUCKETS_S,
        )
        self._inference = meter.create_histogram(
            "taktgate.inference",
            unit="s",
            description="session.run alone",
            explicit_bucket_boundaries_advisory=_LATENCY_BUCKETS_S,
        )
        self._live: LoadedModel | None = None
        self._models: tuple[LoadedModel, ...] = ()
        self._is_ready = False
        self._rights: dict[str, bool] = {}
        self._counters: dict[str, int] = {}
        self._trial: dict[str, float] = {}
        self._good: dict[str, float] = {}
        meter.create_observable_gauge(
            "taktgate.model.live",
            callbacks=[self._observe_live],
            description="1 for the model that judges, with its execution provider",
        )
        meter.create_observable_gauge(
            "taktgate.model.probe",
            callbacks=[self._observe_probes],
            description="What golden images and latency probe found of each model on this device",
        )
        meter.create_observable_gauge(
            "taktgate.judge.ready",
            callbacks=[lambda _: [Observation(int(self._is_ready))]],
            description="1 while a part could be judged",
        )
        meter.create_observable_gauge(
            "taktgate.judge.realtime.right",
            callbacks=[self._observe_rights],
            description="1 for each real-time right of the judge that was granted",
        )
        meter.create_observable_gauge(
            "taktgate.judge.count",
            callbacks=[self._observe_counters],
            description="Counters of judge and agent since their start, losses among them",
        )
        meter.create_observable_gauge(
            "taktgate.trial",
            callbacks=[self._observe_trial],
            description="Figures of the candidate in its shadow or trial",
        )
        meter.create_observable_gauge(
            "taktgate.guardrail",
            callbacks=[self._observe_good],
            description="Figures of the confirmed model",
        )

    def verdict(self, envelope: VerdictEnvelope) -> None:
        """Count one verdict and its times."""
        model = envelope.model
        labels = {
            "verdict": envelope.verdict.value,
            "reason": envelope.reason.value,
            "model": "" if model is None else model.name,
            "version": "" if model is None else model.version,
        }
        self._verdicts.add(1, labels)
        if envelope.received_ns is not None:
            self._to_verdict.record((envelope.decided_ns - envelope.received_ns) / SECOND)
        if envelope.inference_start_ns is not None and envelope.inference_end_ns is not None:
            run_ns = envelope.inference_end_ns - envelope.inference_start_ns
            self._inference.record(run_ns / SECOND)

    def happening(self, event: JudgeEvent) -> None:
        """Count one event of the judge."""
        self._events.add(1, {"happening": event.happening.value, "reason": event.reason})

    def state(self, activator: Activator, losses: Mapping[str, int]) -> None:
        """Take note of what is; a scrape reads it from another thread."""
        status = activator.judge.status
        self._live, self._models = activator.judge.live_model, activator.judge.models
        self._is_ready = activator.judge.is_ready
        self._rights = activator.judge.rights
        if status is not None:
            self._counters = {**status.counters, **{f"agent_{k}": v for k, v in losses.items()}}
        self._trial, self._good = activator.figures, activator.live_figures

    def _observe_live(self, _: CallbackOptions) -> Iterable[Observation]:
        live = self._live
        if live is None or live.ready is None:
            return []
        model = live.ready.model
        labels = {
            "model": model.name,
            "version": model.version,
            "provider": live.ready.provider,
            "fallback": str(live.ready.is_fallback).lower(),
            "full_priority": str(live.ready.has_full_priority).lower(),
            "realtime": "unasked" if live.has_realtime is None else str(live.has_realtime).lower(),
            "standby": "none" if live.standby is None else live.standby.value,
        }
        return [Observation(1, labels)]

    def _observe_probes(self, _: CallbackOptions) -> Iterable[Observation]:
        proven = [held.ready for held in self._models if held.ready is not None]
        return [
            Observation(
                value,
                {"model": ready.model.name, "version": ready.model.version, "figure": figure},
            )
            for ready in proven
            for figure, value in _probe_figures(ready).items()
        ]

    def _observe_rights(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(int(has), {"right": right}) for right, has in self._rights.items()]

    def _observe_counters(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(count, {"what": what}) for what, count in self._counters.items()]

    def _observe_trial(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, {"figure": figure}) for figure, value in self._trial.items()]

    def _observe_good(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, {"figure": figure}) for figure, value in self._good.items()]


def _probe_figures(ready: Ready) -> dict[str, float]:
    """Return what a model has shown before it may judge; times only of one probed in this start."""
    known = {
        "golden_images": ready.golden_images,
        "golden_worst": ready.golden_worst,
        "runs": ready.probe_runs,
        "p50_ms": ready.probe_p50_ms,
        "p99_ms": ready.probe_p99_ms,
    }
    return {figure: float(value) for figure, value in known.items() if value is not None}
