"""`activation.json`: which model judges, which may come next, which way is back.

Written by inference's agent alone, in its own volume; read by the judge at boot and by the stager
before it collects garbage. Unknown fields are passed over: a station that goes back to an
older minor version of our code must not lose its models over them.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from taktgate.contracts.codec import OPEN_DOCUMENT, STRICT_DOCUMENT, Digest, Finite, Name, Order
from taktgate.contracts.model import ModelRef
from taktgate.contracts.staged import ActivationPolicy, StagedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRef:
    """A model, the order that asked for it and the slot that holds it."""

    __pydantic_config__ = OPEN_DOCUMENT

    model: ModelRef
    order: Order
    slot: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """How the last confirmed model behaved on this station's own parts."""

    __pydantic_config__ = OPEN_DOCUMENT

    parts: Annotated[int, Field(ge=0)]
    rejects: Annotated[int, Field(ge=0)]
    over_budget: Annotated[int, Field(ge=0)] = 0
    failures: Annotated[int, Field(ge=0)] = 0


NO_PARTS: Final = Baseline(parts=0, rejects=0)
"""Nothing is known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A model that judges parts but has not earned the station's trust yet."""

    __pydantic_config__ = OPEN_DOCUMENT

    candidate: SlotRef
    attempts: Annotated[int, Field(ge=1)]
    policy: ActivationPolicy = ActivationPolicy.IMMEDIATE
    """When the order allows to change models: it holds for a second attempt too."""
    parts: Annotated[int, Field(ge=0)] = 0
    """This and the next four: what the trial has shown so far, so that it survives a restart."""
    rejects: Annotated[int, Field(ge=0)] = 0
    consecutive_failures: Annotated[int, Field(ge=0)] = 0
    failures: Annotated[int, Field(ge=0)] = 0
    over_budget: Annotated[int, Field(ge=0)] = 0
    """Parts whose verdict took longer than the station's budget."""
    paired: Baseline = NO_PARTS
    """What the confirmed model made of the parts that the candidate saw in its shadow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """A digest that was tried here and sent back, with the figures that decided it."""

    __pydantic_config__ = STRICT_DOCUMENT

    digest: Digest
    order: Order
    reason: Annotated[str, Field(max_length=64)]
    figures: dict[str, Finite]
    message: Annotated[str, Field(max_length=500)]
    at: str
    """Wall-clock label (ISO 8601); no decision reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An announcement whose model did not load here: a candidate, or last-known-good itself."""

    __pydantic_config__ = OPEN_DOCUMENT

    digest: Digest
    order: Order
    renewed: Annotated[int, Field(ge=0)] = 0
    """Which announcement of that model under that order: `StagedModel.renewed`."""
    reason: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=500)]

    @classmethod
    def of(cls, notice: StagedModel, reason: str, message: str) -> "Refusal":
        """Return the refusal of *notice*; what is too long is cut."""
        return cls(
            digest=notice.model.digest,
            order=notice.order,
            renewed=notice.renewed,
            reason=reason[:64],
            message=message[:500],
        )

    def is_of(self, notice: StagedModel) -> bool:
        """Tell whether it is *notice* that was refused, and no other announcement of the same."""
        asked = (notice.model.digest, notice.order, notice.renewed)
        return asked == (self.digest, self.order, self.renewed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """The whole document. `generation` rises by one with every durable change."""

    __pydantic_config__ = OPEN_DOCUMENT

    contract: str
    generation: Annotated[int, Field(ge=0)]
    last_known_good: SlotRef | None = None
    previous_good: SlotRef | None = None
    """Confirmed before last-known-good: the way back when that one fails after its trial. Its slot
    is in use."""
    previous_baseline: Baseline = NO_PARTS
    """What `baseline` was when that model was last-known-good."""
    halt: Rollback | None = None
    """Why last-known-good must not judge any more although there is no way back from it: the
    station stays without a model until an operator clears it or another model is confirmed."""
    trial: Trial | None = None
    blocked: tuple[Rollback, ...] = ()
    refused: Refusal | None = None
    """The newest since the last trial; that of last-known-good ends when it loads again. The stager
    looks whether that slot is still what it was."""
    baseline: Baseline = NO_PARTS
    settled_order: Order | None = None
    """The order that was confirmed, satisfied or rolled back last."""
    orders_since: tuple[Order, ...] = ()
    """Orders that were settled since the oldest rollback on record, the newest 64 of them."""
    overridden_order: Order | None = None
    """The cloud's order that an operator of this station put another model in the place of: it asks
    for nothing until the cloud asks for something else."""
    has_forgotten: bool = False
    """An earlier record was lost, rollbacks and all: no model is confirmed without a trial."""
