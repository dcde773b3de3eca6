"""What the smoke test can find wrong with a model. Each finding begins the message of a refusal."""

from enum import StrEnum
from typing import Final

MESSAGE_LENGTH: Final = 400


class Finding(StrEnum):
    """Why a model is refused."""

    LOAD = "LOAD"
    """ONNX Runtime does not take the file: no ONNX, cut off, operators that it does not have."""
    EXTERNAL_DATA = "EXTERNAL_DATA"
    """Weights would come from another file than the one that was signed."""
    INPUT = "INPUT"
    """Another input than the manifest says."""
    OUTPUTS = "OUTPUTS"
    """Other outputs than the manifest says, declared or delivered."""
    RUN = "RUN"
    """A run failed."""
    MEMORY = "MEMORY"
    """It wants more memory than the smoke test may have."""
    NON_FINITE = "NON_FINITE"
    """A score is NaN or infinite."""
    RANGE = "RANGE"
    """A score is not within 0..1."""
    NOT_REPEATABLE = "NOT_REPEATABLE"
    """The same frame got two scores."""
    GOLDEN = "GOLDEN"
    """A golden image got another score than the manifest says."""


class ModelFaultError(Exception):
    """The model is at fault.

    Attributes:
        finding: What is wrong.
        message: With names and figures, at most MESSAGE_LENGTH characters.
    """

    def __init__(self, finding: Finding, message: str) -> None:
        self.finding = finding
        self.message = _in_short(message)
        super().__init__(f"{finding}: {self.message}")


def _in_short(message: str) -> str:
    """Return both ends of a long message: C++ begins with where, and ends with why."""
    if len(message) <= MESSAGE_LENGTH:
        return message
    head = MESSAGE_LENGTH // 8
    return f"{message[:head]} ... {message[5 + head - MESSAGE_LENGTH :]}"
