"""The ledger of a day: what was sent, what arrived, which receipts were lost. No edgeHub in it."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

UPSTREAM = "$upstream"
CLOCK_TOLERANCE_S = 0.001
"""edgeHub's stamps are dates, in microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One way that messages of one output take: order must hold along it."""

    sender: str
    output: str
    endpoint: str
    """`module/input`, or `$upstream`."""
    priority: int
    ttl_s: float | None


@dataclass(slots=True, kw_only=True)
class Sent:
    """A message of one sender and output."""

    number: int
    copies_s: list[float] = field(default_factory=list)
    """When edgeHub got it: more than once if the sender had lost its receipt."""
    acknowledged_s: float | None = None


@dataclass(slots=True, kw_only=True)
class Arrived:
    """A message at the end of one lane."""

    at_s: list[float] = field(default_factory=list)
    unconfirmed: int = 0
    """How many of these arrivals edgeHub did not learn of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A promise that was broken."""

    promise: str
    lane: Lane
    number: int
    words: str

    def __str__(self) -> str:
        return (
            f"{self.promise}: {self.lane.sender}/{self.lane.output} -> {self.lane.endpoint} "
            f"priority {self.lane.priority}, message {self.number}: {self.words}"
        )


class Ledger:
    """Takes notes during the day and judges at its end."""

    def __init__(self, lanes: tuple[Lane, ...]) -> None:
        self._lanes = {(lane.sender, lane.output, lane.endpoint): lane for lane in lanes}
        self._sent: dict[tuple[str, str], dict[int, Sent]] = defaultdict(dict)
        self._arrived: dict[Lane, dict[int, Arrived]] = defaultdict(dict)
        self._firsts: dict[Lane, list[int]] = defaultdict(list)
        self._numbers = itertools.count(1)

    def new_message(self, sender: str, output: str) -> int:
        """Return the number of a message that is about to be sent."""
        number = next(self._numbers)
        self._sent[sender, output][number] = Sent(number=number)
        return number

    def reached_edgehub(self, sender: str, output: str, number: int, now_s: float) -> None:
        """Note that edgeHub has got a copy of a message."""
        self._sent[sender, output][number].copies_s.append(now_s)

    def acknowledged(self, sender: str, output: str, number: int, now_s: float) -> None:
        """Note that the sender has its receipt: from now on the message must not be lost."""
        self._sent[sender, output][number].acknowledged_s = now_s

    def arrived(self, sender: str, output: str, endpoint: str, number: int, now_s: float) -> None:
        """Note an arrival, which edgeHub does not know of yet."""
        lane = self._lanes[sender, output, endpoint]
        known = self._arrived[lane].get(number)
        if known is None:
            known = self._arrived[lane][number] = Arrived()
            self._firsts[lane].append(number)
        known.at_s.append(now_s)
        known.unconfirmed += 1

    def confirmed(self, sender: str, output: str, endpoint: str, number: int) -> None:
        """Note that edgeHub has learnt of the last arrival."""
        self._arrived[self._lanes[sender, output, endpoint]][number].unconfirmed -= 1

    def forgotten(self, sender: str, output: str, endpoint: str, number: int) -> None:
        """Note that edgeHub has lost what it had learnt: it was killed, or its line was cut."""
        self._arrived[self._lanes[sender, output, endpoint]][number].unconfirmed += 1

    def findings(self, end_s: float) -> list[Finding]:
        """Return every promise that was broken by *end_s*, when all had time to arrive."""
        return [
            finding
            for lane in self._lanes.values()
            for judge in (self._lost, self._out_of_order, self._doubled)
            for finding in judge(lane, end_s)
        ]

    def counts(self) -> Mapping[str, int]:
        """Return what the day was made of."""
        sent = [each for numbers in self._sent.values() for each in numbers.values()]
        arrived = [each for numbers in self._arrived.values() for each in numbers.values()]
        due = sum(len(self._sent[lane.sender, lane.output]) for lane in self._lanes.values())
        return {
            "messages": len(sent),
            "sent_again": sum(max(len(each.copies_s) - 1, 0) for each in sent),
            "deliveries_due": due,
            "delivered": len(arrived),
            "expired": due - len(arrived),
            "delivered_again": sum(len(each.at_s) - 1 for each in arrived),
        }

    def _lost(self, lane: Lane, end_s: float) -> Iterator[Finding]:
        arrived = self._arrived[lane]
        overtaken_s = end_s
        # From the newest on: a message that expired was not overtaken while it lived.
        for number, sent in reversed(self._sent[lane.sender, lane.output].items()):
            if number in arrived:
                overtaken_s = min(overtaken_s, arrived[number].at_s[0])
            if sent.acknowledged_s is None:
                yield self._finding("nothing is lost", lane, number, "the sender has no receipt")
            elif number not in arrived and (words := _why_lost(lane, sent, overtaken_s)):
                yield self._finding("nothing is lost", lane, number, words)

    def _out_of_order(self, lane: Lane, _end_s: float) -> Iterator[Finding]:
        for before, after in itertools.pairwise(self._firsts[lane]):
            if after < before:
                yield self._finding("order is kept", lane, after, f"it came after {before}")

    def _doubled(self, lane: Lane, _end_s: float) -> Iterator[Finding]:
        for number, arrived in self._arrived[lane].items():
            copies = len(self._sent[lane.sender, lane.output][number].copies_s)
            excused = copies + max(arrived.unconfirmed, 0)
            if len(arrived.at_s) > excused:
                words = f"{len(arrived.at_s)} arrivals, {excused} of them by a lost receipt"
                yield self._finding("no duplicate without a lost receipt", lane, number, words)

    @staticmethod
    def _finding(promise: str, lane: Lane, number: int, words: str) -> Finding:
        return Finding(promise=promise, lane=lane, number=number, words=words)


def _why_lost(lane: Lane, sent: Sent, overtaken_s: float) -> str:
    """Return why a message that did not arrive cannot have expired, or nothing."""
    if lane.ttl_s is None:
        return "it did not arrive, and had no time to live"
    lived_on_s = sent.copies_s[-1] + lane.ttl_s - overtaken_s
    if lived_on_s > CLOCK_TOLERANCE_S:
        return f"a later one arrived, or the day ended, {lived_on_s:.3f} s before it expired"
    return ""
