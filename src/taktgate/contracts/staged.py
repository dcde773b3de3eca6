"""The stager's notice that a verified bundle lies complete in a slot."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT, Name, Order
from taktgate.contracts.model import ModelRef


class ActivationPolicy(StrEnum):
    """When a staged model may become live."""

    IMMEDIATE = "immediate"
    SAFE_TO_UPDATE = "safe_to_update"
    CHANGEOVER = "changeover"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedModel:
    """Sent on route `staged`, and kept as `announced.json` beside the slots for late readers."""

    __pydantic_config__ = STRICT_DOCUMENT

    contract: str
    model: ModelRef
    order: Order
    slot: Name
    """Folder below the slots volume; immutable from now on."""
    activation: ActivationPolicy
    renewed: Annotated[int, Field(ge=0, exclude_if=lambda times: times == 0)] = 0
    """So many times was this model announced anew under this order, its slot verified or written
    once more: what was refused before is worth a new try. It is left out while it is 0: modules of
    before do not know it."""
