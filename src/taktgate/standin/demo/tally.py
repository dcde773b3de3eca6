"""What happened to the parts of a run, counted from the PLC's and the camera's own records.

Pure. The PLC says what it saw and did, the camera says which image it showed; nothing here comes
from the modules under test except the lane, which only they know.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict

FAULT_MARGIN_BEFORE_S = 1.0
"""A part in flight when the fault struck may be lost to it."""
FAULT_MARGIN_AFTER_S = 15.0
"""Restart, first connection and resynchronisation after a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part as the PLC closed it."""

    trigger_id: int
    trigger_ns: int
    verdict: Verdict
    reason: str
    gate: str
    """"accept" or "reject"."""
    why: str
    ack_ms: float | None
    second_verdict: bool
    unsafe: bool
    unexplained: bool

    @property
    def is_judged(self) -> bool:
        """Tell whether a model has decided on it."""
        return self.reason in (Reason.NONE, Reason.UNCERTAIN) and self.ack_ms is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that was broken on purpose, or that broke."""

    name: str
    at_ns: int
    injected: bool
    """Planned by the run, or a kill from outside: no fault of the station's."""
    duration_s: float = 0.0

    def explains(self, at_ns: int) -> bool:
        """Tell whether this fault may be the cause of what went wrong at *at_ns*."""
        age_s = (at_ns - self.at_ns) / 1e9
        return -FAULT_MARGIN_BEFORE_S <= age_s <= self.duration_s + FAULT_MARGIN_AFTER_S


@dataclass(slots=True)
class Tally:
    """Collects the records of a run while it goes on."""

    parts: list[Part] = field(default_factory=list)
    truth: dict[int, str] = field(default_factory=dict)
    """Label ("ok" | "defective") of the image shown for a TriggerId."""
    lanes: dict[int, Lane] = field(default_factory=dict)
    """Lane that brought the verdict of a TriggerId."""
    models: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    mishaps: list[str] = field(default_factory=list)
    """What did not go as the run had planned."""

    def verdicts(self) -> dict[str, int]:
        """Return the number of parts by verdict; the numbers sum to the parts."""
        counts = Counter(part.verdict for part in self.parts)
        return {verdict.value: counts[verdict] for verdict in Verdict}

    def reasons(self) -> dict[str, int]:
        """Return the number of parts without a decision by reason."""
        return dict(Counter(part.reason for part in self.parts if part.reason != Reason.NONE))

    def judged_against_labels(self) -> dict[str, int]:
        """Return right and wrong decisions; parts without a decision are in neither."""
        outcome = Counter(_compare(part, self.truth.get(part.trigger_id)) for part in self.parts)
        return {name: outcome[name] for name in ("right", "wrong_pass", "wrong_fail")}

    def latency_ms(self) -> dict[str, float | int | None]:
        """Return trigger-to-acknowledge percentiles as the PLC measured them, with their n."""
        samples = [part.ack_ms for part in self.parts if part.ack_ms is not None]
        return {"n": len(samples), **percentiles(samples)}

    def lane_shares(self) -> dict[str, int]:
        """Return how many parts' verdicts each lane brought first."""
        closed = {part.trigger_id for part in self.parts}
        counts = Counter(lane for trigger_id, lane in self.lanes.items() if trigger_id in closed)
        return {lane.value: counts[lane] for lane in (Lane.LOCAL, Lane.EDGEHUB)}

    def model(self) -> Mapping[str, Any] | None:
        """Return the model that judged the newest judged part."""
        known = [part.trigger_id for part in self.parts if part.trigger_id in self.models]
        return self.models[known[-1]] if known else None

    def unexplained_silence(self) -> int:
        """Return how many parts are SILENT with no injected fault that explains it."""
        silent = [part for part in self.parts if part.reason == Reason.SILENT]
        return sum(not self._is_explained(part.trigger_ns) for part in silent)

    def _is_explained(self, at_ns: int) -> bool:
        return any(fault.injected and fault.explains(at_ns) for fault in self.faults)

    def objections(self, *, expected_parts: int, may_be_silent: bool = False) -> list[str]:
        """Return why this run does not count as clean; nothing when it does.

        Silence is safe, so a run that is about other things may have some where it asks too much of
        the machine.
        """
        found = {
            "parts missing": expected_parts - len(self.parts),
            "parts accepted without a fresh, matched, in-deadline PASS": self.count("unsafe"),
            "gate actions that the verdict does not explain": self.count("unexplained"),
            "parts with two verdicts": self.count("second_verdict"),
            "parts SILENT without an injected fault": (
                0 if may_be_silent else self.unexplained_silence()
            ),
        }
        broke = [
            fault.name
            for fault in self.faults
            if not fault.injected and not self._is_explained(fault.at_ns)
        ]
        counted = [f"{number} {what}" for what, number in found.items() if number]
        return [*counted, *broke, *self.mishaps]

    def count(self, fact: str) -> int:
        """Return how many parts have *fact*, a boolean field of `Part`."""
        return sum(getattr(part, fact) for part in self.parts)

    def summary(self) -> dict[str, Any]:
        """Return the figures of the run, in the form of `--json`."""
        return {
            "parts": len(self.parts),
            "verdicts": self.verdicts(),
            "reasons": self.reasons(),
            **self.judged_against_labels(),
            "unsafe_pass": self.count("unsafe"),
            "unexplained_gate_actions": self.count("unexplained"),
            "second_verdicts": self.count("second_verdict"),
            "unexplained_silent": self.unexplained_silence(),
            "gate": dict(Counter(part.gate for part in self.parts)),
            "latency_ms": self.latency_ms(),
            "lanes": self.lane_shares(),
            "model": self.model(),
            "faults": [{"name": fault.name, "injected": fault.injected} for fault in self.faults],
            "records": [self._record(part) for part in self.parts],
        }

    def _record(self, part: Part) -> dict[str, Any]:
        return {
            "trigger_id": part.trigger_id,
            "label": self.truth.get(part.trigger_id),
            "verdict": part.verdict.value,
            "reason": part.reason,
            "gate": part.gate,
            "ack_ms": part.ack_ms,
            "lane": self.lanes.get(part.trigger_id),
        }


def combine(tallies: Iterable[Tally]) -> Tally:
    """Return one tally of all parts. Each PLC numbers its own parts, so ids are kept apart."""
    combined = Tally()
    for number, tally in enumerate(tallies):
        shift = number << 32
        combined.parts += [
            replace(part, trigger_id=part.trigger_id + shift) for part in tally.parts
        ]
        combined.truth |= {key + shift: label for key, label in tally.truth.items()}
        combined.lanes |= {key + shift: lane for key, lane in tally.lanes.items()}
        combined.models |= {key + shift: model for key, model in tally.models.items()}
        combined.faults += tally.faults
        combined.mishaps += tally.mishaps
    return combined


def percentiles(samples: Sequence[float]) -> dict[str, float | None]:
    """Return p50, p95 and p99 of *samples* (nearest rank), or None where there are none."""
    names = {"p50": 50, "p95": 95, "p99": 99}
    if not samples:
        return dict.fromkeys(names)
    ranked = sorted(samples)
    ranks = {name: math.ceil(len(ranked) * share / 100) for name, share in names.items()}
    return {name: round(ranked[rank - 1], 3) for name, rank in ranks.items()}


def _compare(part: Part, label: str | None) -> str:
    if label is None or part.verdict not in (Verdict.PASS, Verdict.FAIL):
        return "undecided"
    if (part.verdict is Verdict.PASS) == (label == "ok"):
        return "right"
    return "wrong_pass" if part.verdict is Verdict.PASS else "wrong_fail"
