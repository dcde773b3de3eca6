"""How the confirmed model behaves on this station's own parts: counted at once, saved seldom."""

from collections.abc import Callable
from typing import Final

from taktgate.contracts.activation import Baseline
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.edge.clock import SECOND
from taktgate.inspection.guardrails.trial import add_part, counts_for_model

SAVE_EVERY_PARTS: Final = 20
SAVE_EVERY_NS: Final = 60 * SECOND


class BaselineKeeper:
    """The counts as they are, and when the disk should hear of them."""

    def __init__(self, counts: Baseline, clock: Callable[[], int]) -> None:
        self.counts = counts
        self._clock = clock
        self._offered_ns = clock()

    def add(self, envelope: VerdictEnvelope) -> None:
        """Count one part of the confirmed model."""
        is_reject = counts_for_model(envelope.verdict, envelope.reason)
        if is_reject is not None:
            self.counts = add_part(self.counts, is_reject=is_reject)

    def restart(self, counts: Baseline) -> None:
        """Begin with what another model has shown in its trial."""
        self.counts = counts

    def due(self, saved: Baseline) -> Baseline | None:
        """Return the counts when they are to replace those on the disk."""
        now_ns = self._clock()
        is_time = now_ns - self._offered_ns >= SAVE_EVERY_NS
        if not is_time or abs(self.counts.parts - saved.parts) < SAVE_EVERY_PARTS:
            return None
        self._offered_ns = now_ns
        return self.counts
