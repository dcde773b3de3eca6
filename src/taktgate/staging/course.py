"""The course of an order: the phases it went through, and since when. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from taktgate.contracts.twins import MAX_COURSE, PhaseStart, StagingPhase

_KEPT_FIRST: Final = 1
"""The first is when the order was taken; of a long course the middle is dropped."""


def extended(
    course: Sequence[PhaseStart], phase: StagingPhase, at: datetime
) -> tuple[PhaseStart, ...]:
    """Return *course* with *phase*, which began *at*; as it was if that goes on already."""
    if course and course[-1].phase is phase:
        return tuple(course)
    whole = (*course, PhaseStart(phase=phase, at=at.isoformat(timespec="seconds")))
    if len(whole) <= MAX_COURSE:
        return whole
    return whole[:_KEPT_FIRST] + whole[_KEPT_FIRST - MAX_COURSE :]
