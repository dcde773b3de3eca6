"""What became of one part at the PLC: the writer's last word on it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT, Finite, Name, Nanoseconds
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, Verdict


class Lane(StrEnum):
    """The way by which a verdict reached the writer."""

    LOCAL = "local"
    EDGEHUB = "edgehub"
    WRITER = "writer"
    """No verdict came: the writer closed the part itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One closed part, sent on route `outcomes` for the record. It never comes back to the line.

    After a conflict or a lost acknowledge a part has more than one: the last one for
    (plc_epoch, trigger_id) counts.
    """

    __pydantic_config__ = STRICT_DOCUMENT

    contract: str
    station: Name
    plc_epoch: int
    trigger_id: int
    verdict: Verdict
    reason: Reason
    lane: Lane
    result_sequence: Annotated[int, Field(ge=0)]
    """SeqBegin of the result slot; 0 when nothing could be written."""
    written: bool
    """True when the PLC confirmed the write of the result slot."""
    trigger_to_ack_ms: Finite | None
    """From the earlier end of the trigger interval to the PLC's reply to the write."""
    score: Finite | None
    model: ModelRef | None
    closed_ns: Nanoseconds
