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
    """Figures that may come up later, or never: until then only the status board has them."""

    def __init__(self, board: Figures) -> None:
        self.target: Figures | None = None
        self._board = board

    def verdict(self, envelope: VerdictEnvelope) -> None:
        """Count one verdict."""
        self._board.verdict(envelope)
        if self.target is not None:
            self.target.verdict(envelope)

    def happening(self, event: JudgeEvent) -> None:
        """Count one event of the judge."""
        if self.target is not None:
            self.target.happening(event)

    def state(self, activator: Activator, losses: Mapping[str, int]) -> None:
        """Take note of what is."""
        self._board.state(activator, losses)
        if self.target is not None:
            self.target.state(activator, losses)
