"""What is wrong, one slot per source: a fault goes when its own cause has gone, and no earlier."""

from dataclasses import replace
from enum import StrEnum
from typing import Final

from taktgate.contracts.twins import TypedError

SURFACE_PORT: Final = "SURFACE_PORT"
"""The typed reason under which inference reports that its control surface is not served."""
_MESSAGE_CHARACTERS: Final = 500
_ALSO_CHARACTERS: Final = 200


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
        """Return the fault to show; it names the reasons of the others, so that none is silent."""
        held = [self._held[source] for source in Source if source in self._held]
        if len(held) < 2:
            return held[0] if held else None
        first, *others = held
        reasons = dict.fromkeys(each.reason for each in others)
        also = f"; also: {', '.join(reasons)}"[:_ALSO_CHARACTERS]
        message = first.message[: _MESSAGE_CHARACTERS - len(also)] + also
        return replace(first, message=message)

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
