"""What the gate routine's operands are called: members of structures, or atomic tags.

The routine is the same in both profiles (`gate_program.py`); only the names differ, and how a
result slot is copied before it is looked at.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from taktgate.plc.contract.tags import (
    COMMAND_TAG,
    FLAT_TAGS,
    RESULT,
    RESULT_SLOTS,
    RESULT_TAG,
    STATUS_TAG,
    TAGS,
    CipType,
    Tag,
    flat_tag,
)

PART_TYPE: Final = "UDT_VIS_Part"
BOOLS_PER_ARRAY: Final = 32
"""Logix dimensions an array of BOOL in steps of 32."""
_PART: Final = "VIS01_Part"
_COPY: Final = "VIS01_Copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramMember:
    """One member of a part's state, which only the PLC's program uses."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramTag:
    """A tag that only the PLC's program uses. *preset_ms* is for timers."""

    name: str
    type: str
    meaning: str
    dimension: int = 0
    preset_ms: int = 0


PART_MEMBERS: Final = (
    ProgramMember(name="Id", type="DINT", meaning="part number"),
    ProgramMember(name="Open", type="BOOL", meaning="the part is between trigger and gate"),
    ProgramMember(name="Closed", type="BOOL", meaning="its deadline was over a scan before"),
    ProgramMember(name="Accept", type="BOOL", meaning="a PASS came in time"),
    ProgramMember(name="Rejected", type="BOOL", meaning="another result came: no PASS undoes it"),
    ProgramMember(name="AckedSeq", type="DINT", meaning="SeqEnd of the result consumed last"),
    ProgramMember(name="DeadlineTmr", type="TIMER", meaning="from the trigger, preset DeadlineMs"),
)


class Operands(Protocol):
    """The names of one profile. A *slot* is a number, or the tag that holds one."""

    @property
    def profile(self) -> str:
        """Return `udt` or `flat`."""
        ...

    @property
    def contract_tags(self) -> tuple[Tag, ...]:
        """Return the tags of the contract."""
        ...

    @property
    def part_tags(self) -> tuple[ProgramTag, ...]:
        """Return the tags that hold the parts on the line and the copy of one result."""
        ...

    def result(self, slot: int | str, member: str) -> str:
        """Return the operand for a member of a result; a BOOL is a bit."""
        ...

    def status(self, member: str) -> str:
        """Return the operand for a member of the status."""
        ...

    def command(self, member: str) -> str:
        """Return the operand for a member of the command."""
        ...

    def part(self, slot: int | str, member: str) -> str:
        """Return the operand for a member of a part, `DeadlineTmr.DN` included."""
        ...

    def copied(self, member: str) -> str:
        """Return the operand for a member of the copy of a result; a BOOL is a bit."""
        ...

    def copy(self, slot: int) -> str:
        """Return the instructions that copy a result, in an order that shows a torn one.

        The vision side writes the members in the order of the table, SeqBegin first and SeqEnd
        last. Who reads SeqEnd first and SeqBegin last, and finds them equal, has seen no mixture:
        a write that began meanwhile has changed SeqBegin, one that was not over had not changed
        SeqEnd.
        """
        ...


class UdtOperands:
    """Structures: `VIS01_Result[3].Valid`."""

    profile = "udt"
    contract_tags: tuple[Tag, ...] = TAGS
    part_tags: tuple[ProgramTag, ...] = (
        ProgramTag(
            name=_PART, type=PART_TYPE, dimension=RESULT_SLOTS, meaning="the parts on the line"
        ),
        ProgramTag(name=_COPY, type=RESULT.name, meaning="copy of one result slot"),
    )

    def result(self, slot: int | str, member: str) -> str:
        """Return a member of an element."""
        return f"{RESULT_TAG.name}[{slot}].{member}"

    def status(self, member: str) -> str:
        """Return a member."""
        return f"{STATUS_TAG.name}.{member}"

    def command(self, member: str) -> str:
        """Return a member."""
        return f"{COMMAND_TAG.name}.{member}"

    def part(self, slot: int | str, member: str) -> str:
        """Return a member of an element."""
        return f"{_PART}[{slot}].{member}"

    def copied(self, member: str) -> str:
        """Return a member."""
        return f"{_COPY}.{member}"

    def copy(self, slot: int) -> str:
        """Return one copy that nothing interrupts."""
        return f"CPS({RESULT_TAG.name}[{slot}],{_COPY},1)"


class FlatOperands:
    """Atomic tags: `VIS01_Result_Valid[3].0`."""

    profile = "flat"
    contract_tags: tuple[Tag, ...] = FLAT_TAGS

    @property
    def part_tags(self) -> tuple[ProgramTag, ...]:
        """Return an array for each member of a part, and a tag for each of the copy."""
        parts = (
            ProgramTag(
                name=f"{_PART}_{member.name}",
                type=member.type,
                dimension=BOOLS_PER_ARRAY if member.type == "BOOL" else RESULT_SLOTS,
                meaning=f"by slot: {member.meaning}",
            )
            for member in PART_MEMBERS
        )
        copies = (
            ProgramTag(
                name=f"{_COPY}_{member.name}",
                type=flat_tag(RESULT_TAG, member).atomic,
                meaning=f"copy: {member.meaning}",
            )
            for member in RESULT.members
        )
        return (*parts, *copies)

    def result(self, slot: int | str, member: str) -> str:
        """Return an element, or bit 0 of it."""
        return f"{RESULT_TAG.name}_{member}[{slot}]{_bit(member)}"

    def status(self, member: str) -> str:
        """Return a tag."""
        return f"{STATUS_TAG.name}_{member}"

    def command(self, member: str) -> str:
        """Return a tag."""
        return f"{COMMAND_TAG.name}_{member}"

    def part(self, slot: int | str, member: str) -> str:
        """Return an element, or a member of the timer that it is."""
        name, dot, rest = member.partition(".")
        return f"{_PART}_{name}[{slot}]{dot}{rest}"

    def copied(self, member: str) -> str:
        """Return a tag, or bit 0 of it."""
        return f"{_COPY}_{member}{_bit(member)}"

    def copy(self, slot: int) -> str:
        """Return one MOV per member, against the order in which they are written."""
        moves = (
            f"MOV({RESULT_TAG.name}_{member.name}[{slot}],{_COPY}_{member.name})"
            for member in reversed(RESULT.members)
        )
        return f"[{' ,'.join(moves)} ]"


_BITS: Final = {member.name for member in RESULT.members if member.type is CipType.BOOL}


def _bit(member: str) -> str:
    return ".0" if member in _BITS else ""


OPERANDS: Final[dict[str, Operands]] = {"udt": UdtOperands(), "flat": FlatOperands()}
"""By the name of the profile."""
