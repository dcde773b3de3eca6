"""What the writer hands over to others: to the judge on the local lane, to its own agent."""

from typing import Final, Protocol

from taktgate.contracts.codec import encode
from taktgate.contracts.line import LineState
from taktgate.contracts.outcome import Outcome
from taktgate.plc.status import WriterStatus

WRITER_SOCKET: Final = "writer.sock"
JUDGE_SOCKET: Final = "judge.sock"
AGENT_SOCKET: Final = "agent.sock"

KIND_LINE: Final = "line"
KIND_OUTCOME: Final = "outcome"
KIND_STATUS: Final = "status"


class Outlet(Protocol):
    """A way to hand a datagram over without ever waiting."""

    lost: int

    def send(self, kind: str, payload: bytes) -> bool:
        """Return False when it was lost."""


class Outlets:
    """The judge (unless the local lane is switched off) and the agent."""

    def __init__(self, *, judge: Outlet | None, agent: Outlet) -> None:
        self._judge = judge
        self._agent = agent

    def line(self, state: LineState) -> None:
        """Tell judge and agent about the line: the judge first, its clock is running."""
        payload = encode(state)
        if self._judge is not None:
            self._judge.send(KIND_LINE, payload)
        self._agent.send(KIND_LINE, payload)

    def outcome(self, outcome: Outcome) -> None:
        """Tell the agent what became of a part."""
        self._agent.send(KIND_OUTCOME, encode(outcome))

    def status(self, status: WriterStatus) -> None:
        """Tell the agent how the writer is."""
        self._agent.send(KIND_STATUS, encode(status))

    def lost(self) -> dict[str, int]:
        """Return how many datagrams found no receiver, by receiver."""
        judge = {} if self._judge is None else {"judge": self._judge.lost}
        return {**judge, "agent": self._agent.lost}
