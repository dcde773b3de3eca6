"""The hub client's worker on a transport that fails on demand."""

import asyncio
import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import pytest
from tests.waiting import WITHIN_S, wait_until

from taktgate.edge.hub import (
    DesiredTwin,
    HubEvent,
    HubSettings,
    HubUnreachableError,
    LinkFatal,
    LinkState,
    MethodCall,
    MethodRefusedError,
    MethodResult,
)
from taktgate.edge.hub_link import REPORT_AGAIN_S, HubLink
from taktgate.edge.hub_outbox import OutgoingMessage
from taktgate.edge.hub_transport import (
    LinkLostError,
    LinkRefusedError,
    LinkStuckError,
    OperationRefusedError,
    Receivers,
)

FAST = HubSettings(
    retry_min_s=0.001, retry_max_s=0.002, fatal_after_refusals=3, fatal_after_stuck_s=0.02
)
E = TypeVar("E", bound=HubEvent)


class FakeTransport:
    """Implements HubTransport; *failures* are raised by name of the operation, one at a time."""

    def __init__(self) -> None:
        self.failures: dict[str, list[Exception]] = {}
        self.sent: queue.Queue[bytes] = queue.Queue()
        self.reports: queue.Queue[dict[str, object]] = queue.Queue()
        self.answers: queue.Queue[tuple[str, int, object]] = queue.Queue()
        self.desired: dict[str, Any] = {"a": 1, "$version": 1}
        self.receivers: Receivers | None = None
        self.is_connected = False
        self.is_closed = threading.Event()

    def fail(self, operation: str, *errors: Exception) -> None:
        self.failures[operation] = list(errors)

    def _perhaps_fail(self, operation: str) -> None:
        if errors := self.failures.get(operation):
            raise errors.pop(0)

    async def connect(self, receivers: Receivers) -> None:
        self._perhaps_fail("connect")
        self.receivers = receivers
        self.is_connected = True

    async def disconnect(self) -> None:
        self.is_connected = False

    async def close(self) -> None:
        self.is_closed.set()

    async def send(self, message: OutgoingMessage) -> None:
        self._perhaps_fail("send")
        self.sent.put(message.payload)

    async def twin(self) -> Mapping[str, Any]:
        self._perhaps_fail("twin")
        return {"desired": dict(self.desired), "reported": {}}

    async def report(self, patch: dict[str, object]) -> None:
        self._perhaps_fail("report")
        self.reports.put(patch)

    async def answer(self, request_id: str, status: int, payload: object) -> None:
        self._perhaps_fail("answer")
        self.answers.put((request_id, status, payload))

    async def invoke(
        self, module: str, method: str, payload: object, *, timeout_s: float
    ) -> MethodResult:
        self._perhaps_fail("invoke")
        if method == "slow":
            await asyncio.sleep(3600)
        return MethodResult(status=200, payload=[module, method, payload])


class World:
    """A link with its transport and inbox."""

    def __init__(
        self, settings: HubSettings = FAST, *, report_again_s: float = REPORT_AGAIN_S
    ) -> None:
        self.transport = FakeTransport()
        self.link = HubLink(self.transport, settings, report_again_s=report_again_s)
        self.inbox: queue.Queue[HubEvent] = queue.Queue()

    def start(self) -> None:
        self.link.start(self.inbox.put)

    def next(self, kind: type[E]) -> E:
        while True:
            event = self.inbox.get(timeout=WITHIN_S)
            if isinstance(event, kind):
                return event


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.link.stop()


def test_message_and_report_from_before_the_start_are_sent(world: World) -> None:
    assert world.link.send("out", b"early", ttl_s=60)
    world.link.report({"phase": "idle"})
    world.start()
    assert world.next(LinkState).connected
    assert world.transport.sent.get(timeout=WITHIN_S) == b"early"
    assert world.transport.reports.get(timeout=WITHIN_S) == {"phase": "idle"}


def test_message_is_sent_again_when_its_receipt_did_not_come(world: World) -> None:
    world.transport.fail("send", LinkLostError("cut"), LinkStuckError("slow"))
    world.start()
    world.link.send("out", b"1", ttl_s=60)
    world.link.send("out", b"2", ttl_s=60)
    assert [world.transport.sent.get(timeout=WITHIN_S) for _ in range(2)] == [b"1", b"2"]
    wait_until(lambda: world.link.counters.sent == 2)
    assert world.link.counters.reconnects == 2


def test_refused_message_is_dropped_not_repeated(world: World) -> None:
    world.transport.fail("send", OperationRefusedError("too large"))
    world.start()
    world.link.send("out", b"bad", ttl_s=60)
    world.link.send("out", b"good", ttl_s=60)
    assert world.transport.sent.get(timeout=WITHIN_S) == b"good"


def test_all_reports_are_sent_again_after_a_reconnect(world: World) -> None:
    world.start()
    world.link.report({"a": 1, "b": {"c": 1}})
    assert world.transport.reports.get(timeout=WITHIN_S) == {"a": 1, "b": {"c": 1}}
    world.transport.fail("report", LinkLostError("cut"))
    world.link.report({"a": 2})
    assert world.transport.reports.get(timeout=WITHIN_S) == {"a": 2, "b": {"c": 1}}


def test_refused_report_does_not_end_the_link(world: World) -> None:
    world.transport.fail("report", OperationRefusedError("limit"))
    world.start()
    world.link.report({"a": 1})
    wait_until(lambda: not world.transport.failures["report"])
    world.link.report({"a": 2})
    assert world.transport.reports.get(timeout=WITHIN_S) == {"a": 2}
    assert world.link.counters.reconnects == 0


def test_a_refused_report_is_sent_with_the_next_change(world: World) -> None:
    world.start()
    world.link.report({"phase": "trial"})
    world.transport.reports.get(timeout=WITHIN_S)
    world.transport.fail("report", OperationRefusedError("limit"))
    world.link.report({"phase": "live"})
    wait_until(lambda: not world.transport.failures["report"])
    world.link.report({"parts": 60})
    sent = world.transport.reports.get(timeout=WITHIN_S)
    assert sent == {"phase": "live", "parts": 60}


def test_a_refused_last_word_is_sent_again_without_another_change() -> None:
    world = World(report_again_s=0.01)
    try:
        world.transport.fail("report", *[OperationRefusedError("throttled")] * 3)
        world.start()
        world.link.report({"phase": "live"})
        assert world.transport.reports.get(timeout=WITHIN_S) == {"phase": "live"}
        assert world.link.counters.reconnects == 0
    finally:
        world.link.stop()


def test_gap_in_the_desired_versions_fetches_the_whole_twin(world: World) -> None:
    world.start()
    assert world.next(DesiredTwin).document == {"a": 1}
    world.transport.desired = {"b": 2, "$version": 5}
    assert world.transport.receivers is not None
    world.transport.receivers.on_desired_patch({"c": 3, "$version": 5})
    twin = world.next(DesiredTwin)
    assert (twin.document, twin.version) == ({"b": 2}, 5)


def test_twin_without_a_version_is_no_news(world: World) -> None:
    world.transport.desired = {}
    world.start()
    world.next(LinkState)
    world.link.report({"a": 1})
    world.transport.reports.get(timeout=WITHIN_S)
    assert world.inbox.empty()


def test_method_is_answered_through_its_call(world: World) -> None:
    world.start()
    world.next(LinkState)
    assert world.transport.receivers is not None
    world.transport.receivers.on_method("r1", "Reset", {"x": 1})
    call = world.next(MethodCall)
    assert (call.name, call.payload) == ("Reset", {"x": 1})
    call.respond(200, {"ok": True})
    assert world.transport.answers.get(timeout=WITHIN_S) == ("r1", 200, {"ok": True})


def test_method_of_another_module_has_typed_errors(world: World) -> None:
    with pytest.raises(HubUnreachableError, match="not connected"):
        world.link.invoke("writer", "Reset", None, timeout_s=WITHIN_S)
    world.start()
    world.next(LinkState)
    result = world.link.invoke("writer", "Reset", 1, timeout_s=WITHIN_S)
    assert result == MethodResult(status=200, payload=["writer", "Reset", 1])
    world.transport.fail("invoke", OperationRefusedError("404"), LinkLostError("no route"))
    with pytest.raises(MethodRefusedError, match="404"):
        world.link.invoke("writer", "Reset", None, timeout_s=WITHIN_S)
    with pytest.raises(HubUnreachableError, match="no route"):
        world.link.invoke("writer", "Reset", None, timeout_s=WITHIN_S)
    with pytest.raises(HubUnreachableError, match=r"no answer in 0\.05 s"):
        world.link.invoke("writer", "slow", None, timeout_s=0.05)


def test_edgehub_that_is_away_is_never_fatal(world: World) -> None:
    world.transport.fail("connect", *[LinkLostError("refused port")] * 20)
    world.start()
    assert world.next(LinkState).connected


def test_refused_again_and_again_is_fatal(world: World) -> None:
    world.transport.fail("connect", *[LinkRefusedError("bad certificate")] * 3)
    world.start()
    assert "bad certificate" in world.next(LinkFatal).reason


def test_connected_but_stuck_for_long_is_fatal(world: World) -> None:
    world.transport.fail("twin", *[LinkStuckError("no answer")] * 50)
    world.start()
    assert "stuck" in world.next(LinkFatal).reason


def test_oversized_message_is_the_callers_bug(world: World) -> None:
    with pytest.raises(ValueError, match="at most"):
        world.link.send("out", b"x" * 256 * 1024, ttl_s=60)


def test_stop_right_after_start_ends_at_once(world: World) -> None:
    world.start()
    world.link.stop()
    assert world.transport.is_closed.is_set()


def test_stop_closes_the_transport(world: World) -> None:
    world.start()
    world.next(LinkState)
    world.link.stop()
    assert world.transport.is_closed.is_set()
    assert not world.next(LinkState).connected
    world.link.send("out", b"late", ttl_s=60)
