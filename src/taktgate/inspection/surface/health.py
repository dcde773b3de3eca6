"""Alive and ready: judged from the status board alone. Pure."""

from collections.abc import Mapping
from typing import Final

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.surface.board import Facts, LiveModel
from taktgate.inspection.surface.documents import Check, Health, Readiness

ALIVE_NS: Final = 5 * SECOND
"""The agent's loop turns four times a second."""
_PROVIDERS: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def is_alive(facts: Facts, now_ns: int) -> bool:
    """Tell whether the agent's loop still turns."""
    return now_ns - facts.turned_ns <= ALIVE_NS


def health(facts: Facts, now_ns: int) -> Health:
    """Return what `/healthz` says."""
    return Health(
        status="ok" if is_alive(facts, now_ns) else "stalled",
        active_model=None if facts.live is None else facts.live.label,
        turned_ms_ago=round(max(0, now_ns - facts.turned_ns) / MILLISECOND, 1),
    )


def readiness(
    facts: Facts, now_ns: int, *, required_provider: str, stores: Mapping[str, str]
) -> Readiness:
    """Return what `/readyz` says.

    Args:
        facts: the station as the agent's loop left it.
        now_ns: CLOCK_MONOTONIC.
        required_provider: `auto`, `cpu` or `cuda`, as station.yaml has it.
        stores: what is wrong with each place that is written to; empty: nothing.
    """
    live = facts.live
    checks = (
        _agent(facts, now_ns),
        _judge(facts),
        Check(name="model", ok=live is not None, detail="none" if live is None else live.label),
        _provider(live, required_provider),
        _plc(facts),
        *(Check(name=name, ok=not fault, detail=fault) for name, fault in stores.items()),
        Check(name="state_write", ok=not facts.write_fault, detail=facts.write_fault),
        Check(name="rights", ok=None, detail=", ".join(facts.missing_rights)),
        Check(name="error", ok=None, detail=facts.error),
    )
    last_good_ns = facts.last_good_ns
    return Readiness(
        ready=all(check.ok is not False for check in checks),
        active_model=None if live is None else live.label,
        digest=None if live is None else live.model.digest,
        provider=None if live is None else live.provider,
        phase=facts.phase,
        last_good_inference_age_s=(
            None if last_good_ns is None else round(max(0, now_ns - last_good_ns) / SECOND, 3)
        ),
        parts=facts.parts,
        deadline_misses=facts.deadline_misses,
        undecided=facts.undecided,
        checks=checks,
        counters=dict(facts.counters),
    )


def _agent(facts: Facts, now_ns: int) -> Check:
    ok = is_alive(facts, now_ns)
    return Check(name="agent", ok=ok, detail="" if ok else "its loop does not turn")


def _judge(facts: Facts) -> Check:
    """Its own reason covers camera, runner, breaker and ring."""
    if facts.is_judge_silent:
        return Check(name="judge", ok=False, detail="silent")
    detail = facts.reason or ("" if facts.is_ready else "the runner of the live model is not up")
    return Check(name="judge", ok=facts.is_ready, detail=detail)


def _provider(live: LiveModel | None, required: str) -> Check:
    """A fallback never looks healthy: who wants the CPU on a CUDA build says `provider: cpu`."""
    if live is None:
        return Check(name="provider", ok=False, detail=f"{required} is demanded, no model runs")
    wanted = _PROVIDERS.get(required, live.provider)
    ok = live.provider == wanted and not live.is_fallback
    detail = live.provider + (" instead of CUDA, which this build has" if live.is_fallback else "")
    if live.provider != wanted:
        detail += f", demanded is {wanted}"
    return Check(name="provider", ok=ok, detail=detail)


def _plc(facts: Facts) -> Check:
    if facts.is_enabled is None:
        return Check(name="plc", ok=False, detail="no fresh line state from the PLC writer")
    return Check(name="plc", ok=True, detail="enabled" if facts.is_enabled else "line disabled")
