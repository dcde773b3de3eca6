"""The agent between judge, stager and edgeHub, all three played by the test."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from taktgate.contracts import CONTRACT_VERSION, routes
from taktgate.contracts.activation import Activation
from taktgate.contracts.codec import encode
from taktgate.contracts.line import Beat
from taktgate.contracts.model import ModelRef
from taktgate.contracts.outcome import Lane
from taktgate.contracts.runtime import RuntimeFacts
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.twins import TypedError
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope, seal
from taktgate.edge.clock import SECOND
from taktgate.edge.hub import (
    Deliver,
    DesiredTwin,
    HubCounters,
    InputMessage,
    LinkFatal,
    MethodCall,
    MethodResult,
)
from taktgate.edge.lane import Datagram
from taktgate.edge.settings import LaneSettings
from taktgate.inspection import control
from taktgate.inspection.agent.activator import Activator, Surroundings
from taktgate.inspection.agent.agent import Agent, Links
from taktgate.inspection.agent.faults import Source
from taktgate.inspection.agent.judge_commands import Command
from taktgate.inspection.agent.report import patch_from
from taktgate.inspection.control import (
    FrameNote,
    JudgeEvent,
    JudgeStatus,
    LoadedModel,
    PartNote,
    Proof,
    Ready,
    RunnerState,
)
from taktgate.inspection.decision.rule import Lines
from taktgate.inspection.guardrails.settings import DriftSettings, GuardrailSettings
from taktgate.inspection.image_facts import ImageFacts

MODEL = ModelRef(name="weld", version="1.0.0", digest="sha256:" + "a" * 64)
LINE, STAGED = str(routes.LINE.input), str(routes.STAGED.input)
NOTICE = StagedModel(
    contract=CONTRACT_VERSION,
    model=MODEL,
    order="o1",
    slot="slot-a",
    activation=ActivationPolicy.IMMEDIATE,
)


@dataclass(slots=True, kw_only=True)
class Records:
    """Takes note of what the agent hands over for the part records."""

    verdicts: list[tuple[int, int | None]] = field(default_factory=list)
    notes: list[PartNote] = field(default_factory=list)

    def verdict(self, envelope: VerdictEnvelope, edgehub_ns: int | None) -> None:
        self.verdicts.append((envelope.sequence, edgehub_ns))

    def note(self, note: PartNote) -> None:
        self.notes.append(note)

    def tick(self) -> None:
        pass

    def counters(self) -> Mapping[str, int]:
        return {}


@dataclass(slots=True, kw_only=True)
class World:
    """Hub, judge, disk and figures that only take notes."""

    sent: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)
    reports: list[Mapping[str, object]] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    lost: int = 0
    commands: list[Command] = field(default_factory=list)
    now_ns: int = 0
    is_full: bool = False
    counters: HubCounters = field(default_factory=HubCounters)
    records: "Records" = field(default_factory=lambda: Records())
    alarms: list[TypedError] = field(default_factory=list)

    def reported(self, name: str) -> object:
        """Return reported property *name* as the hub holds it after all patches."""
        value: object = None
        for patch in self.reports:
            inner = patch["inspection"]
            assert isinstance(inner, Mapping)
            change = inner.get(name, value)
            is_merge = isinstance(change, Mapping) and isinstance(value, Mapping)
            value = {**value, **change} if is_merge else change  # type: ignore[dict-item]
        return value

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
        assert ttl_s > 0
        self.sent.append((output, payload, properties or {}))
        return not self.is_full

    def report(self, patch: Mapping[str, object]) -> None:
        self.reports.append(patch)

    def invoke(
        self, module: str, method: str, payload: object, *, timeout_s: float
    ) -> MethodResult:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def write(self, activation: Activation) -> None:
        pass

    def write_proof(self, proof: Proof) -> None:
        pass

    def write_runtime(self, runtime: RuntimeFacts) -> None:
        pass

    def verdict(self, envelope: VerdictEnvelope) -> None:
        pass

    def happening(self, event: JudgeEvent) -> None:
        pass

    def state(self, activator: Activator, losses: Mapping[str, int]) -> None:
        pass


@dataclass(slots=True, kw_only=True)
class JudgeLane:
    lines: list[bytes]
    lost: int = 0

    def send(self, kind: str, payload: bytes) -> bool:
        assert kind == control.KIND_LINE
        self.lines.append(payload)
        return True


@pytest.fixture
def world() -> World:
    return World()


GUARDRAILS = GuardrailSettings(drift=DriftSettings(learn_parts=100))


def agent_in(world: World, folder: Path, **lanes: bool) -> Agent:
    surroundings = Surroundings(
        memory=world,
        command=world.commands.append,
        alarm=world.alarms.append,
        audit=lambda rollback: None,
        clock=lambda: world.now_ns,
        wall_clock=lambda: "",
    )
    empty = Activation(contract=CONTRACT_VERSION, generation=0)
    return Agent(
        Activator(empty, GUARDRAILS, surroundings),
        links=Links(
            hub=world, judge=JudgeLane(lines=world.lines), figures=world, records=world.records
        ),
        lanes=LaneSettings(**lanes),
        announced=folder / "announced.json",
        clock=lambda: world.now_ns,
    )


def datagram(kind: str, document: object) -> Datagram:
    return Datagram(kind=kind, lane=Lane.LOCAL, payload=encode(document))


VERDICT = seal(
    VerdictEnvelope(
        contract=CONTRACT_VERSION,
        station="VIS01",
        kernel_boot_id="k",
        judge_start_id="j",
        plc_epoch=1,
        sequence=1,
        trigger_id=1,
        verdict=Verdict.NO_DECISION,
        reason=Reason.TIMEOUT,
        trigger_ns=1,
        decided_ns=2,
        deadline_ns=3,
    )
)
BEAT = Beat(
    contract=CONTRACT_VERSION,
    station="VIS01",
    kernel_boot_id="k",
    judge_start_id="j",
    sequence=1,
    ready=True,
    reason="",
    model=None,
    sent_ns=1,
)

HINT = InputMessage(input=STAGED, payload=b"")
STATUS = JudgeStatus(
    judge_start_id="j",
    live=MODEL.digest,
    models=(
        LoadedModel(
            digest=MODEL.digest,
            slot="slot-a",
            state=RunnerState.READY,
            ready=Ready(
                model=MODEL,
                lines=Lines(classes=(), uncertain_low=0.5, uncertain_high=0.5),
                provider="CPUExecutionProvider",
                is_fallback=False,
                fingerprint="f",
                golden_images=1,
                golden_worst=0.0,
                has_full_priority=True,
            ),
        ),
    ),
    is_ready=True,
    reason="",
    is_enabled=False,
    counters={},
)


def test_verdicts_travel_on_the_route_byte_for_byte(world: World, tmp_path: Path) -> None:
    agent_in(world, tmp_path).handle(datagram(control.KIND_VERDICT, VERDICT))

    expected = (routes.VERDICTS.output, encode(VERDICT), {"kind": "verdict"})
    assert world.sent == [expected]


@pytest.mark.parametrize(
    ("lanes", "kinds"),
    [
        ({"local": True, "edgehub": True}, ["verdict"]),
        ({"local": False, "edgehub": True}, ["verdict", "beat"]),
        ({"local": True, "edgehub": False}, []),
    ],
)
def test_what_goes_to_edgehub_follows_the_lanes(
    world: World, tmp_path: Path, lanes: dict[str, bool], kinds: list[str]
) -> None:
    agent = agent_in(world, tmp_path, **lanes)
    agent.handle(datagram(control.KIND_VERDICT, VERDICT))
    agent.handle(datagram(control.KIND_BEAT, BEAT))

    assert [properties["kind"] for _, _, properties in world.sent] == kinds


@pytest.mark.parametrize(("edgehub", "count"), [(True, 1), (False, 0)])
def test_line_states_from_edgehub_go_on_to_the_judge(
    world: World, tmp_path: Path, edgehub: bool, count: int
) -> None:
    message = InputMessage(input=LINE, payload=b"{}")
    agent_in(world, tmp_path, edgehub=edgehub).handle(message)

    assert world.lines == [b"{}"] * count


def announce(folder: Path, payload: bytes) -> None:
    (folder / "announced.json").write_bytes(payload)


def test_a_notice_that_got_lost_on_its_route_is_found_on_the_disk(
    world: World, tmp_path: Path
) -> None:
    agent = agent_in(world, tmp_path)
    agent.tick()
    (tmp_path / "announced.json").write_bytes(encode(NOTICE))
    agent.tick()

    world.now_ns += SECOND
    agent.tick()

    assert world.reports[-1] == {
        "inspection": {"phase": "loading", "candidate": _model(), "order": "o1"}
    }


def _model() -> dict[str, str]:
    return {"name": MODEL.name, "version": MODEL.version, "digest": MODEL.digest}


def test_reports_say_only_what_changed_and_at_most_once_a_second(
    world: World, tmp_path: Path
) -> None:
    agent = agent_in(world, tmp_path)
    agent.tick()
    assert len(world.reports) == 1
    announce(tmp_path, encode(NOTICE))
    agent.handle(HINT)
    agent.tick()
    assert len(world.reports) == 1

    world.now_ns += SECOND
    agent.tick()
    agent.tick()
    assert len(world.reports) == 2
    patch = world.reports[-1]["inspection"]
    assert patch == {"phase": "loading", "candidate": _model(), "order": "o1"}


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"contract":"1.0","slot":"../evil"}'])
def test_a_malformed_notice_is_reported_and_changes_nothing(
    world: World, tmp_path: Path, payload: bytes
) -> None:
    agent = agent_in(world, tmp_path)
    announce(tmp_path, payload)
    agent.tick()

    assert "STAGED_NOTICE" in str(world.reports)
    assert not world.commands

    world.now_ns += SECOND
    announce(tmp_path, encode(NOTICE))
    agent.tick()
    assert world.reported("lastError") is None, "a good notice clears what a bad one left"
    assert world.reported("order") == "o1"


def test_a_notice_of_a_newer_stager_is_followed(world: World, tmp_path: Path) -> None:
    agent = agent_in(world, tmp_path)
    content = json.loads(encode(NOTICE)) | {"contract": "1.99", "urgency": "low"}
    announce(tmp_path, json.dumps(content).encode())
    agent.tick()
    assert world.reported("lastError") is None
    assert world.reported("order") == "o1"


def test_what_comes_by_the_route_is_a_hint_and_announced_json_alone_decides(
    world: World, tmp_path: Path
) -> None:
    agent = agent_in(world, tmp_path)
    stale = encode(replace(NOTICE, order="o0", slot="slot-z"))
    agent.handle(InputMessage(input=STAGED, payload=stale))
    agent.tick()
    assert world.reported("order") is None, "an order that nobody announces now"

    announce(tmp_path, encode(NOTICE))
    world.now_ns += SECOND
    agent.handle(InputMessage(input=STAGED, payload=stale))
    agent.tick()
    assert world.reported("order") == "o1"


def test_a_fault_stays_until_its_own_cause_has_gone(world: World, tmp_path: Path) -> None:
    agent = agent_in(world, tmp_path)
    agent.complain(Source.ACTIVATION_FILE, TypedError(reason="ACTIVATION_FILE", message="torn"))
    agent.complain(Source.METRICS, TypedError(reason="METRICS_PORT", message="taken"))
    agent.handle(DesiredTwin(document={"threshold": 0.9}, version=1))
    agent.handle(DesiredTwin(document={}, version=2))
    announce(tmp_path, b"junk")
    agent.tick()
    assert "STAGED_NOTICE" in str(world.reported("lastError")), "what holds now comes first"
    announce(tmp_path, encode(NOTICE))
    world.now_ns += SECOND
    agent.tick()
    message = "torn; also: METRICS_PORT"
    assert world.reported("lastError") == {"reason": "ACTIVATION_FILE", "message": message}


def test_a_judge_that_falls_silent_is_reported_and_the_fault_goes_with_its_return(
    world: World, tmp_path: Path
) -> None:
    agent = agent_in(world, tmp_path)
    agent.tick()
    world.now_ns += 4 * SECOND
    agent.tick()
    assert world.reported("phase") == "notReady"
    assert world.reported("lastError") == {"reason": "NOT_READY", "message": "judge silent"}

    world.now_ns += SECOND
    agent.handle(datagram(control.KIND_STATUS, STATUS))
    agent.tick()
    assert world.reported("phase") == "live"
    assert world.reported("lastError") is None


def test_a_judge_without_real_time_rights_is_reported_and_nothing_is_said_of_a_silent_one(
    world: World, tmp_path: Path
) -> None:
    agent = agent_in(world, tmp_path)
    for rights, is_complete in (
        ({"scheduling": True, "memory": False}, False),
        ({"scheduling": True, "memory": True}, True),
    ):
        agent.handle(datagram(control.KIND_STATUS, replace(STATUS, rights=rights)))
        world.now_ns += SECOND
        agent.tick()
        assert world.reported("rights") == rights
        assert world.reported("realtime") is is_complete

    world.now_ns += 4 * SECOND
    agent.tick()
    assert world.reported("realtime") is False


def test_a_desired_property_is_refused_by_name(world: World, tmp_path: Path) -> None:
    agent = agent_in(world, tmp_path)
    agent.handle(DesiredTwin(document={"threshold": 0.9, "$version": 3}, version=3))
    agent.tick()

    assert "'threshold'" in str(world.reports)


def test_unknown_methods_get_an_answer(world: World, tmp_path: Path) -> None:
    answers: list[int] = []
    call = MethodCall(name="reboot", payload=None, respond=lambda status, _: answers.append(status))
    agent_in(world, tmp_path).handle(call)

    assert answers == [404]


def test_a_full_outbox_is_counted(world: World, tmp_path: Path) -> None:
    world.is_full = True
    agent = agent_in(world, tmp_path)
    agent.handle(datagram(control.KIND_VERDICT, VERDICT))

    assert agent.losses["hub_outbox_full"] == 1


def test_a_link_that_cannot_recover_ends_the_process(world: World, tmp_path: Path) -> None:
    agent = agent_in(world, tmp_path)
    agent.handle(LinkFatal(reason="trust bundle changed"))

    assert agent.is_over


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {}, {"a": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": None}}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
    ],
)
def test_a_patch_turns_what_was_reported_into_what_is(
    before: dict[str, object], after: dict[str, object], patch: dict[str, object]
) -> None:
    assert patch_from(before, after) == patch


def note_of(number: int, *, mean: float) -> PartNote:
    facts = ImageFacts(
        mean=mean + number % 3,
        contrast=20.0 + number % 2,
        sharpness=50.0 + number % 5,
        dark_share=0.0,
        saturated_share=0.0,
        fingerprint=number,
    )
    frame = FrameNote(frame_id=number, width=8, height=8, channels=1, facts=facts)
    return PartNote(judge_start_id="j", sequence=number + 1, sent_ns=number, frame=frame)


def test_a_line_whose_images_grow_darker_raises_an_alarm(world: World, tmp_path: Path) -> None:
    agent = agent_in(world, tmp_path)
    for number in range(300):
        mean = 100.0 if number < 200 else 60.0
        agent.handle(datagram(control.KIND_PART, note_of(number, mean=mean)))

    assert [alarm.reason for alarm in world.alarms] == ["RESOURCE_OR_DRIFT"]
    assert "images grow darker" in world.alarms[0].message
