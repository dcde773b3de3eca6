"""What becomes of a part's frame once its verdict is out: nothing here holds up the next part."""

from taktgate.inspection.judge.actions import Done
from taktgate.inspection.judge.notes import PartNotes
from taktgate.inspection.judge.shadowing import Shadowing


class Aftermath:
    """Keeps each judged frame for the part record, then leaves it, with its slot, to the shadow."""

    def __init__(self, notes: PartNotes, shadowing: Shadowing) -> None:
        self._notes = notes
        self._shadowing = shadowing

    def take(self, done: Done) -> None:
        """Hand on the frame of a part that has its verdict; its slot comes back in every case."""
        envelope, frame = done.part.envelope, done.part.frame
        assert envelope is not None
        assert frame is not None
        self._notes.done(done)
        self._shadowing.offer(envelope, frame)
