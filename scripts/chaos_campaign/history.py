"""What became of each part, and what must never have become of one. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from taktgate.contracts.verdict import Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND, SECOND

RECOVERY_NS: Final = 1 * SECOND
"""After the first verdict that follows a fault, parts that came before it may still be unheard."""
STARTED_BEFORE_NS: Final = 1 * SECOND
"""A part that was under way when a fault struck may be lost to it."""
LONGEST_SILENCE_NS: Final = 20 * SECOND
"""After a fault: the judge's start takes most of it, on a busy machine."""
HELD_UP_NS: Final = SECOND // 2
"""So long a busy machine may hold up the judge itself. A late PASS is a finding all the same."""
_SAME_SCORE: Final = 1e-3


@dataclass(slots=True, kw_only=True)
class SentPart:
    """One part as the line saw it, CLOCK_MONOTONIC."""

    trigger_id: int
    sent_ns: int
    deadline_ns: int
    grey: int | None
    """The brightness of its frame, None when the camera could not send one."""
    is_defective: bool
    was_ready: bool
    """The judge's newest beat said so and was fresh."""
    envelopes: list[VerdictEnvelope] = field(default_factory=list)
    heard_ns: list[int] = field(default_factory=list)

    @property
    def is_judged(self) -> bool:
        """Tell whether a model decided."""
        return any(each.verdict is not Verdict.NO_DECISION for each in self.envelopes)

    @property
    def fate(self) -> str:
        """Return what the gate acted on."""
        if not self.envelopes:
            return "SILENT"
        its = self.envelopes[0]
        return its.reason.value if its.verdict is Verdict.NO_DECISION else its.verdict.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """One fault that was injected."""

    name: str
    at_ns: int
    until_ns: int
    """When it was over; as `at_ns` for a kill."""
    silences: bool
    """The judge, or who hears it, was struck: parts may stay without a verdict. After any other
    fault each part gets one, if only that there is no decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A time in which parts may be without a verdict, CLOCK_MONOTONIC."""

    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How long after a blow the first part was judged that came after it."""

    blow: str
    took_ms: float | None
    """None: none was."""


def findings(
    parts: Iterable[SentPart],
    blows: Iterable[Blow],
    scores: Mapping[str, Mapping[int, float]],
) -> list[str]:
    """Return what must not have happened, each in one line.

    Args:
        parts: All parts of the campaign.
        blows: All faults.
        scores: The score of each brightness, by the digest of the model.
    """
    sent = list(parts)
    silences = _silences(sent, blows)
    found: list[str] = []
    for part in sent:
        found += [f"part {part.trigger_id}: {what}" for what in _wrong(part, silences, scores)]
    return found


def recoveries(parts: Iterable[SentPart], blows: Iterable[Blow]) -> list[Recovery]:
    """Return for each blow when the line judged again, from the blow's beginning."""
    judged = [part for part in parts if part.is_judged]
    found = []
    for blow in blows:
        after = (part.heard_ns[0] for part in judged if part.sent_ns > blow.at_ns)
        first_ns = min(after, default=None)
        took_ms = None if first_ns is None else (first_ns - blow.at_ns) / MILLISECOND
        found.append(Recovery(blow=blow.name, took_ms=took_ms))
    return found


def fates(parts: Iterable[SentPart]) -> dict[str, int]:
    """Return the number of parts by what the gate acted on."""
    return dict(Counter(part.fate for part in parts).most_common())


def _silences(parts: Sequence[SentPart], blows: Iterable[Blow]) -> list[Silence]:
    """Return when parts may be silent: from a fault to the first part that was heard of after."""
    found = []
    for blow in blows:
        if not blow.silences:
            continue
        heard = (part.sent_ns for part in parts if part.envelopes and part.sent_ns > blow.until_ns)
        limit_ns = blow.until_ns + LONGEST_SILENCE_NS
        to_ns = min(min(heard, default=limit_ns) + RECOVERY_NS, limit_ns)
        found.append(Silence(from_ns=blow.at_ns - STARTED_BEFORE_NS, to_ns=to_ns))
    return found


def _wrong(
    part: SentPart, silences: list[Silence], scores: Mapping[str, Mapping[int, float]]
) -> list[str]:
    found = [what for each in part.envelopes for what in _wrong_with(part, each, scores)]
    starts = Counter(each.judge_start_id for each in part.envelopes)
    if any(count > 1 for count in starts.values()):
        found.append("two verdicts of one judge")
    if len({each.verdict for each in part.envelopes}) > 1:
        found.append("two judges contradict each other")
    is_explained = any(each.from_ns <= part.sent_ns <= each.to_ns for each in silences)
    if not part.envelopes and not is_explained:
        found.append("no verdict, and no fault that explains it")
    late_ns = max((each.decided_ns - part.deadline_ns for each in part.envelopes[:1]), default=0)
    if late_ns > HELD_UP_NS and not is_explained:
        found.append(f"{part.fate} {late_ns // MILLISECOND} ms after the deadline, unexplained")
    return found


def undecided_while_ready(parts: Iterable[SentPart]) -> dict[str, int]:
    """Return the parts without a decision though the newest beat said that one could be made."""
    return dict(Counter(part.fate for part in parts if part.was_ready and not part.is_judged))


def _wrong_with(
    part: SentPart, envelope: VerdictEnvelope, scores: Mapping[str, Mapping[int, float]]
) -> list[str]:
    found = []
    if envelope.verdict is Verdict.PASS:
        if part.is_defective:
            found.append("a defective part passed")
        if envelope.decided_ns >= part.deadline_ns:
            found.append("it passed after its deadline")
        if part.grey is None:
            found.append("it passed without a frame")
    if envelope.score is not None and part.grey is not None:
        model = None if envelope.model is None else envelope.model.digest
        right = scores.get(model or "", {}).get(part.grey)
        if right is None or abs(envelope.score - right) > _SAME_SCORE:
            found.append(f"its score {envelope.score} is not of this frame and this model")
    return found
