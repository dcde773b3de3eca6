"""A judge that says something of every part, and two lanes that do what they like with it."""

import heapq
from collections import Counter, deque
from itertools import count
from random import Random
from typing import Final

from taktgate.contracts.codec import encode
from taktgate.contracts.line import LineState
from taktgate.contracts.outcome import Lane
from taktgate.contracts.routes import KIND_BEAT, KIND_VERDICT
from taktgate.contracts.verdict import Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.edge.lane import Datagram
from taktgate.standin.judge import beat, passed

SERIALS: Final = 1 << 20
"""A serial modulo this is a score that a REAL holds exactly."""
_REPLAYED: Final = 64
"""Verdicts that edgeHub's queue remembers for ever, and may deliver at any time."""


class Judge:
    """All starts of the judge, one after the other, and what is under way from them."""

    def __init__(self, chance: Random) -> None:
        self.counts: Counter[str] = Counter()
        self.said: dict[int, list[Verdict]] = {}
        """What was said of each part, by serial; only of parts that have not left the line."""
        self._chance = chance
        self._starts = count(1)
        self._due: list[tuple[int, int, Datagram]] = []
        self._order = count()
        self._old: deque[Datagram] = deque(maxlen=_REPLAYED)
        self.restart()

    def restart(self) -> None:
        """Start again: a new name, verdicts numbered from 1."""
        self._start = str(next(self._starts))
        self._numbers = count(1)
        self._beats = count(1)

    def forget_host(self) -> None:
        """Lose what is under way with the host; edgeHub's queue stays."""
        self._old.extend(datagram for _, _, datagram in self._due)
        self._due.clear()

    def beat(self, kernel_boot: str, now_ns: int) -> Datagram:
        """Return a sign of life."""
        alive = beat(
            kernel_boot_id=kernel_boot,
            judge_start_id=self._start,
            sequence=next(self._beats),
            sent_ns=now_ns,
        )
        return Datagram(kind=KIND_BEAT, lane=Lane.LOCAL, payload=encode(alive))

    def judge(self, line: LineState, serial: int) -> None:
        """Decide the part behind the edge in *line*, soon or late, once or twice, or never."""
        chance = self._chance.random()
        if chance < 0.01:
            self.counts["parts_without_a_verdict"] += 1
            return
        verdict = self._one_verdict()
        self._decide(line, serial, verdict)
        if chance > 0.99:
            self.counts["second_verdicts"] += 1
            self._decide(line, serial, self._one_verdict())

    def due(self, until_ns: int) -> list[tuple[int, Datagram]]:
        """Return what arrives until then, and when."""
        arrived = []
        while self._due and self._due[0][0] <= until_ns:
            at_ns, _, datagram = heapq.heappop(self._due)
            arrived.append((at_ns, datagram))
        if self._old and self._chance.random() < 0.005:
            self.counts["old_ones_replayed"] += 1
            arrived.append((until_ns, self._chance.choice(self._old)))
        return arrived

    def _one_verdict(self) -> Verdict:
        return Verdict.PASS if self._chance.random() < 0.5 else Verdict.FAIL

    def _decide(self, line: LineState, serial: int, verdict: Verdict) -> None:
        chance = self._chance
        takes_ns = int(chance.uniform(2, 30) * MILLISECOND)
        if chance.random() < 0.02:
            self.counts["decided_late"] += 1
            takes_ns += line.deadline_ms * MILLISECOND
        decided_ns = line.observed_ns + takes_ns
        envelope = passed(
            line,
            sequence=next(self._numbers),
            decided_ns=decided_ns,
            judge_start_id=self._start,
            verdict=verdict,
            score=(serial % SERIALS) / SERIALS,
        )
        self.counts["verdicts"] += 1
        self.said.setdefault(serial, []).append(verdict)
        self._send(encode(envelope), decided_ns)

    def _send(self, payload: bytes, decided_ns: int) -> None:
        chance = self._chance
        if chance.random() < 0.1:
            self.counts["local_lost"] += 1
        else:
            delay_ns = int(chance.uniform(0.1, 3) * MILLISECOND)
            self._put(Lane.LOCAL, payload, decided_ns + delay_ns)
        copies = chance.choices((0, 1, 2), (1, 8, 1))[0]
        self.counts["hub_lost"] += copies == 0
        self.counts["hub_twice"] += copies == 2
        for _ in range(copies):
            delay_ms = chance.uniform(5, 60) if chance.random() < 0.9 else chance.uniform(60, 2000)
            self.counts["hub_very_late"] += delay_ms > 60
            self._put(Lane.EDGEHUB, payload, decided_ns + int(delay_ms * MILLISECOND))

    def _put(self, lane: Lane, payload: bytes, at_ns: int) -> None:
        datagram = Datagram(kind=KIND_VERDICT, lane=lane, payload=payload)
        heapq.heappush(self._due, (at_ns, next(self._order), datagram))
        if lane is Lane.EDGEHUB and self._chance.random() < 0.01:
            self._old.append(datagram)
