"""A guardrail that has fired: which of the five, what it found, and whose doing it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Guardrail(StrEnum):
    """The typed rollback triggers."""

    LATENCY = "LATENCY"
    INFERENCE_FAILURE = "INFERENCE_FAILURE"
    OVER_REJECT = "OVER_REJECT"
    ESCAPE_OR_DISAGREEMENT = "ESCAPE_OR_DISAGREEMENT"
    RESOURCE_OR_DRIFT = "RESOURCE_OR_DRIFT"


class Cause(StrEnum):
    """Whose doing a breach is: only a model is sent back, the rest is told to people."""

    MODEL = "model"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A guardrail has fired."""

    guardrail: Guardrail
    message: str
    figures: Mapping[str, float]
    """What decided it, all finite; the names are those of the twin report."""
    cause: Cause = Cause.MODEL
