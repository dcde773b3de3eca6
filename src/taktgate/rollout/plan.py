"""What is rolled out, and ring by ring to whom. Pure."""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from taktgate.contracts.codec import Name
from taktgate.contracts.twins import ModelOrder
from taktgate.rollout.errors import PlanError

_STRICT: Final = ConfigDict(extra="forbid", frozen=True)
_TERM: Final = (
    r"(?:NOT\s+)?(?:deviceId|tags(?:\.[A-Za-z_][A-Za-z0-9_-]*)+)\s*(?:=|!=|<>)\s*"
    r"'(?:[A-Za-z0-9:.+%_#*?!(),=@;$-]|'')*'"
)
_CONDITION: Final = re.compile(rf"{_TERM}(?:\s+AND\s+{_TERM})*", re.IGNORECASE)
_ORDER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
_NOT_FOR_IDS: Final = re.compile(r"[^a-z0-9]+")


def _checked_condition(condition: str) -> str:
    """Accept a ring's condition. Without OR it can be joined to other rings' by OR, no brackets."""
    if not _CONDITION.fullmatch(condition):
        raise ValueError(
            "must be terms like tags.ring='canary' or NOT deviceId='x', joined by AND: "
            "a hub takes tags.* and deviceId, in single quotes, and OR is what rings are for"
        )
    return condition


class Ring(BaseModel):
    """Stations that get a model together, and what must hold before the next ring gets it."""

    model_config = _STRICT

    name: Name
    target: Annotated[str, AfterValidator(_checked_condition)]
    stations_min: Annotated[int, Field(ge=1)] = 1
    """Fewer stations in the ring say nothing about a model."""
    confirmed_share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """This share of the stations must have confirmed the model."""
    failed_max: Annotated[int, Field(ge=0)] = 0
    """With more stations that rolled back, could not stage or refused, the layer is withdrawn."""
    time_limit_s: Annotated[int, Field(ge=1)] = 86_400
    """Inconclusive for longer than this: hold, for a person to look."""


class Rings(BaseModel):
    """rings.yaml: what cloud operations edits."""

    model_config = _STRICT

    layer_priority: Annotated[int, Field(ge=1, le=2**31 - 1)]
    """Above the base deployment's, or no station applies the layer."""
    poll_s: Annotated[float, Field(ge=0.1, le=600)] = 5.0
    errors_max: Annotated[int, Field(ge=0)] = 5
    """So many failed measurements in a row are borne before the rollout is held."""
    rings: Annotated[tuple[Ring, ...], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [ring.name for ring in self.rings]
        if len(set(names)) != len(names):
            raise ValueError("rings must not name one ring twice")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPlan:
    """One model by one order through all rings."""

    model: ModelOrder
    repository: str | None
    """None leaves it to the base deployment."""
    rings: Rings

    def __post_init__(self) -> None:
        """Refuse an order that a query could not name.

        Raises:
            PlanError: the order has characters that do not belong there.
        """
        if not _ORDER.fullmatch(self.model.order):
            raise PlanError(f"order: must be letters, digits and ._:@-, got {self.model.order!r}")

    @property
    def layer_id(self) -> str:
        """The layer's id: content is immutable, so it changes with the order.

        A hub's configuration ids are lowercase and know no dot.
        """
        order = hashlib.sha256(
            f"{self.model.name} {self.model.version} {self.model.order}".encode()
        ).hexdigest()
        readable = _NOT_FOR_IDS.sub("-", f"{self.model.name}-{self.model.version}".lower())
        return f"model-{readable[:80].strip('-')}-{order[:8]}"

    def target(self, ring: int) -> str:
        """Return the condition for all rings up to number *ring*."""
        return " OR ".join(its.target for its in self.rings.rings[: ring + 1])
