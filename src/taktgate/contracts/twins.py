"""The module twins: what the cloud asks for, and what the station says is the case."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field

from taktgate.contracts.activation import Rollback
from taktgate.contracts.codec import STRICT_DOCUMENT, Finite, Name, Order, Version, parse
from taktgate.contracts.model import ModelRef
from taktgate.contracts.staged import ActivationPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOrder:
    """Desired `model` of `model_stager`. `order` is compared for change, never for size."""

    __pydantic_config__ = STRICT_DOCUMENT

    name: Name
    version: Version
    order: Order
    activation: ActivationPolicy = ActivationPolicy.IMMEDIATE


@dataclass(frozen=True, slots=True, kw_only=True)
class StagerDesired:
    """Desired properties of `model_stager`; a missing or null `model` asks for nothing."""

    __pydantic_config__ = STRICT_DOCUMENT

    model: ModelOrder | None = None
    repository: Annotated[str, Field(pattern=r"^(https?|file)://")] | None = None


MAX_COURSE: Final = 12
"""So many phases of one order are told at most."""


class StagingPhase(StrEnum):
    """Where the stager stands with the newest order."""

    IDLE = "idle"
    """Nothing is ordered."""
    HELD = "held"
    """The station says: not now. `hold` says why."""
    FETCHING = "fetching"
    VERIFYING = "verifying"
    TESTING = "testing"
    """The smoke test runs, in a sandbox."""
    STAGED = "staged"
    """Announced: it lies verified in a slot, and inference has not begun with it."""
    TRIAL = "trial"
    """Inference has begun with it: from loading it to the last part of its trial."""
    CONFIRMED = "confirmed"
    """It judges, and is last-known-good."""
    FAILED = "failed"
    BLOCKED = "blocked"
    """It was rolled back here under this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStart:
    """When an order entered a phase."""

    __pydantic_config__ = STRICT_DOCUMENT

    phase: StagingPhase
    at: str
    """Wall-clock label (ISO 8601, seconds, UTC)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedError:
    """An error as the cloud sees it: a stable code to query for, a message to read."""

    __pydantic_config__ = STRICT_DOCUMENT

    reason: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=500)]
    order: Order | None = None
    retryAt: str | None = None
    """Wall-clock label (ISO 8601) of the next try; None when there will be none by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a download got."""

    __pydantic_config__ = STRICT_DOCUMENT

    fetchedBytes: Annotated[int, Field(ge=0)]
    totalBytes: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotsDisk:
    """The slots volume. Free space is rounded, so that it is no news each second."""

    __pydantic_config__ = STRICT_DOCUMENT

    slots: Annotated[int, Field(ge=0)]
    usedMb: Annotated[int, Field(ge=0)]
    quotaMb: Annotated[int, Field(ge=0)]
    freeMb: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryTrust:
    """The signed metadata that this station trusts, and until when."""

    __pydantic_config__ = STRICT_DOCUMENT

    root: Annotated[int, Field(ge=1)]
    timestamp: Annotated[int, Field(ge=0)]
    expires: str
    """Of the timestamp (ISO 8601); empty if none is trusted."""
    doubt: Annotated[str, Field(max_length=200)] | None = None
    """What weakens it: a clock that is behind, a timestamp that is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagerReported:
    """Reported `stager` of `model_stager`."""

    __pydantic_config__ = STRICT_DOCUMENT

    contract: str
    code: str
    phase: StagingPhase
    order: Order | None = None
    course: Annotated[tuple[PhaseStart, ...], Field(max_length=MAX_COURSE)] = ()
    """How `order` came to `phase`: also what was over before it could be reported."""
    staged: ModelRef | None = None
    slot: Name | None = None
    progress: Progress | None = None
    hold: Annotated[str, Field(max_length=200)] | None = None
    """Why the work on the order stands: held by the station, or paused for the judge."""
    live: ModelRef | None = None
    """This and the next three: what inference's `activation.json` says."""
    candidate: ModelRef | None = None
    lastKnownGood: ModelRef | None = None
    previous: ModelRef | None = None
    registry: RegistryTrust | None = None
    disk: SlotsDisk | None = None
    lastError: TypedError | None = None


class InspectionPhase(StrEnum):
    """Where inference stands with the newest staged model."""

    STARTING = "starting"
    LIVE = "live"
    LOADING = "loading"
    SHADOW = "shadow"
    """The candidate is judged on live parts beside the live model; no verdict of it counts."""
    TRIAL = "trial"
    ROLLED_BACK = "rolledBack"
    NOT_READY = "notReady"


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionReported:
    """Reported `inspection` of `inference`: what *is*, never an echo of what was asked."""

    __pydantic_config__ = STRICT_DOCUMENT

    contract: str
    code: str
    phase: InspectionPhase
    live: ModelRef | None = None
    candidate: ModelRef | None = None
    lastKnownGood: ModelRef | None = None
    order: Order | None = None
    """The order that `phase` speaks of."""
    confirmedOrder: Order | None = None
    lastRollback: Rollback | None = None
    lastError: TypedError | None = None
    guardrail: dict[str, Finite] | None = None
    provider: str | None = None
    realtime: bool = False
    """True when the judge's process has every real-time right."""
    rights: dict[str, bool] = field(default_factory=dict)
    """Each of them, `scheduling` and `memory`: granted or not; empty while it does not report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterReported:
    """Reported `plc` of `plc_writer`."""

    __pydantic_config__ = STRICT_DOCUMENT

    contract: str
    code: str
    state: str
    error: str
    controller: str
    realtime: bool
    """True when the writer process has every real-time right that it asks for."""
    rights: dict[str, bool]
    """Each of them, `scheduling` and `memory`: granted or not; empty while it does not report."""
    lanes: tuple[str, ...]


def read_desired(document: Mapping[str, Any]) -> StagerDesired:
    """Return the desired properties of `model_stager` from a full twin document.

    Raises:
        ContractError: a property is unknown or breaks its rule; `field` names it.
    """
    own = {key: value for key, value in document.items() if not key.startswith("$")}
    return parse(StagerDesired, own)
