"""What the processes of module inference say to each other besides frames and verdicts.

Agent to judge: `load`, `swap`, `drop`, each of which may be repeated without harm. Judge to agent:
`event` for what happened, `status` for what is. Judge to runner: an assignment.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT, Digest, Finite, Name, Nanoseconds
from taktgate.contracts.model import ModelRef
from taktgate.inspection.judge.decision import Lines

AGENT_SOCKET: Final = "agent.sock"
JUDGE_SOCKET: Final = "judge.sock"
WRITER_SOCKET: Final = "writer.sock"
CONTROL_SOCKET: Final = "judge-control.sock"

KIND_VERDICT: Final = "verdict"
KIND_BEAT: Final = "beat"
KIND_LINE: Final = "line"
KIND_EVENT: Final = "event"
KIND_STATUS: Final = "status"
KIND_LOAD: Final = "load"
KIND_SWAP: Final = "swap"
KIND_DROP: Final = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Start a runner for the bundle in *slot*, beside whatever is live."""

    __pydantic_config__ = STRICT_DOCUMENT

    slot: Name
    digest: Digest
    golden: bool
    """False only for a model that has passed here; a changed fingerprint asks for it anyway."""


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
class Assignment:
    """What a runner is to load, and under which terms."""

    __pydantic_config__ = STRICT_DOCUMENT

    directory: str
    digest: Digest
    trusted_keys: str
    device_class: str
    threads: int
    provider: str
    proven_fingerprint: str | None
    """The runtime under which this digest passed golden here. Any other: golden runs again."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeStatus:
    """What is, once a second and after each change: an agent that restarts picks up from here."""

    __pydantic_config__ = STRICT_DOCUMENT

    judge_start_id: str
    live: Digest | None
    models: tuple[LoadedModel, ...]
    is_ready: bool
    reason: str
    is_enabled: bool | None
    """The line's Enable, None while no fresh line state says it."""
    counters: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """`proven.json`: a digest passed golden on this device under this runtime."""

    __pydantic_config__ = STRICT_DOCUMENT

    digest: Digest
    fingerprint: str
