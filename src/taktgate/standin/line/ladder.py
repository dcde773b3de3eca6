"""The rule that lets a part pass. Everything else on this line can only reject.

AcceptPart := CommOk AND Sts.Ready AND R.Valid AND (R.SeqBegin = R.SeqEnd)
              AND (R.TriggerId = PartId) AND (R.Decision = 1) AND R.Pass
              AND NOT R.Reject AND NOT R.Late AND NOT DeadlineTmr.DN
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.tags import DECISIONS
from taktgate.standin.line.tags_view import ResultSlot

_PASS: Final = DECISIONS[Verdict.PASS]


class Contact(StrEnum):
    """The contacts of the rung, in order. One that is open keeps the gate shut."""

    COMM_OK = "COMM_OK"
    """The vision heartbeat changes."""
    READY = "READY"
    """The vision side says that it is ready."""
    VALID = "VALID"
    """The slot holds a complete result."""
    SEQUENCE = "SEQUENCE"
    """SeqBegin equals SeqEnd: the write is not torn."""
    TRIGGER_ID = "TRIGGER_ID"
    """The result is for this part."""
    DECISION = "DECISION"
    """Decision is 1."""
    PASS_BIT = "PASS_BIT"  # noqa: S105 - a contact, not a password
    """Pass is set."""
    REJECT_BIT = "REJECT_BIT"
    """Reject is clear."""
    LATE_BIT = "LATE_BIT"
    """Late is clear."""
    DEADLINE = "DEADLINE"
    """The part's timer still runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """The state of the rung for one part in one scan."""

    open_contacts: tuple[Contact, ...]

    @property
    def accept(self) -> bool:
        """Return the output coil AcceptPart."""
        return not self.open_contacts


class Rule(Protocol):
    """A rung for AcceptPart: `accepts`, or a wrong one that the audit has to find out."""

    def __call__(
        self, slot: ResultSlot, *, part_id: int, comm_ok: bool, ready: bool, deadline_done: bool
    ) -> Rung:
        """Evaluate the rung for *part_id* on a copy of its result slot."""
        ...


def accepts(
    slot: ResultSlot, *, part_id: int, comm_ok: bool, ready: bool, deadline_done: bool
) -> Rung:
    """Evaluate the rung for *part_id* on a copy of its result slot."""
    contacts = (
        (Contact.COMM_OK, comm_ok),
        (Contact.READY, ready),
        (Contact.VALID, slot.valid),
        (Contact.SEQUENCE, slot.seq_begin == slot.seq_end),
        (Contact.TRIGGER_ID, slot.trigger_id == part_id),
        (Contact.DECISION, slot.decision == _PASS),
        (Contact.PASS_BIT, slot.passed),
        (Contact.REJECT_BIT, not slot.reject),
        (Contact.LATE_BIT, not slot.late),
        (Contact.DEADLINE, not deadline_done),
    )
    return Rung(open_contacts=tuple(contact for contact, closed in contacts if not closed))
