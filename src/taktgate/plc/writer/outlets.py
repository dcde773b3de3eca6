"""What the writer hands over to others: to the judge on the local lane, to its own agent."""

from collections import deque
from typing import Final, Protocol

from taktgate.contracts.codec import encode
from taktgate.contracts.line import LineState
from taktgate.contracts.outcome import Outcome
from taktgate.plc.writer.status import WriterStatus

WRITER_SOCKET: Final = "writer.sock"
JUDGE_SOCKET: Final = "judge.sock"
AGENT_SOCKET: Final = "agent.sock"

KIND_LINE: Final = "line"
KIND_OUTCOME: Final = "outcome"
KIND_STATUS: Final = "status"

MAX_WAITING: Final = 64
"""Outcomes that wait for the agent. A socket of the kernel's takes 11 datagrams, a resync has 8."""


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
        self._waiting: deque[bytes] = deque()
        self._tried_again = 0
        self._overflowed = 0

    def line(self, state: LineState) -> None:
        """Tell judge and agent about the line: the judge first, its clock is running."""
        payload = encode(state)
        if self._judge is not None:
            self._judge.send(KIND_LINE, payload)
        self._agent.send(KIND_LINE, payload)

    def outcome(self, outcome: Outcome) -> None:
        """Have the agent told what became of a part; when too many wait, the oldest is lost."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._overflowed += 1
        self._waiting.append(encode(outcome))

    def hand_over(self) -> None:
        """Send the outcomes that wait, in order, until the agent takes no more."""
        while self._waiting:
            if not self._agent.send(KIND_OUTCOME, self._waiting[0]):
                self._tried_again += 1
                return
            self._waiting.popleft()

    def status(self, status: WriterStatus) -> None:
        """Tell the agent how the writer is."""
        self._agent.send(KIND_STATUS, encode(status))

    def lost(self) -> dict[str, int]:
        """Return how many datagrams found no receiver, by receiver."""
        judge = {} if self._judge is None else {"judge": self._judge.lost}
        agent = self._agent.lost - self._tried_again + self._overflowed
        return {**judge, "agent": agent}
