"""What became of one part at the PLC: the writer's last word on it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT, Finite, Name, Nanoseconds
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, Verdict

Count = Annotated[int, Field(ge=0)]


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
    (plc_epoch, trigger_id) counts. Fields with a default may be missing in an outcome of an
    older writer; they open no gate, so the version of the contract stays as it is.
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
    """True when the PLC surely had this result in time: it confirmed the write before the deadline,
    or its AckSeq named the result. False: nothing was written, or nobody knows what came of it."""
    trigger_to_ack_ms: Finite | None
    """From the earlier end of the trigger interval to the PLC's reply to the write."""
    score: Finite | None
    model: ModelRef | None
    closed_ns: Nanoseconds
    acknowledged_ms: Finite | None = None
    """From the earlier end of the trigger interval to the reading whose AckSeq named the result:
    the PLC's program has consumed it by then. None: that was never seen, which proves nothing when
    another result was acknowledged meanwhile, since AckSeq names only the newest."""
    age_ms: Count | None = None
    """AgeMs as it was written: exposure to encoding. None when nothing was written."""
    retries: Count = 0
    """How often the same result was written again because what came of a write was unknown."""
    queue_depth: Count = 0
    """Parts that still waited for their verdict when this one was decided."""
