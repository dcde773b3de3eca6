"""The surface's status board, filled where the agent fills its metrics."""

from collections.abc import Mapping
from typing import Final

from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import monotonic_ns
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.agent.faults import Source
from taktgate.inspection.control import JudgeEvent, JudgeStatus, LoadedModel
from taktgate.inspection.surface.board import Facts, LiveModel, StatusBoard

_DECIDED: Final = (Verdict.PASS, Verdict.FAIL)


class BoardFigures:
    """Implements the agent's `Figures`."""

    def __init__(self, board: StatusBoard) -> None:
        self._board = board
        self._parts = self._misses = self._undecided = 0
        self._last_good_ns: int | None = None

    def verdict(self, envelope: VerdictEnvelope) -> None:
        """Count one verdict."""
        self._parts += 1
        if envelope.verdict in _DECIDED:
            self._last_good_ns = envelope.decided_ns
        else:
            self._undecided += 1
        self._misses += envelope.reason is Reason.TIMEOUT

    def happening(self, event: JudgeEvent) -> None:
        """Nothing: events are for the log and the metrics."""

    def state(self, activator: Activator, losses: Mapping[str, int]) -> None:
        """Publish what is; called each time the agent's loop turns."""
        judge, status = activator.judge, activator.judge.status
        error, write_fault = activator.error, activator.faults.get(Source.STATE)
        counters = {} if status is None else dict(status.counters)
        counters.update({f"agent_{name}": count for name, count in losses.items()})
        self._board.publish(
            Facts(
                turned_ns=monotonic_ns(),
                phase=activator.phase.value,
                live=_live(judge.live_model),
                is_judge_silent=judge.is_silent or status is None,
                is_ready=judge.is_ready and not judge.is_silent,
                reason="the judge has not spoken yet" if status is None else status.reason,
                is_enabled=None if status is None or judge.is_silent else status.is_enabled,
                last_good_ns=self._last_good_ns,
                parts=self._parts,
                deadline_misses=self._misses,
                undecided=self._undecided,
                error="" if error is None else f"{error.reason}: {error.message}",
                write_fault="" if write_fault is None else write_fault.message,
                missing_rights=_missing_rights(status, judge.live_model),
                counters=tuple(sorted(counters.items())),
            )
        )


def _live(held: LoadedModel | None) -> LiveModel | None:
    if held is None or held.ready is None:
        return None
    ready = held.ready
    return LiveModel(
        model=ready.model,
        slot=held.slot,
        fingerprint=ready.fingerprint,
        provider=ready.provider,
        is_fallback=ready.is_fallback,
    )


def _missing_rights(status: JudgeStatus | None, live: LoadedModel | None) -> tuple[str, ...]:
    rights = {} if status is None else status.rights
    missing = [f"judge: {right}" for right, is_granted in sorted(rights.items()) if not is_granted]
    if live is not None and live.has_realtime is False:
        missing.append("runner: scheduling")
    if live is not None and live.ready is not None and not live.ready.has_full_priority:
        missing.append("runner: its threads stay at idle priority")
    return tuple(missing)
