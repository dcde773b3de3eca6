"""The agent copies messages both ways and reports what is; nothing in it may stop the writer."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.unit.plc.agent.status import STATUS

from taktgate import __version__
from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import encode
from taktgate.contracts.outcome import Lane, Outcome
from taktgate.contracts.routes import KIND_PROPERTY, LINE, OUTCOMES, VERDICTS
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import SECOND
from taktgate.edge.hub import (
    Deliver,
    HubCounters,
    InputMessage,
    LinkFatal,
    LinkState,
    MethodCall,
    MethodResult,
)
from taktgate.edge.lane import Datagram
from taktgate.edge.settings import LaneSettings
from taktgate.plc.agent.agent import Agent, AgentSetup
from taktgate.plc.agent.mailbox import HubMailbox
from taktgate.plc.handshake.admission import MAX_MESSAGE_BYTES

OUTCOME = Outcome(
    contract=CONTRACT_VERSION,
    station="VIS01",
    plc_epoch=1,
    trigger_id=4711,
    verdict=Verdict.NO_DECISION,
    reason=Reason.NO_VERDICT,
    lane=Lane.WRITER,
    result_sequence=1,
    written=True,
    trigger_to_ack_ms=180.0,
    score=None,
    model=None,
    closed_ns=1,
)


class ListHub:
    """A hub client that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, float]] = []
        self.reports: list[Mapping[str, object]] = []
        self.counters = HubCounters()

    def start(self, deliver: Deliver) -> None:
        raise NotImplementedError

    def send(
        self,
        output: str,
        payload: bytes,
        *,
        properties: Mapping[str, str] | None = None,
        ttl_s: float,
    ) -> bool:
        self.sent.append((output, payload, ttl_s))
        return True

    def report(self, patch: Mapping[str, object]) -> None:
        self.reports.append(patch)

    def invoke(
        self, module: str, method: str, payload: object, *, timeout_s: float
    ) -> MethodResult:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError


class ListWriter:
    def __init__(self) -> None:
        self.lost = 0
        self.sent: list[tuple[str, bytes]] = []

    def send(self, kind: str, payload: bytes) -> bool:
        self.sent.append((kind, payload))
        return True


class Bench:
    def __init__(self, lanes: LaneSettings, complaint: str = "") -> None:
        self.now_ns = 100 * SECOND
        self.hub, self.writer = ListHub(), ListWriter()
        self.agent = Agent(
            AgentSetup(controller="10.0.0.1", lanes=lanes, complaint=complaint),
            hub=self.hub,
            writer=self.writer,
            clock=lambda: self.now_ns,
        )

    def hear(self, kind: str, payload: bytes) -> None:
        self.agent.from_writer(Datagram(kind=kind, lane=Lane.WRITER, payload=payload))

    def reported(self) -> object:
        return self.hub.reports[-1]["plc"]


@pytest.fixture
def bench() -> Bench:
    return Bench(LaneSettings())


@pytest.mark.parametrize("kind", ["verdict", "beat"])
def test_what_comes_on_the_route_goes_to_the_writer(bench: Bench, kind: str) -> None:
    assert VERDICTS.input is not None
    bench.agent.from_hub(
        InputMessage(input=VERDICTS.input, payload=b"{}", properties={KIND_PROPERTY: kind})
    )
    assert bench.writer.sent == [(kind, b"{}")]


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (InputMessage(input="verdicts", payload=b"{}"), "kind"),
        (InputMessage(input="verdicts", payload=b"{}", properties={"kind": "line"}), "kind"),
        (InputMessage(input="other", payload=b"{}", properties={"kind": "beat"}), "input"),
        (
            InputMessage(
                input="verdicts", payload=bytes(MAX_MESSAGE_BYTES + 1), properties={"kind": "beat"}
            ),
            "size",
        ),
    ],
)
def test_what_is_no_verdict_is_counted(bench: Bench, message: InputMessage, cause: str) -> None:
    bench.agent.from_hub(message)
    assert bench.agent.refused == {cause: 1}
    assert bench.writer.sent == []


def test_a_lane_that_is_switched_off_carries_nothing() -> None:
    bench = Bench(LaneSettings(edgehub=False))
    bench.agent.from_hub(
        InputMessage(input="verdicts", payload=b"{}", properties={"kind": "verdict"})
    )
    bench.hear("line", b"{}")
    assert bench.writer.sent == []
    assert bench.hub.sent == []


def test_line_and_outcomes_go_to_their_routes(bench: Bench) -> None:
    bench.hear("line", b"{}")
    bench.hear("outcome", encode(OUTCOME))
    assert [output for output, _, _ in bench.hub.sent] == [LINE.output, OUTCOMES.output]
    assert bench.hub.sent[1][1:] == (encode(OUTCOME), OUTCOMES.ttl_s)


@pytest.mark.parametrize("kind", ["outcome", "status", "gossip"])
def test_a_broken_message_of_the_writer_is_counted(bench: Bench, kind: str) -> None:
    bench.hear(kind, b"{")
    assert sum(bench.agent.refused.values()) == 1


def test_the_state_is_reported_when_it_changes_and_at_most_once_a_second(bench: Bench) -> None:
    bench.hear("status", encode(STATUS))
    bench.agent.tick()
    assert bench.reported() == {
        "contract": CONTRACT_VERSION,
        "code": __version__,
        "state": "run",
        "error": "",
        "controller": "10.0.0.1",
        "realtime": True,
        "rights": {"scheduling": True, "memory": True},
        "lanes": ["local", "edgehub"],
    }
    bench.hear("status", encode(replace(STATUS, state="degraded", error="no_beat")))
    bench.agent.tick()
    assert len(bench.hub.reports) == 1
    bench.now_ns += SECOND
    bench.agent.tick()
    bench.agent.tick()
    assert len(bench.hub.reports) == 2


def test_an_agents_own_complaint_is_reported_while_the_writer_has_none() -> None:
    bench = Bench(LaneSettings(), complaint="metrics endpoint 0.0.0.0:9600: taken")
    said = []
    for error in ("", "no_beat"):
        bench.now_ns += 2 * SECOND
        bench.hear("status", encode(replace(STATUS, error=error)))
        bench.agent.tick()
        reported = bench.reported()
        assert isinstance(reported, dict)
        said.append(reported["error"])
    assert said == ["metrics endpoint 0.0.0.0:9600: taken", "no_beat"]


def test_a_writer_that_says_nothing_is_reported_as_silent(bench: Bench) -> None:
    bench.hear("status", encode(STATUS))
    bench.agent.tick()
    bench.now_ns += 4 * SECOND
    bench.agent.tick()
    reported = bench.reported()
    assert isinstance(reported, dict)
    assert reported["state"] == "silent"
    assert bench.agent.status() is None


def test_an_unknown_method_is_answered(bench: Bench) -> None:
    answers: list[tuple[int, object]] = []
    bench.agent.from_hub(
        MethodCall(name="dance", payload=None, respond=lambda *answer: answers.append(answer))
    )
    assert answers[0][0] == 404


def test_a_link_beyond_repair_asks_for_a_new_start(bench: Bench) -> None:
    bench.agent.from_hub(LinkState(connected=False))
    assert bench.agent.fatal is None
    bench.agent.from_hub(LinkFatal(reason="certificate"))
    assert bench.agent.fatal == "certificate"


@pytest.fixture
def mailbox() -> HubMailbox:
    return HubMailbox(capacity=2)


def test_a_full_mailbox_drops_the_oldest_and_counts(mailbox: HubMailbox) -> None:
    events = [LinkFatal(reason=str(number)) for number in range(3)]
    for event in events:
        mailbox.put(event)
    assert mailbox.take_all() == events[1:]
    assert mailbox.take_all() == []
    assert mailbox.dropped == 1
    mailbox.close()
