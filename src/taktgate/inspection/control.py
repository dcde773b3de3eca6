"""What the processes of module inference say to each other besides frames and verdicts.

Agent to judge: `load`, `swap`, `drop`, `shadow`, each of which may be repeated without harm. Judge
to agent: `event` for what happened, `status` for what is, `pair` for a part that two models have
seen. Judge to runner: an assignment.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT, Digest, Finite, Name, Nanoseconds
from taktgate.contracts.model import ModelRef
from taktgate.edge.settings import ImageGateSettings
from taktgate.inspection.decision.rule import Lines
from taktgate.inspection.image_facts import ImageFacts

AGENT_SOCKET: Final = "agent.sock"
JUDGE_SOCKET: Final = "judge.sock"
WRITER_SOCKET: Final = "writer.sock"
CONTROL_SOCKET: Final = "judge-control.sock"
EVIDENCE_SOCKET: Final = "evidence.sock"

KIND_VERDICT: Final = "verdict"
KIND_BEAT: Final = "beat"
KIND_LINE: Final = "line"
KIND_PART: Final = "part"
KIND_EVENT: Final = "event"
KIND_STATUS: Final = "status"
KIND_PAIR: Final = "pair"
KIND_LOAD: Final = "load"
KIND_SWAP: Final = "swap"
KIND_DROP: Final = "drop"
KIND_SHADOW: Final = "shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Start a runner for the bundle in *slot*, beside whatever is live."""

    __pydantic_config__ = STRICT_DOCUMENT

    slot: Name
    digest: Digest
    golden: bool
    """False only for a model that has passed here; a changed fingerprint asks for it anyway."""
    probe_limit_ms: Annotated[float, Field(gt=0.0)] | None = None
    """A model whose p99 in the probe is above this is refused as TOO_SLOW; None: no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """Let the model *digest* judge from the next part on."""

    __pydantic_config__ = STRICT_DOCUMENT

    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """End the runner of *digest*. What judges is dropped only if that is said."""

    __pydantic_config__ = STRICT_DOCUMENT

    digest: Digest
    even_if_live: bool = False
    """It was sent back and there is nothing to put in its place: better no model than this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """Show the frames of judged parts to *digest* as well, from now on; None: to nobody."""

    __pydantic_config__ = STRICT_DOCUMENT

    digest: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a runner is to load, and under which terms."""

    __pydantic_config__ = STRICT_DOCUMENT

    directory: str
    digest: Digest
    trusted_keys: str
    device_class: str
    threads: int
    spinning: bool
    arena: bool = True
    provider: str
    gpu_memory_mb: int | None
    image_gate: ImageGateSettings
    proven_fingerprint: str | None
    """The runtime under which this digest was proven here. Any other: it is probed again."""
    probe_limit_ms: float | None
    at_idle_priority: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A runner has loaded and checked its model and waits for frames."""

    __pydantic_config__ = STRICT_DOCUMENT

    model: ModelRef
    lines: Lines
    provider: str
    is_fallback: bool
    """CUDA was to be had by the build, but the session took another provider."""
    fingerprint: str
    golden_images: Annotated[int, Field(ge=0)]
    """How many golden images were checked in this start."""
    golden_worst: Finite
    """The largest share of its tolerance that an image used up, 0..1."""
    has_full_priority: bool
    """False when threads of the runtime had to stay at idle priority: no right to raise them."""
    probe_runs: Annotated[int, Field(ge=0)] = 0
    """How many runs were timed on this device, one in each gap; 0: proven in an earlier start."""
    probe_p50_ms: Finite | None = None
    probe_p99_ms: Finite | None = None
    """By nearest rank: below 100 runs the slowest one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A runner will not judge with this model."""

    __pydantic_config__ = STRICT_DOCUMENT

    reason: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=500)]


class Happening(StrEnum):
    """What a judge's event is about."""

    READY = "ready"
    REFUSED = "refused"
    DIED = "died"
    KILLED = "killed"
    SWAPPED = "swapped"
    FIRST_PART = "firstPart"
    """The first part after a swap went to the new model: `first_trigger_id`."""
    CAMERA_UP = "cameraUp"
    CAMERA_DOWN = "cameraDown"
    BREAKER_OPEN = "breakerOpen"
    """The model gives no usable answers: the station is not ready."""
    BREAKER_CLOSED = "breakerClosed"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeEvent:
    """One thing that happened in the judge."""

    __pydantic_config__ = STRICT_DOCUMENT

    judge_start_id: str
    happening: Happening
    digest: Digest | None = None
    reason: Annotated[str, Field(max_length=64)] = ""
    message: Annotated[str, Field(max_length=500)] = ""
    first_trigger_id: int | None = None
    at_ns: Nanoseconds


class RunnerState(StrEnum):
    """Where a runner stands."""

    LOADING = "loading"
    PROBING = "probing"
    """It is loaded and warm, and runs golden images one by one in the gaps between parts."""
    READY = "ready"
    REFUSED = "refused"
    WAITING = "waiting"
    """It died and will be started again shortly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model in the judge's hands."""

    __pydantic_config__ = STRICT_DOCUMENT

    digest: Digest
    slot: Name
    state: RunnerState
    pid: int | None = None
    ready: Ready | None = None
    """What the runner said that is ready now; of one that died nothing is left."""
    refused: Refused | None = None
    deaths: Annotated[int, Field(ge=0)] = 0
    has_realtime: bool | None = None
    """Whether the live runner was granted its real-time priority; None: it asks for none."""
    standby: RunnerState | None = None
    """Where the second runner stands that takes over when the first one fails; None: no such."""
    standby_pid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeStatus:
    """What is, once a second and after each change: an agent that restarts picks up from here."""

    __pydantic_config__ = STRICT_DOCUMENT

    judge_start_id: str
    live: Digest | None
    shadow: Digest | None = None
    """The model that is shown the frames of judged parts; its verdicts stay in the judge."""
    models: tuple[LoadedModel, ...]
    is_ready: bool
    reason: str
    is_enabled: bool | None
    """The line's Enable, None while no fresh line state says it."""
    counters: dict[str, int]
    rights: dict[str, bool] = field(default_factory=dict)
    """Real-time rights of the judge, `scheduling` and `memory`: granted or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameNote:
    """The frame of a part: what it is, when it was worked on, and where its pixels lie."""

    __pydantic_config__ = STRICT_DOCUMENT

    frame_id: int
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    channels: Literal[1, 3]
    arrived_ns: Nanoseconds | None = None
    """When the runner took it up; this and the next two are None if the model never answered."""
    gated_ns: Nanoseconds | None = None
    """When the image gate was through."""
    facts: ImageFacts | None = None
    slot: Annotated[int, Field(ge=0)] | None = None
    """Of the evidence memory: overwritten some parts later. None: not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartNote:
    """What the judge knows of a part beyond its verdict. One for each verdict, after it."""

    __pydantic_config__ = STRICT_DOCUMENT

    judge_start_id: str
    sequence: Annotated[int, Field(ge=1)]
    """Of the verdict's envelope."""
    sent_ns: Nanoseconds | None
    """When the verdict went out on the local lane; None: that is switched off, or did not take it,
    since nobody listens or the inbox is full."""
    frame: FrameNote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """`proven.json`: a digest passed golden on this device under this runtime."""

    __pydantic_config__ = STRICT_DOCUMENT

    digest: Digest
    fingerprint: str
