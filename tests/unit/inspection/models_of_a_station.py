"""A judge that does what the agent tells it, and sometimes forgets; disk and clock beside it."""

from dataclasses import dataclass, field

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation, Rollback, SlotRef
from taktgate.contracts.model import ModelRef
from taktgate.contracts.runtime import RuntimeFacts
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.twins import TypedError
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.inspection.agent.activator import Activator, Surroundings
from taktgate.inspection.agent.judge_commands import Command
from taktgate.inspection.agent.phases import Phase
from taktgate.inspection.control import (
    JudgeStatus,
    Load,
    LoadedModel,
    Proof,
    Ready,
    Refused,
    RunnerState,
    Shadow,
    Swap,
)
from taktgate.inspection.decision.rule import Lines
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.opinions import Opinion, ShadowPair

SETTINGS = GuardrailSettings(shadow_parts=0)
FORGOTTEN = Activation(contract=CONTRACT_VERSION, generation=0, has_forgotten=True)
NO_LINES = Lines(classes=(), uncertain_low=0.5, uncertain_high=0.5)


def model(letter: str) -> ModelRef:
    return ModelRef(name="weld", version=f"1.{letter}", digest="sha256:" + letter * 64)


def ready(digest: str) -> Ready:
    return Ready(
        model=model(digest[-1]),
        lines=NO_LINES,
        provider="CPUExecutionProvider",
        is_fallback=False,
        fingerprint="f",
        golden_images=10,
        golden_worst=0.0,
        has_full_priority=True,
    )


@dataclass(slots=True, kw_only=True)
class Station:
    """Disk, judge and clock of a station; the disk is all that a restart keeps."""

    disk: Activation = field(
        default_factory=lambda: Activation(contract=CONTRACT_VERSION, generation=0)
    )
    proof: Proof | None = None
    runtime: RuntimeFacts | None = None
    disk_is_full: bool = False
    loaded: dict[str, RunnerState] = field(default_factory=dict)
    is_deaf_to_swaps: bool = False
    refusing: set[str] = field(default_factory=set)
    live: str | None = None
    is_enabled: bool | None = True
    is_ready: bool = True
    reason: str = ""
    deaths: dict[str, int] = field(default_factory=dict)
    now_ns: int = 0
    audits: list[Rollback] = field(default_factory=list)
    alarms: list[TypedError] = field(default_factory=list)
    settings: GuardrailSettings = SETTINGS
    shadow: str | None = None
    commands: list[Command] = field(default_factory=list)
    swaps_on_disk: list[tuple[str, Activation]] = field(default_factory=list)
    """What the disk said when each swap was asked for."""
    next_trigger: int = 0

    def write(self, activation: Activation) -> None:
        if self.disk_is_full:
            raise OSError(28, "No space left on device")
        assert activation.generation > self.disk.generation
        self.disk = activation

    def write_proof(self, proof: Proof) -> None:
        self.proof = proof

    def write_runtime(self, runtime: RuntimeFacts) -> None:
        self.runtime = runtime

    def agent(self) -> Activator:
        return Activator(
            self.disk,
            self.settings,
            Surroundings(
                memory=self,
                command=self.obey,
                audit=self.audits.append,
                alarm=self.alarms.append,
                clock=lambda: self.now_ns,
                wall_clock=lambda: "2026-01-01T00:00:00Z",
            ),
        )

    def obey(self, command: Command) -> None:
        self.commands.append(command)
        if isinstance(command, Load):
            state = RunnerState.READY
            if command.digest in self.refusing:
                state = RunnerState.REFUSED
            self.loaded[command.digest] = state
        elif isinstance(command, Swap):
            if self.loaded.get(command.digest) is RunnerState.READY and not self.is_deaf_to_swaps:
                self.live = command.digest
                self.swaps_on_disk.append((command.digest, self.disk))
        elif isinstance(command, Shadow):
            self.shadow = command.digest
        elif command.digest != self.live or command.even_if_live:
            self.loaded.pop(command.digest, None)
            self.live = None if command.digest == self.live else self.live

    def restart_judge(self) -> None:
        good = self.disk.last_known_good
        self.live, self.loaded = None, {}
        if good is not None:
            self.live = digest = good.model.digest
            is_refused = digest in self.refusing
            self.loaded[digest] = RunnerState.REFUSED if is_refused else RunnerState.READY

    def status(self) -> JudgeStatus:
        models = tuple(
            LoadedModel(
                digest=digest,
                slot=f"slot-{digest[-1]}",
                state=state,
                deaths=self.deaths.get(digest, 0),
                ready=ready(digest) if state is RunnerState.READY else None,
                refused=Refused(reason="GOLDEN", message="score 0.9, must be 0.1")
                if state is RunnerState.REFUSED
                else None,
            )
            for digest, state in self.loaded.items()
        )
        return JudgeStatus(
            judge_start_id="j",
            live=self.live,
            shadow=self.shadow,
            models=models,
            is_ready=self.is_ready,
            reason=self.reason,
            is_enabled=self.is_enabled,
            counters={},
        )

    def settle(self, agent: Activator, rounds: int = 8) -> None:
        for _ in range(rounds):
            agent.judge_status(self.status())
            agent.tick()

    def part(
        self, agent: Activator, verdict: Verdict = Verdict.PASS, reason: Reason = Reason.NONE
    ) -> None:
        """Let the live model judge one part."""
        assert self.live is not None
        self.next_trigger += 1
        agent.verdict(
            VerdictEnvelope(
                contract=CONTRACT_VERSION,
                station="VIS01",
                kernel_boot_id="k",
                judge_start_id="j",
                plc_epoch=1,
                sequence=self.next_trigger,
                trigger_id=self.next_trigger,
                verdict=verdict,
                reason=reason,
                score=0.5,
                model=model(self.live[-1]),
                trigger_ns=1,
                decided_ns=2,
                deadline_ns=3,
            )
        )

    def pair(
        self,
        agent: Activator,
        live: Verdict = Verdict.PASS,
        shadow: Verdict | Reason = Verdict.PASS,
    ) -> None:
        """Let live model and shadow judge the same part."""
        assert self.live is not None
        if self.shadow is None:
            return
        self.next_trigger += 1
        agent.pair(
            ShadowPair(
                judge_start_id="j",
                trigger_id=self.next_trigger,
                live=opinion(self.live, live),
                shadow=opinion(self.shadow, shadow),
            )
        )


def opinion(digest: str, said: Verdict | Reason) -> Opinion:
    """Return a verdict with a score, or a reason without one."""
    is_verdict = isinstance(said, Verdict)
    return Opinion(
        digest=digest,
        verdict=said if isinstance(said, Verdict) else Verdict.NO_DECISION,
        reason=said if isinstance(said, Reason) else Reason.NONE,
        score=0.5 if is_verdict else None,
        scores=(),
        decided_by="crack" if is_verdict else None,
        run_ns=8_000_000 if is_verdict else 0,
    )


def notice(letter: str, order: str, **changes: str) -> StagedModel:
    policy = ActivationPolicy(changes.get("activation", "immediate"))
    return StagedModel(
        contract=changes.get("contract", CONTRACT_VERSION),
        model=model(letter),
        order=order,
        slot=f"slot-{letter}",
        activation=policy,
    )


def commissioned(settings: GuardrailSettings = SETTINGS) -> tuple[Station, Activator]:
    station = Station(settings=settings)
    agent = station.agent()
    station.settle(agent)
    agent.staged(notice("a", "o1"))
    station.settle(agent)
    return station, agent


def on_trial() -> tuple[Station, Activator]:
    station, agent = commissioned()
    for _ in range(30):
        station.part(agent)
    agent.staged(notice("b", "o2"))
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL
    assert station.live == model("b").digest
    return station, agent


def put_live(station: Station, letter: str) -> None:
    """Have *letter* judge, whoever asked for it."""
    station.loaded[model(letter).digest] = RunnerState.READY
    station.live = model(letter).digest


def slot(letter: str, order: str) -> SlotRef:
    return SlotRef(model=model(letter), order=order, slot=f"slot-{letter}")


def phase_of(agent: Activator) -> Phase:
    """Return the phase; a call, since mypy would hold an attribute to be unchanged."""
    return agent.phase
