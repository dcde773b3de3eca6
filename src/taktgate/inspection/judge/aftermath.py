"""What becomes of a part's frame once its verdict is out: nothing here holds up the next part."""

from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.judge.rules import Done


class Aftermath:
    """Gives the slot of each judged frame back."""

    def __init__(self, ring: FrameRing) -> None:
        self._ring = ring

    def take(self, done: Done) -> None:
        """Let go the frame of a part that has its verdict."""
        self._ring.release(done.slot)
