"""The judge's decisions in this process: real boot, real loading, commands obeyed at once.

What it does not have is a line: parts come when they are asked for.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import encode
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.places import Places
from taktgate.edge.settings import StationSettings
from taktgate.inspection import control
from taktgate.inspection.activation_file import ActivationFiles
from taktgate.inspection.agent.judge_commands import Command
from taktgate.inspection.control import (
    Assignment,
    JudgeStatus,
    Load,
    LoadedModel,
    Ready,
    Refused,
    RunnerState,
    Shadow,
    Swap,
)
from taktgate.inspection.errors import ModelRefusedError
from taktgate.inspection.judge.process import boot_model, runner_terms
from taktgate.inspection.opinions import Opinion, ShadowPair
from taktgate.inspection.pool.pooled_model import PooledModel, StartHistory
from taktgate.inspection.pool.starter import assignment_of
from taktgate.inspection.runner.loading import load

TRIAL_PARTS: Final = 10
_SICK: Final = Refused(reason="GOLDEN", message="its runner does not come up")
Say = Callable[[str, bytes], None]
"""Takes a datagram's kind and payload, as the agent's inbox does."""


def _no_gap(_runs_left: int) -> None:
    """Find that the line always leaves room."""


@dataclass(slots=True)
class HereJudge:
    """A judge that boots as the real one does, and judges as *bad* says.

    Attributes:
        places: Where the volumes lie.
        settings: Of the station.
        bad: Digests that give no usable answer.
        loaded: What is loaded, by digest.
        live: The digest that judges.
        proven: Digests that have judged a whole trial here, or were the station's first model.
        sudden_swaps: What was swapped in without being on record, as trial or as confirmed.
        sick: Digests whose runners do not come up while this judge lives.
        holds_swaps: Swaps are not obeyed: there is no gap between parts.
        is_shadow_mute: What is in the shadow gives no usable answer.
        is_enabled: The line's Enable.
    """

    places: Places
    settings: StationSettings
    bad: frozenset[str]
    loaded: dict[str, LoadedModel] = field(default_factory=dict)
    live: str | None = None
    shadow: str | None = None
    judged: dict[str, int] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)
    sudden_swaps: list[str] = field(default_factory=list)
    sick: set[str] = field(default_factory=set)
    holds_swaps: bool = False
    is_shadow_mute: bool = False
    is_enabled: bool = True
    _trigger_id: int = 0

    def boot(self) -> None:
        """Load what the disk says, as the judge's process does."""
        assignment, fingerprint = boot_model(self.places)
        if assignment is not None:
            self._load(assignment, fingerprint, is_boot=True)
            self.live = assignment.digest

    def restart(self) -> None:
        """Die alone and boot anew: the agent hears it from the next status."""
        self.loaded, self.live, self.shadow = {}, None, None
        self.boot()

    def lose(self, digest: str) -> None:
        """Know nothing of *digest* any more."""
        self.loaded.pop(digest, None)

    def sicken(self, digest: str) -> None:
        """Have the runner of *digest* give out for good."""
        self.sick.add(digest)
        held = self.loaded.get(digest)
        if held is not None:
            self.loaded[digest] = _refused(held, _SICK)

    def obey(self, command: Command) -> None:
        """Do what the agent asks for."""
        if isinstance(command, Load):
            held = self.loaded.get(command.digest)
            if held is None or held.state is RunnerState.REFUSED:
                self._load(command, None)
        elif isinstance(command, Swap):
            held = self.loaded.get(command.digest)
            is_ready = held is not None and held.state is RunnerState.READY
            if is_ready and not self.holds_swaps:
                self._note_swap(command.digest)
                self.live = command.digest
        elif isinstance(command, Shadow):
            self.shadow = command.digest
        elif command.digest != self.live or command.even_if_live:
            self.loaded.pop(command.digest, None)
            self.live = None if command.digest == self.live else self.live

    def status(self) -> bytes:
        """Return what is, as the judge tells the agent."""
        held = self.loaded.get(self.live or "")
        status = JudgeStatus(
            judge_start_id="here",
            live=self.live,
            shadow=self.shadow,
            models=tuple(self.loaded.values()),
            is_ready=held is not None and held.state is RunnerState.READY,
            reason="",
            is_enabled=self.is_enabled,
            counters={},
        )
        return encode(status)

    def part(self, say: Say) -> None:
        """Let one part come; the shadow, if there is one, sees it too."""
        held = self.loaded.get(self.live or "")
        if held is None or held.ready is None:
            return
        self._trigger_id += 1
        model, is_bad = held.ready.model, held.digest in self.bad
        if not is_bad:
            self.judged[model.digest] = self.judged.get(model.digest, 0) + 1
        if self.judged.get(model.digest, 0) >= TRIAL_PARTS:
            self.proven.add(model.digest)
        say(control.KIND_VERDICT, encode(self._envelope(model, is_bad=is_bad)))
        if self.shadow is not None and self.shadow in self.loaded:
            pair = ShadowPair(
                judge_start_id="here",
                trigger_id=self._trigger_id,
                live=_opinion(model.digest),
                shadow=_opinion(self.shadow, is_mute=self.is_shadow_mute),
            )
            say(control.KIND_PAIR, encode(pair))

    def _note_swap(self, digest: str) -> None:
        activation = ActivationFiles(folder=self.places.state).read()
        trial = activation.trial
        named = (
            activation.last_known_good,
            activation.previous_good,
            trial.candidate if trial else None,
        )
        if digest not in {ref.model.digest for ref in named if ref is not None}:
            self.sudden_swaps.append(digest)

    def _load(self, command: Load, fingerprint: str | None, *, is_boot: bool = False) -> None:
        assignment = self.assignment(command, fingerprint)
        trying = try_loading if is_boot else try_loading_again
        is_sick = command.digest in self.sick
        ready, refused = (None, _SICK) if is_sick else trying(assignment)
        self.loaded[command.digest] = LoadedModel(
            digest=command.digest,
            slot=command.slot,
            state=RunnerState.REFUSED if ready is None else RunnerState.READY,
            ready=ready,
            refused=refused,
        )

    def assignment(self, command: Load, fingerprint: str | None) -> Assignment:
        """Return what the runner of *command* is told."""
        pooled = PooledModel(
            load=command,
            proven_fingerprint=None if command.golden else fingerprint,
            at_idle_priority=False,
            starts=StartHistory(due_ns=0),
        )
        return assignment_of(
            runner_terms(self.places, self.settings), pooled, at_idle_priority=False
        )

    def _envelope(self, model: ModelRef, *, is_bad: bool) -> VerdictEnvelope:
        return VerdictEnvelope(
            contract=CONTRACT_VERSION,
            station="VIS01",
            kernel_boot_id="here",
            judge_start_id="here",
            plc_epoch=1,
            sequence=self._trigger_id,
            trigger_id=self._trigger_id,
            verdict=Verdict.NO_DECISION if is_bad else Verdict.PASS,
            reason=Reason.MODEL_ERROR if is_bad else Reason.NONE,
            score=None if is_bad else 0.1,
            model=model,
            trigger_ns=1,
            decided_ns=2,
            deadline_ns=3,
        )


def try_loading(assignment: Assignment) -> tuple[Ready | None, Refused | None]:
    """Load a model as its runner does; return what the runner would say."""
    try:
        return load(assignment, _no_gap).ready, None
    except ModelRefusedError as error:
        return None, Refused(reason=error.reason, message=str(error)[:500])


_TRIED: Final[dict[tuple[str, str], tuple[Ready | None, Refused | None]]] = {}


def try_loading_again(assignment: Assignment) -> tuple[Ready | None, Refused | None]:
    """Do the same, once in this process for the same bytes: for all loads but those of a boot."""
    content = hashlib.sha256()
    slot = Path(assignment.directory)
    for path in sorted(slot.rglob("*")):
        content.update(f"{path.relative_to(slot)}\0{path.stat().st_size}\0".encode())
        if path.is_file():
            content.update(path.read_bytes())
    key = (str(replace(assignment, directory="")), content.hexdigest())
    if key not in _TRIED:
        _TRIED[key] = try_loading(assignment)
    return _TRIED[key]


def _refused(held: LoadedModel, refused: Refused) -> LoadedModel:
    return replace(held, state=RunnerState.REFUSED, ready=None, refused=refused)


def _opinion(digest: str, *, is_mute: bool = False) -> Opinion:
    return Opinion(
        digest=digest,
        verdict=Verdict.NO_DECISION if is_mute else Verdict.PASS,
        reason=Reason.MODEL_ERROR if is_mute else Reason.NONE,
        score=None if is_mute else 0.1,
        scores=(),
        decided_by=None if is_mute else "bright",
        run_ns=1_000_000,
    )


def places_in(station: Path, config: Path) -> Places:
    """Return where a station in the folder *station* finds its volumes."""
    return Places(
        station_file=config.parent / "station.yaml",
        config=config,
        lane=station / "lane",
        private=station / "private",
        slots=station / "slots",
        state=station / "state",
        records=station / "records",
        metrics_address="127.0.0.1",
        metrics_port=1,
    )
