import json
from dataclasses import replace

import pytest

from taktgate.contracts.codec import decode
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import StagerReported, StagingPhase, TypedError
from taktgate.edge.exits import EXIT_LINK_FATAL
from taktgate.edge.hub import DesiredTwin, InputMessage, LinkFatal, LinkState, MethodCall
from taktgate.staging.agent import StagerAgent
from taktgate.staging.errors import UnreachableError
from taktgate.staging.mailbox import MAX_CALLS, Mail, Mailbox
from taktgate.staging.reporting import Reporter
from taktgate.standin.hub import RecordingHub
from taktgate.standin.staging import REPOSITORY, MemoryRegistry, StagerRig


@pytest.fixture
def hub() -> RecordingHub:
    return RecordingHub()


@pytest.fixture
def phases_at_way() -> list[StagingPhase]:
    """The phase at each time that the agent made way for the parts."""
    return []


@pytest.fixture
def agent(hub: RecordingHub, rig: StagerRig, phases_at_way: list[StagingPhase]) -> StagerAgent:
    return StagerAgent(
        hub=hub,
        desk=rig.desk,
        stager=rig.stager,
        journal=rig.journal,
        reporter=Reporter(hub, clock=lambda: rig.now_s),
        make_way=lambda: phases_at_way.append(rig.journal.record.phase),
        complaint=TypedError(reason="METRICS_PORT", message="taken"),
    )


def twin(version: str, order: str) -> DesiredTwin:
    model = {"name": "weld-seam", "version": version, "order": order}
    return DesiredTwin(document={"model": model, "repository": REPOSITORY}, version=1)


IDLE = StagerReported(contract="1.0", code="t", phase=StagingPhase.IDLE)


def test_the_agent_makes_way_before_it_works(
    agent: StagerAgent, hub: RecordingHub, phases_at_way: list[StagingPhase]
) -> None:
    agent._mailbox.put(twin("1.0.0", "o1"))
    agent.step()
    assert phases_at_way == [StagingPhase.IDLE]


def test_the_agents_own_complaint_is_reported_while_no_order_has_one(
    agent: StagerAgent, hub: RecordingHub, rig: StagerRig
) -> None:
    agent.step()
    rig.now_s += 2
    agent._mailbox.put(twin("9.9.9", "o1"))
    agent.step()
    reasons = [patch["stager"]["lastError"]["reason"] for patch in hub.reported]
    assert (reasons[0], reasons[-1]) == ("METRICS_PORT", "NOT_FOUND")


def test_reports_come_on_change_and_not_more_than_once_a_second(hub: RecordingHub) -> None:
    now_s = 0.0
    reporter = Reporter(hub, clock=lambda: now_s)
    for tenth in range(50):
        now_s = tenth / 10
        reporter.tell(replace(IDLE, order=f"o{tenth}"), None)
    orders = [patch["stager"]["order"] for patch in hub.reported]
    assert orders == ["o0", "o10", "o20", "o30", "o40"]
    now_s = 10.0
    for _ in range(5):
        reporter.tell(replace(IDLE, order="o49"), None)
    assert len(hub.reported) == 6, "what was held back is reported once"


def test_what_is_over_is_reported_as_null(hub: RecordingHub) -> None:
    error = TypedError(reason="X", message="m")
    now_s = 0.0
    reporter = Reporter(hub, clock=lambda: now_s)
    reporter.tell(replace(IDLE, lastError=error), None)
    now_s = 2.0
    reporter.tell(IDLE, None)
    assert hub.reported[1]["stager"]["lastError"] is None
    assert len(json.dumps(hub.reported[0])) < 32 * 1024


def test_an_announcement_is_sent_until_the_hub_takes_it_and_then_once(
    hub: RecordingHub, rig: StagerRig
) -> None:
    rig.order("1.0.0")
    rig.work()
    reporter = Reporter(hub, clock=lambda: 0.0)
    hub.takes_messages = False
    reporter.tell(rig.desk.report(), rig.journal.announced)
    hub.takes_messages = True
    for _ in range(3):
        reporter.tell(rig.desk.report(), rig.journal.announced)
    (sent,) = hub.sent
    assert (sent.output, sent.ttl_s) == ("staged", 7200)
    assert decode(StagedModel, sent.payload) == rig.announced()


def test_what_is_no_longer_ordered_is_not_announced_by_a_start(
    hub: RecordingHub, rig: StagerRig
) -> None:
    rig.order("1.0.0")
    rig.work()
    Reporter(hub).tell(IDLE, rig.journal.announced)
    assert hub.sent == []


def test_an_agent_takes_a_twin_and_ends_when_the_link_is_lost_for_good(
    hub: RecordingHub, agent: StagerAgent, rig: StagerRig
) -> None:
    hub.at_start = (
        LinkState(connected=True),
        InputMessage(input="none", payload=b""),
        twin("1.0.0", "o1"),
    )
    hub.at_send = LinkFatal(reason="stuck")
    assert agent.run() == EXIT_LINK_FATAL
    assert rig.announced_verifies()
    assert hub.is_stopped


def test_a_direct_method_is_answered_not_found(hub: RecordingHub, agent: StagerAgent) -> None:
    answers: list[tuple[int, object]] = []
    mailbox = agent._mailbox
    mailbox.put(
        MethodCall(name="x", payload={}, respond=lambda code, body: answers.append((code, body)))
    )
    agent.step()
    assert [code for code, _ in answers] == [404]


def test_an_order_that_comes_during_a_download_wins(
    agent: StagerAgent, rig: StagerRig, registry: MemoryRegistry
) -> None:
    registry.error = UnreachableError("x")
    agent._mailbox.put(twin("1.0.0", "o1"))
    agent.step()
    registry.error = None
    agent._mailbox.put(twin("2.0.0", "o2"))
    agent.step()
    announced = rig.announced()
    assert announced is not None
    assert announced.order == "o2"


def test_a_mailbox_keeps_the_newest_twin_and_cannot_overflow() -> None:
    mailbox = Mailbox()
    for number in range(1000):
        mailbox.put(DesiredTwin(document={"n": number}, version=number))
        mailbox.put(MethodCall(name=str(number), payload=None, respond=lambda *_: None))
    mail = mailbox.take()
    assert mail.twin == {"n": 999}
    assert [call.name for call in mail.calls] == [str(n) for n in range(1000 - MAX_CALLS, 1000)]
    assert mailbox.take() == Mail()
    mailbox.wait(0.0)
