"""The PLC's part of the contract as ladder rungs: what a controls engineer imports and runs.

The rungs are Rockwell's neutral text (1756-RM084). They do, in this order, what docs/plc-tags.md
says: first scan and watchdog; for each of the eight parts its result, until its deadline timer was
done a scan before; the gate; a new part. The plant sets `VIS01_PartIn`, `VIS01_AtGate` and
`VIS01_GateId`, and wires `VIS01_TriggerOut` to the camera and `VIS01_AcceptOut` to the gate: a
de-energised output rejects.
"""

from dataclasses import dataclass
from typing import Final

from taktgate.plc.contract.tags import COMMAND_TAG, DECISIONS, RESULT_SLOTS, RESULT_TAG, STATUS_TAG

WATCHDOG_MS: Final = 400
HEARTBEAT_MS: Final = 100
ROUTINE: Final = "VIS01"
PART_TYPE: Final = "UDT_VIS_Part"

_RESULT: Final = RESULT_TAG.name
_STS: Final = STATUS_TAG.name
_CMD: Final = COMMAND_TAG.name
_LAST_SLOT: Final = RESULT_SLOTS - 1
_NEVER_MS: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One rung: its comment, and its logic as neutral text."""

    comment: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramMember:
    """One member of a type that only the PLC's program uses."""

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

PROGRAM_TAGS: Final = (
    ProgramTag(name="VIS01_PartIn", type="BOOL", meaning="plant: a part has come"),
    ProgramTag(name="VIS01_AtGate", type="BOOL", meaning="plant: part VIS01_GateId is at the gate"),
    ProgramTag(name="VIS01_GateId", type="DINT", meaning="plant: number of the part at the gate"),
    ProgramTag(name="VIS01_TriggerOut", type="BOOL", meaning="to the camera: one scan per part"),
    ProgramTag(name="VIS01_AcceptOut", type="BOOL", meaning="to the gate: energised lets it pass"),
    ProgramTag(name="VIS01_RejectOut", type="BOOL", meaning="complement of VIS01_AcceptOut"),
    ProgramTag(name="VIS01_CommOk", type="BOOL", meaning="the vision heartbeat changes"),
    ProgramTag(
        name="VIS01_Part", type=PART_TYPE, dimension=RESULT_SLOTS, meaning="the parts on the line"
    ),
    ProgramTag(name="VIS01_Copy", type=RESULT_TAG.udt.name, meaning="copy of one result slot"),
    ProgramTag(name="VIS01_IsWhole", type="BOOL", meaning="the copy is complete and for this part"),
    ProgramTag(name="VIS01_IsPass", type="BOOL", meaning="the copy says PASS, and nothing else"),
    ProgramTag(name="VIS01_HbLast", type="DINT", meaning="vision heartbeat of the scan before"),
    ProgramTag(name="VIS01_HbSeen", type="BOOL", meaning="it has changed since the first scan"),
    ProgramTag(
        name="VIS01_HbTmr", type="TIMER", preset_ms=WATCHDOG_MS, meaning="since its last change"
    ),
    ProgramTag(name="VIS01_PulseTmr", type="TIMER", preset_ms=_NEVER_MS, meaning="own heartbeat"),
    ProgramTag(name="VIS01_GateSlot", type="DINT", meaning="slot of the part at the gate"),
    ProgramTag(name="VIS01_NewId", type="DINT", meaning="number of the part that has come"),
    ProgramTag(name="VIS01_NewSlot", type="DINT", meaning="its slot"),
    ProgramTag(name="VIS01_PartOns", type="BOOL", meaning="storage of the one-shot of PartIn"),
)


def rungs() -> tuple[Rung, ...]:
    """Return the routine, top to bottom."""
    slots = range(RESULT_SLOTS)
    return (
        *_first_scan(),
        *_watchdog(),
        *(rung for slot in slots for rung in _part(slot)),
        *_gate(),
        _arrival(),
        *(
            _deadline_timer(slot, "a new part's timer starts in the scan of its trigger")
            for slot in slots
        ),
    )


def _first_scan() -> tuple[Rung, ...]:
    cleared = " ,".join(
        f"OTU({_RESULT}[{slot}].Valid) ,OTU(VIS01_Part[{slot}].Open)"
        for slot in range(RESULT_SLOTS)
    )
    return (
        Rung(
            comment="Logix tags are retentive: what was left from before says nothing about now.",
            text=f"XIC(S:FS)[{cleared} ,OTU(VIS01_HbSeen) ,RES(VIS01_HbTmr) "
            f",MOV({_STS}.Heartbeat,VIS01_HbLast) ];",
        ),
    )


def _watchdog() -> tuple[Rung, ...]:
    return (
        Rung(
            comment="Each change of the vision heartbeat restarts its watchdog.",
            text=f"NEQ({_STS}.Heartbeat,VIS01_HbLast)[OTL(VIS01_HbSeen) ,RES(VIS01_HbTmr) "
            f",MOV({_STS}.Heartbeat,VIS01_HbLast) ];",
        ),
        Rung(comment=f"Watchdog, {WATCHDOG_MS} ms.", text="TON(VIS01_HbTmr,?,?);"),
        Rung(
            comment="The vision side is alive.",
            text="XIC(VIS01_HbSeen)XIO(VIS01_HbTmr.DN)OTE(VIS01_CommOk);",
        ),
        Rung(comment="Tell it when it is not.", text=f"XIO(VIS01_CommOk)OTE({_CMD}.HbFault);"),
        Rung(comment="Own heartbeat: it stops in Program mode.", text="TON(VIS01_PulseTmr,?,?);"),
        Rung(
            comment=f"+1 each {HEARTBEAT_MS} ms; the rest of the time is kept.",
            text=f"GEQ(VIS01_PulseTmr.ACC,{HEARTBEAT_MS})"
            f"[SUB(VIS01_PulseTmr.ACC,{HEARTBEAT_MS},VIS01_PulseTmr.ACC) "
            f",ADD({_CMD}.PlcHeartbeat,1,{_CMD}.PlcHeartbeat) ];",
        ),
    )


def _part(slot: int) -> tuple[Rung, ...]:
    part = f"VIS01_Part[{slot}]"
    looks = f"XIC({part}.Open)XIO({part}.Closed)"
    lowest, highest = min(DECISIONS.values()), max(DECISIONS.values())
    return (
        _deadline_timer(slot, f"Part in slot {slot}: its deadline runs."),
        Rung(
            comment="Work on a copy: the vision side may write at any moment.",
            text=f"{looks}CPS({_RESULT}[{slot}],VIS01_Copy,1);",
        ),
        Rung(
            comment="The result is complete, and for this part.",
            text=f"{looks}XIC(VIS01_Copy.Valid)EQU(VIS01_Copy.SeqBegin,VIS01_Copy.SeqEnd)"
            f"EQU(VIS01_Copy.TriggerId,{part}.Id)LIM({lowest},VIS01_Copy.Decision,{highest})"
            "OTE(VIS01_IsWhole);",
        ),
        Rung(
            comment="It says PASS in every way that it has.",
            text="XIC(VIS01_IsWhole)EQU(VIS01_Copy.Decision,1)XIC(VIS01_Copy.Pass)"
            "XIO(VIS01_Copy.Reject)XIO(VIS01_Copy.Late)OTE(VIS01_IsPass);",
        ),
        Rung(
            comment="Accept: alive, ready, and in time.",
            text=f"XIC(VIS01_IsPass)XIC(VIS01_CommOk)XIC({_STS}.Ready)"
            f"XIO({part}.DeadlineTmr.DN)OTL({part}.Accept);",
        ),
        Rung(
            comment="Any other result rejects for good.",
            text=f"XIC(VIS01_IsWhole)XIO(VIS01_IsPass)OTL({part}.Rejected);",
        ),
        Rung(
            comment="Reject wins.",
            text=f"XIC({part}.Rejected)OTU({part}.Accept);",
        ),
        Rung(
            comment="Acknowledge each result once, so that no other part's number is hidden.",
            text=f"XIC(VIS01_IsWhole)XIO({part}.DeadlineTmr.DN)NEQ(VIS01_Copy.SeqEnd,{part}.AckedSeq)"
            f"[MOV(VIS01_Copy.SeqEnd,{part}.AckedSeq) ,MOV(VIS01_Copy.SeqEnd,{_CMD}.AckSeq) ];",
        ),
        Rung(
            comment="The scan in which the deadline is over is the last that looks.",
            text=f"XIC({part}.Open)XIC({part}.DeadlineTmr.DN)OTL({part}.Closed);",
        ),
    )


def _deadline_timer(slot: int, comment: str) -> Rung:
    part = f"VIS01_Part[{slot}]"
    return Rung(comment=comment, text=f"XIC({part}.Open)TON({part}.DeadlineTmr,?,?);")


def _gate() -> tuple[Rung, ...]:
    part = "VIS01_Part[VIS01_GateSlot]"
    return (
        Rung(
            comment="Slot of the part at the gate.",
            text=f"AND(VIS01_GateId,{_LAST_SLOT},VIS01_GateSlot);",
        ),
        Rung(
            comment="The gate opens for an accepted part while the vision side is alive.",
            text=f"XIC(VIS01_AtGate)XIC(VIS01_CommOk)XIC({part}.Open)EQU({part}.Id,VIS01_GateId)"
            f"XIC({part}.Accept)OTE(VIS01_AcceptOut);",
        ),
        Rung(
            comment="Reject is the rest state.",
            text="XIO(VIS01_AcceptOut)OTE(VIS01_RejectOut);",
        ),
    )


def _arrival() -> Rung:
    part = "VIS01_Part[VIS01_NewSlot]"
    steps = (
        f"ADD({_CMD}.TriggerId,1,VIS01_NewId)",
        f"AND(VIS01_NewId,{_LAST_SLOT},VIS01_NewSlot)",
        f"MOV(VIS01_NewId,{part}.Id)",
        f"OTL({part}.Open)",
        f"OTU({part}.Closed)",
        f"OTU({part}.Accept)",
        f"OTU({part}.Rejected)",
        f"MOV(0,{part}.AckedSeq)",
        f"RES({part}.DeadlineTmr)",
        f"MOV({_CMD}.DeadlineMs,{part}.DeadlineTmr.PRE)",
        f"OTU({_RESULT}[VIS01_NewSlot].Valid)",
        f"MOV(VIS01_NewId,{_CMD}.TriggerId)",
        "OTE(VIS01_TriggerOut)",
    )
    return Rung(
        comment="A new part, last in the scan: its slot is cleared before its number is told.",
        text=f"XIC(VIS01_PartIn)ONS(VIS01_PartOns)[{' ,'.join(steps)} ];",
    )
