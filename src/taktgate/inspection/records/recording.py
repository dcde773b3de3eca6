"""What the agent sees of the part records: hand over and go on."""

from collections.abc import Callable, Mapping
from dataclasses import asdict

from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.inspection.control import PartNote
from taktgate.inspection.records.join import PartJoin
from taktgate.inspection.records.recorder import Recorder


class Recording:
    """Joins verdicts with notes, and gives whole parts to the recorder's thread."""

    def __init__(self, recorder: Recorder, clock: Callable[[], int]) -> None:
        self._recorder = recorder
        self._clock = clock
        self._join = PartJoin()
        self._verdicts_lost = 0
        """Notes of parts whose verdict did not reach the agent: they leave no record."""

    def verdict(self, envelope: VerdictEnvelope, edgehub_ns: int | None) -> None:
        """Take in a verdict, and when it was handed to edgeHub's client."""
        for part in self._join.verdict(envelope, edgehub_ns, self._clock()):
            self._recorder.put(part)

    def note(self, note: PartNote) -> None:
        """Take in the judge's note on a part."""
        part = self._join.note(note)
        if part is None:
            self._verdicts_lost += 1
        else:
            self._recorder.put(part)

    def tick(self) -> None:
        """Record the parts whose note will not come."""
        for part in self._join.expire(self._clock()):
            self._recorder.put(part)

    def close(self) -> None:
        """Hand over what waits, and have the thread end."""
        for part in self._join.flush():
            self._recorder.put(part)
        self._recorder.end()

    def counters(self) -> Mapping[str, int]:
        """Return how many records were written and lost, by cause."""
        counts = {**asdict(self._recorder.counters), "verdicts_lost": self._verdicts_lost}
        return {f"records_{name}": count for name, count in counts.items()}

    @property
    def fault(self) -> str | None:
        """Return why nothing can be recorded at present."""
        return self._recorder.fault
