"""What is wrong, one slot per source: a fault goes when its own cause has gone, and no earlier."""

from enum import StrEnum
from typing import Final

from taktgate.contracts.twins import TypedError

SURFACE_PORT: Final = "SURFACE_PORT"
"""The typed reason under which inference reports that its control surface is not served."""


class Source(StrEnum):
    """Where a fault comes from, the gravest first: the cloud is shown one."""

    STATE = "state"
    """The state volume refuses: nothing can be tried, confirmed or blocked for good."""
    ORDER = "order"
    ALARM = "alarm"
    """The confirmed model breached a guardrail and nobody was sent back: people must look. It holds
    until another model is confirmed or an operator clears it."""
    SETTINGS = "settings"
    GOOD_MODEL = "goodModel"
    JUDGE = "judge"
    NOTICE = "notice"
    ACTIVATION_FILE = "activationFile"
    """Repaired, but worth knowing until the next model is confirmed."""
    RECORDS = "records"
    METRICS = "metrics"
    SURFACE = "surface"
    DESIRED = "desired"
    WAITING = "waiting"
    """No fault of anybody: the order's policy does not allow to change models now."""


class Faults:
    """The faults that hold now."""

    def __init__(self) -> None:
        self._held: dict[Source, TypedError] = {}

    @property
    def gravest(self) -> TypedError | None:
        """Return the fault to show."""
        return next((self._held[source] for source in Source if source in self._held), None)

    def get(self, source: Source) -> TypedError | None:
        """Return the fault of *source*."""
        return self._held.get(source)

    def put(self, source: Source, error: TypedError | None) -> None:
        """Set the fault of *source*; None: it has none any more."""
        if error is None:
            self._held.pop(source, None)
        else:
            self._held[source] = error

    def clear(self, *sources: Source) -> None:
        """Forget the faults of *sources*."""
        for source in sources:
            self._held.pop(source, None)
