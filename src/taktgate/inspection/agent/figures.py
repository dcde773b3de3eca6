"""What the agent tells monitoring, and who may hear it only later."""

from collections.abc import Mapping
from typing import Protocol

from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.control import JudgeEvent


class Figures(Protocol):
    """Where figures for monitoring go."""

    def verdict(self, envelope: VerdictEnvelope) -> None:
        """Count one verdict."""
        ...

    def happening(self, event: JudgeEvent) -> None:
        """Count one event of the judge."""
        ...

    def state(self, activator: Activator, losses: Mapping[str, int]) -> None:
        """Take note of what is."""
        ...


class LateFigures:
    """Figures of which some come up later, or never: until then only the *present* ones count."""

    def __init__(self, *present: Figures) -> None:
        self._present = present
        self.target: Figures | None = None

    def verdict(self, envelope: VerdictEnvelope) -> None:
        """Count one verdict."""
        for figures in self._all():
            figures.verdict(envelope)

    def happening(self, event: JudgeEvent) -> None:
        """Count one event of the judge."""
        for figures in self._all():
            figures.happening(event)

    def state(self, activator: Activator, losses: Mapping[str, int]) -> None:
        """Take note of what is."""
        for figures in self._all():
            figures.state(activator, losses)

    def _all(self) -> tuple[Figures, ...]:
        target = self.target
        return self._present if target is None else (*self._present, target)
