"""What a request can come to besides an answer.

SurfaceError
├── BadInputError       the sender's fault: a status 4xx, the field and the rule it broke
├── BusyError           as many questions as may wait are waiting: 429, try again
└── UnavailableError    no answer to be had now, or not in time: 503, try again
"""

from typing import Final

FAIL_SAFE_HINT: Final = "Downstream adapter must apply configured fail-safe."


class SurfaceError(Exception):
    """Root of the surface's errors; `status` is the HTTP status that it becomes."""

    status = 503

    def __init__(self, rule: str, *, field: str = "", status: int | None = None) -> None:
        super().__init__(f"{field}: {rule}" if field else rule)
        self.field = field
        self.rule = rule
        if status is not None:
            self.status = status


class BadInputError(SurfaceError):
    """The request breaks a rule; nothing has changed."""

    status = 422


class BusyError(SurfaceError):
    """The queue is full."""

    status = 429


class UnavailableError(SurfaceError):
    """There is no answer now."""
