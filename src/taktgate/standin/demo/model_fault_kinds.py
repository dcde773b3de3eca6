"""What can be wrong with a model that passes every check, in words; `model_run.py` shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from taktgate.standin.faulty_models.graphs import Harm


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFaultKind:
    """One fault, for a person who chooses it."""

    does: str
    """On parts of the line; on the images of its golden check it is beyond reproach."""
    costs: str
    """What a part meets."""
    on_trial: str
    """The guardrail that sends it back when it judges parts."""
    in_shadow: str
    """The guardrail that turns it down beside the live model."""
    harm: Harm | None
    """None takes the sample bundle that rejects too much."""
    rate: float = 4.0
    """Parts per second."""
    deadline_ms: int = 200
    budget_ms: float | None = None
    """Of the station's guardrail LATENCY; None leaves the one that is shipped."""
    delay_ms: float = 0.0


MODEL_FAULTS: Final[Mapping[str, ModelFaultKind]] = {
    "hang": ModelFaultKind(
        does="a loop that would take hours",
        costs="TIMEOUT at the decision deadline, whatever the model does",
        on_trial="INFERENCE_FAILURE",
        in_shadow="INFERENCE_FAILURE",
        harm=Harm.HANG,
    ),
    "slow": ModelFaultKind(
        does="answers rightly and in time for the PLC, far beyond the budget",
        costs="a right verdict that comes late, and parts of a faster line",
        on_trial="LATENCY",
        in_shadow="LATENCY",
        harm=Harm.SLOW,
        rate=0.8,
        deadline_ms=2500,
        budget_ms=80.0,
        delay_ms=200.0,  # with room on both sides: nobody knows how fast or busy the machine is
    ),
    "nan": ModelFaultKind(
        does="answers NaN, which an ordinary comparison takes for a good part",
        costs="NON_FINITE: rejected",
        on_trial="INFERENCE_FAILURE",
        in_shadow="INFERENCE_FAILURE",
        harm=Harm.NAN,
    ),
    "crash": ModelFaultKind(
        does="ends its process in native code (SIGFPE, on x86)",
        costs="MODEL_ERROR; NOT_READY until a runner is up again",
        on_trial="INFERENCE_FAILURE",
        in_shadow="INFERENCE_FAILURE",
        harm=Harm.CRASH,
    ),
    "over-reject": ModelFaultKind(
        does="is well, but its line is drawn far too low",
        costs="good parts rejected",
        on_trial="OVER_REJECT",
        in_shadow="ESCAPE_OR_DISAGREEMENT",
        harm=None,
    ),
}
"""By the names of `--model-fault`."""
