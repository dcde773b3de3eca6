"""What the writer tells the judge about the line, and the judge's sign of life."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT, Name, Nanoseconds
from taktgate.contracts.model import ModelRef


@dataclass(frozen=True, slots=True, kw_only=True)
class LineState:
    """One change of `VIS01_Cmd`, as the writer read it from the PLC.

    The trigger happened after `observed_after_ns` (the read before) and not later than
    `observed_ns` (this read): elapsed time counts from the earlier end.
    """

    __pydantic_config__ = STRICT_DOCUMENT

    contract: str
    station: Name
    kernel_boot_id: str
    writer_start_id: str
    plc_epoch: int
    """Chosen anew by the writer whenever it cannot vouch that the PLC's numbering went on."""
    sequence: Annotated[int, Field(ge=1)]
    trigger_id: int
    is_edge: bool
    """True when TriggerId changed between the two reads; the first read of an epoch is no edge."""
    deadline_ms: Annotated[int, Field(ge=1, le=10_000)]
    enable: bool
    observed_after_ns: Nanoseconds
    observed_ns: Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Sent by the judge every 100 ms; 300 ms without one and the writer sets Ready = 0."""

    __pydantic_config__ = STRICT_DOCUMENT

    contract: str
    station: Name
    kernel_boot_id: str
    judge_start_id: str
    sequence: Annotated[int, Field(ge=1)]
    ready: bool
    """True while a verified model is live, its runner answers and the camera is connected."""
    reason: Annotated[str, Field(max_length=200)]
    model: ModelRef | None
    sent_ns: Nanoseconds
