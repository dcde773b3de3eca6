"""`pulse.json`: how the judge is doing right now, for those who must not disturb it.

Written about once a second by inference's agent beside `activation.json`, not durably: it is worth
nothing a few seconds later. The stager slows down or pauses by it, and where the plant wants that,
it waits until the line stands.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from taktgate.contracts.codec import OPEN_DOCUMENT, Finite, Nanoseconds

PULSE_FILE: Final = "pulse.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePulse:
    """The judge's last seconds."""

    __pydantic_config__ = OPEN_DOCUMENT

    contract: str
    boot_id: str
    """Kernel boot id: `at_ns` means nothing under another."""
    at_ns: Nanoseconds
    """When it was written, CLOCK_MONOTONIC."""
    window_s: Annotated[float, Field(gt=0.0)]
    """The figures below are of the parts decided in so many seconds before."""
    parts: Annotated[int, Field(ge=0)]
    late: Annotated[int, Field(ge=0)]
    """Parts without a usable answer in time: TIMEOUT, LATE or OVERLOAD."""
    slowest_ms: Annotated[Finite, Field(ge=0.0)]
    """The longest time from trigger to decision; 0 without a part."""
    budget_ms: Annotated[Finite, Field(ge=0.0)]
    """The shortest time that a part had from its trigger to its decision deadline; 0 likewise."""
    line_stands_s: Annotated[Finite, Field(ge=0.0)] | None = None
    """So long the line has stood: it is disabled, and no part comes. 0: it runs. None: it is not
    known whether it is enabled, or the agent is one that does not say."""
