"""A handshake with a part on the line, and what it takes to judge that part."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from tests.unit.plc.handshake.bench import acknowledge

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.verdict import ClassScore, Reason, Verdict, VerdictEnvelope, seal
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import Command
from taktgate.plc.handshake.admission import Place
from taktgate.plc.handshake.rules import Handshake
from taktgate.standin.judge import MODEL

START_NS = 1_000_000 * MILLISECOND
PLACE = Place(station="VIS01", kernel_boot_id="boot")


@pytest.fixture
def place() -> Place:
    return PLACE


@pytest.fixture
def command() -> Command:
    return Command(plc_heartbeat=10, trigger_id=100, deadline_ms=200, enable=True)


@pytest.fixture
def rules(command: Command) -> Handshake:
    """A handshake that has read part 100 as the first of its epoch and settled it."""
    epochs = count(1)
    handshake = Handshake(
        place=PLACE, write_reserve_ns=20 * MILLISECOND, choose_epoch=lambda: next(epochs)
    )
    handshake.session_opened()
    handshake.read(command, observed_after_ns=START_NS, now_ns=START_NS)
    handshake.confirmed(handshake.due(START_NS), START_NS)
    acknowledge(handshake, command, handshake.last_sequence, START_NS)
    handshake.take_outcomes()
    return handshake


@pytest.fixture
def start_ns() -> int:
    return START_NS


@pytest.fixture
def make_envelope(rules: Handshake) -> Callable[..., VerdictEnvelope]:
    """Build a sealed PASS for part 101, decided 50 ms after the start, with *changes* to it."""

    def make(**changes: object) -> VerdictEnvelope:
        envelope = VerdictEnvelope(
            contract=CONTRACT_VERSION,
            station=PLACE.station,
            kernel_boot_id=PLACE.kernel_boot_id,
            judge_start_id="judge",
            plc_epoch=rules.epoch,
            sequence=1,
            trigger_id=101,
            verdict=Verdict.PASS,
            reason=Reason.NONE,
            score=0.25,
            scores=(ClassScore(name="crack", score=0.1), ClassScore(name="pore", score=0.25)),
            decided_by="pore",
            model=MODEL,
            trigger_ns=START_NS,
            exposure_ns=START_NS + 5 * MILLISECOND,
            received_ns=START_NS + 30 * MILLISECOND,
            inference_start_ns=START_NS + 31 * MILLISECOND,
            inference_end_ns=START_NS + 49 * MILLISECOND,
            decided_ns=START_NS + 50 * MILLISECOND,
            deadline_ns=START_NS + 150 * MILLISECOND,
        )
        return seal(replace(envelope, **changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def part_101(rules: Handshake, command: Command, start_ns: int) -> Command:
    """Part 101 has come 10 ms after the start."""
    edge = replace(command, trigger_id=101)
    assert rules.read(edge, observed_after_ns=start_ns, now_ns=start_ns + 10 * MILLISECOND)
    return edge


@pytest.fixture
def at(start_ns: int) -> Callable[[int], int]:
    return lambda after_ms: start_ns + after_ms * MILLISECOND
