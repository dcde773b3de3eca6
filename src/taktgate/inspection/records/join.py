"""Verdict and note of one part come in two datagrams: here they meet. Pure."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.edge.clock import SECOND
from taktgate.inspection.control import PartNote

PATIENCE_NS: Final = 12 * SECOND
"""A runner that hangs is killed some 10 s after its trigger at the latest, and the note follows."""
MAX_WAITING: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPart:
    """A verdict, when it went to edgeHub, and the judge's note unless that was lost."""

    envelope: VerdictEnvelope
    edgehub_ns: int | None
    note: PartNote | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    envelope: VerdictEnvelope
    edgehub_ns: int | None
    since_ns: int


class PartJoin:
    """Holds each verdict until its note is here, or for PATIENCE_NS, or until too many wait."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, int], _Waiting] = OrderedDict()

    def verdict(
        self, envelope: VerdictEnvelope, edgehub_ns: int | None, now_ns: int
    ) -> list[KnownPart]:
        """Take in a verdict; return the part that gave way to it, without its note."""
        key = (envelope.judge_start_id, envelope.sequence)
        self._waiting[key] = _Waiting(envelope=envelope, edgehub_ns=edgehub_ns, since_ns=now_ns)
        return [self._give_up()] if len(self._waiting) > MAX_WAITING else []

    def note(self, note: PartNote) -> KnownPart | None:
        """Take in a note; None when its verdict is not known: it was lost, or waited too long."""
        waiting = self._waiting.pop((note.judge_start_id, note.sequence), None)
        if waiting is None:
            return None
        return KnownPart(envelope=waiting.envelope, edgehub_ns=waiting.edgehub_ns, note=note)

    def expire(self, now_ns: int) -> list[KnownPart]:
        """Return the parts whose note will not come any more."""
        known: list[KnownPart] = []
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            if now_ns - oldest.since_ns <= PATIENCE_NS:
                break
            known.append(self._give_up())
        return known

    def flush(self) -> list[KnownPart]:
        """Return all that waits: the process ends."""
        return [self._give_up() for _ in range(len(self._waiting))]

    def _give_up(self) -> KnownPart:
        _, waiting = self._waiting.popitem(last=False)
        return KnownPart(envelope=waiting.envelope, edgehub_ns=waiting.edgehub_ns, note=None)
