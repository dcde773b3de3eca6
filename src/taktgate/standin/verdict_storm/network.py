"""The port to a controller in memory, through a network that loses and delays what it likes."""

import socket
from collections import Counter, deque
from collections.abc import Sequence
from random import Random

from taktgate.plc.contract.encoding import unpack
from taktgate.plc.contract.records import Reading, ResultRecord, SlotEcho, StatusRecord
from taktgate.plc.contract.tags import RESULT, RESULT_TAG, Udt
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.contract.verified import VerifiedContract
from taktgate.plc.contract.wire import ReadValue, TagWrite
from taktgate.plc.errors import LinkDeadError
from taktgate.plc.link.port import Mode
from taktgate.standin.logix.memory import TagMemory


class Network:
    """What it does to the exchanges of one controller, and to those of sessions that are gone."""

    def __init__(self, memory: TagMemory, chance: Random, *, loss: float) -> None:
        self.memory = memory
        self.counts: Counter[str] = Counter()
        self._chance = chance
        self._loss = loss
        self._ghosts: deque[tuple[TagWrite, ...]] = deque()

    def may_lose(self, what: str) -> bool:
        """Tell whether this exchange is one that is lost, *what* it is."""
        if self._chance.random() >= self._loss:
            return False
        self.counts[what] += 1
        return True

    def carry(self, writes: Sequence[TagWrite]) -> None:
        """Have the controller execute *writes*.

        Raises:
            LinkDeadError: the reply is lost; what became of the request only the network knows.
        """
        if not self.may_lose("writes_lost"):
            self._execute(writes)
            return
        fate = self._chance.choice(("nothing", "done", "ghost", "torn"))
        self.counts[f"writes_lost_{fate}"] += 1
        if fate == "done":
            self._execute(writes)
        elif fate == "ghost":
            self._ghosts.append(tuple(writes))
        elif fate == "torn":
            self._tear(writes[0])
        raise LinkDeadError(f"no reply: {fate}")

    def haunt(self) -> None:
        """Execute a request of a session that is gone, now and then."""
        if self._ghosts and self._chance.random() < 0.1:
            self.counts["ghosts_executed"] += 1
            self._execute(self._ghosts.popleft())

    def forget(self) -> None:
        """Drop the requests of sessions that are gone: the controller restarts."""
        self._ghosts.clear()

    def _execute(self, writes: Sequence[TagWrite]) -> None:
        for write in writes:
            self._put(write, write.data)

    def _tear(self, write: TagWrite) -> None:
        """Copy some members of *write*, and stop."""
        members = len(write.data) // 4
        self._put(write, write.data[: 4 * self._chance.randint(1, max(members - 1, 1))])

    def _put(self, write: TagWrite, data: bytes) -> None:
        name, _, index = write.path.rstrip("]").partition("[")
        tag, _, member = name.partition(".")
        symbol = self.memory.symbol(tag)
        assert symbol is not None
        # The one member that is written alone is the first of its tag.
        assert member in ("", "Heartbeat")
        self.memory.write(symbol, int(index or 0) * RESULT.size, data)


class MemoryControllerLink:
    """A `TagLink` on a network."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._profile = UdtProfile()
        self._is_open = False

    def open(self, connection: socket.socket, contract: VerifiedContract) -> None:
        """Open a session (see `TagLink.open`); *connection* leads nowhere."""
        connection.close()
        self._is_open = True

    def recheck(self) -> Mode:
        """Return the mode (see `TagLink.recheck`): the heartbeat has to tell of a stop."""
        return Mode.RUN

    def read(self, *, echo: bool) -> Reading:
        """Read the command (see `TagLink.read`).

        Raises:
            LinkDeadError: the answer is lost.
        """
        self._demand_session()
        if self._network.may_lose("reads_lost"):
            self._die()
        values = [self._value(one.path, one.type) for one in self._profile.reads(echo=echo)]
        return self._profile.reading(values, echo=echo)

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        """Write (see `TagLink.write`).

        Raises:
            LinkDeadError: the reply is lost.
        """
        self._demand_session()
        try:
            self._network.carry(self._profile.writes(results, status))
        except LinkDeadError:
            self._is_open = False
            raise

    def read_back(self, slots: Sequence[int]) -> tuple[SlotEcho, ...]:
        """Return what the slots hold (see `TagLink.read_back`).

        Raises:
            LinkDeadError: the answer is lost.
        """
        self._demand_session()
        if self._network.may_lose("reads_lost"):
            self._die()
        memory = self._network.memory
        contents = [unpack(RESULT, memory.element(RESULT_TAG.name, slot)) for slot in slots]
        return self._profile.results(contents)

    def close(self, *, abort: bool) -> None:
        """End the session."""
        self._is_open = False

    def _value(self, path: str, kind: object) -> ReadValue:
        tag, _, member = path.partition(".")
        if member:
            return self._network.memory.load(tag, member)
        assert isinstance(kind, Udt)
        return unpack(kind, self._network.memory.element(tag))

    def _demand_session(self) -> None:
        if not self._is_open:
            raise LinkDeadError("no session is open")

    def _die(self) -> None:
        self._is_open = False
        raise LinkDeadError("no reply")
