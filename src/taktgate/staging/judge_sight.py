"""The judge as the stager sees it. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class JudgeSign(StrEnum):
    """What is known of the judge."""

    ABSENT = "absent"
    """No model judges parts here: there is nothing to disturb."""
    SILENT = "silent"
    """One may, and its agent does not say how it does."""
    HEARD = "heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSight:
    """The judge as it is seen now."""

    sign: JudgeSign
    late: int = 0
    """Parts without a usable answer in time."""
    share: float = 0.0
    """The slowest part's share of its time, 1: at its decision deadline."""
    line_stands_s: float | None = None
    """So long its line has stood, 0: it runs, None: nobody says."""


NOBODY: Final = JudgeSight(sign=JudgeSign.ABSENT)
