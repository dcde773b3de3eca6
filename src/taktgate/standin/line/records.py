"""What the PLC says about a part once it has passed the gate, and the counts over all parts."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from taktgate.contracts.verdict import Verdict


class Gate(StrEnum):
    """What the reject gate did. Reject is its rest state."""

    ACCEPT = "accept"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartClosed:
    """The one record of one part."""

    trigger_id: int
    trigger_ns: int
    verdict: Verdict
    reason: str
    """By `VIS01_Result.ErrorCode`; SILENT when its slot held no valid result."""
    gate: Gate
    why: str
    """ACCEPTED, REVOKED, or the first contact of the rung that kept the gate shut."""
    result_seq: int
    """SeqEnd of the result that stands; 0 when there was none."""
    ack_ms: float | None
    """From the trigger to the scan that consumed the result; None when none was in time."""
    second_verdict: bool
    """Another, different verdict for the same part was seen after the first."""
    late_write: bool
    """A result for the part came after its deadline."""
    last_look_ns: int
    """The last scan that could still have accepted the part."""
    gate_ns: int


@dataclass(slots=True)
class Counters:
    """CTU counters of the program. Verdicts always sum to parts."""

    parts: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    gate: Counter[str] = field(default_factory=Counter)
    second_verdicts: int = 0
    late_writes: int = 0
    unsafe: int = 0
    unexplained: int = 0

    def count(self, part: PartClosed, *, unsafe: bool, unexplained: bool) -> None:
        """Count one closed part."""
        self.parts += 1
        self.verdicts[part.verdict] += 1
        self.gate[part.gate] += 1
        self.second_verdicts += part.second_verdict
        self.late_writes += part.late_write
        self.unsafe += unsafe
        self.unexplained += unexplained

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return asdict(self) | {
            "verdicts": {verdict.value: self.verdicts[verdict] for verdict in Verdict},
            "gate": {gate.value: self.gate[gate] for gate in Gate},
        }
