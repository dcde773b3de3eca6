"""The eight newest parts, by slot, and the record of what became of each."""

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.outcome import Outcome
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.tags import slot_of
from taktgate.plc.handshake.parts import Part, PartState, close, lose


class PartRing:
    """Slot = TriggerId AND 7, here and at the PLC: a newer part takes the place of an older one."""

    def __init__(self, *, station: str) -> None:
        self._station = station
        self._slots: dict[int, Part] = {}
        self._outcomes: list[Outcome] = []

    def find(self, trigger_id: int) -> Part | None:
        """Return the part in the slot of *trigger_id*, which may be another one."""
        return self._slots.get(slot_of(trigger_id))

    def parts(self) -> list[Part]:
        """Return all parts."""
        return list(self._slots.values())

    def within(self, state: PartState) -> list[Part]:
        """Return the parts in *state*."""
        return [part for part in self._slots.values() if part.state is state]

    def can_take(self, trigger_id: int) -> bool:
        """Tell whether the slot of *trigger_id* is free of an open part."""
        holder = self.find(trigger_id)
        return holder is None or holder.state is not PartState.OPEN

    def add(self, part: Part, now_ns: int) -> None:
        """Put a new *part* into its slot; a result still due there can no longer be written."""
        holder = self.find(part.trigger_id)
        if holder is not None and holder.state is PartState.WRITTEN:
            self.close(holder, now_ns)
        elif holder is not None and holder.state is PartState.DUE:
            self.report(holder, now_ns, written=False)
        self.update(part)

    def update(self, part: Part) -> None:
        """Replace the part of the same number by its newer self."""
        self._slots[slot_of(part.trigger_id)] = part

    def lose_all(self, now_ns: int) -> None:
        """Give up every part that is open or on its way; wait for no acknowledge any more."""
        for part in self.within(PartState.WRITTEN):
            self.close(part, now_ns)
        for part in (*self.within(PartState.OPEN), *self.within(PartState.DUE)):
            self.give_up(part, now_ns)

    def give_up(self, part: Part, now_ns: int) -> None:
        """Record that nobody knows what the PLC made of *part*."""
        lost = lose(part)
        self.update(lost)
        self.report(lost, now_ns, written=False)

    def close(self, part: Part, now_ns: int, *, is_acknowledged: bool = False) -> None:
        """Record what became of *part*, whose AckSeq has come or will not."""
        self.update(close(part))
        written = is_acknowledged or part.is_certain
        self.report(part, now_ns, written=written, is_acknowledged=is_acknowledged)

    def clear(self) -> None:
        """Forget all parts: their numbers mean others from now on."""
        self._slots.clear()

    def report(
        self, part: Part, now_ns: int, *, written: bool, is_acknowledged: bool = False
    ) -> None:
        """Record what became of *part*. A part may be reported again: the last word counts."""
        decision = part.decision
        assert decision is not None
        envelope = decision.envelope
        confirmed_ns = part.confirmed_ns if written else None
        self._outcomes.append(
            Outcome(
                contract=CONTRACT_VERSION,
                station=self._station,
                plc_epoch=part.epoch,
                trigger_id=part.trigger_id,
                verdict=decision.verdict,
                reason=decision.reason,
                lane=decision.lane,
                result_sequence=part.sequence,
                written=written,
                trigger_to_ack_ms=_since_trigger(part, confirmed_ns),
                score=None if envelope is None else envelope.score,
                model=None if envelope is None else envelope.model,
                closed_ns=now_ns if part.confirmed_ns is None else part.confirmed_ns,
                acknowledged_ms=_since_trigger(part, now_ns if is_acknowledged else None),
                age_ms=None if part.record is None else part.record.age_ms,
                retries=part.retries,
                queue_depth=part.queue_depth,
            )
        )

    def take_outcomes(self) -> list[Outcome]:
        """Return the records since the last call."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes


def _since_trigger(part: Part, then_ns: int | None) -> float | None:
    """Return the milliseconds from the trigger of *part*; None where nobody saw one of the two."""
    if then_ns is None or part.was_found:
        return None
    return (then_ns - part.trigger_ns) / MILLISECOND
