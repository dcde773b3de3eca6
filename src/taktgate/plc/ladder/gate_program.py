"""The PLC's part of the contract as ladder rungs: what a controls engineer imports and runs.

The rungs are Rockwell's neutral text (1756-RM084). They do, in this order, what docs/plc-tags.md
says: first scan and watchdog; for each of the eight parts its result, until its deadline timer was
done a scan before; the gate; a new part. The plant sets `VIS01_PartIn`, `VIS01_AtGate` and
`VIS01_GateId`, and wires `VIS01_TriggerOut` to the camera and `VIS01_AcceptOut` to the gate: a
de-energised output rejects.
"""

from dataclasses import dataclass
from typing import Final

from taktgate.plc.contract.tags import RESULT_SLOTS
from taktgate.plc.ladder.gate_operands import OPERANDS, Operands, ProgramTag

WATCHDOG_MS: Final = 400
HEARTBEAT_MS: Final = 100
LONGEST_DEADLINE_MS: Final = 10_000
ROUTINE: Final = "VIS01"

_UDT: Final = OPERANDS["udt"]
_LAST_SLOT: Final = RESULT_SLOTS - 1
_NEVER_MS: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One rung: its comment, and its logic as neutral text."""

    comment: str
    text: str


_PLANT_TAGS: Final = (
    ProgramTag(name="VIS01_PartIn", type="BOOL", meaning="plant: a part has come"),
    ProgramTag(name="VIS01_AtGate", type="BOOL", meaning="plant: part VIS01_GateId is at the gate"),
    ProgramTag(name="VIS01_GateId", type="DINT", meaning="plant: number of the part at the gate"),
    ProgramTag(name="VIS01_TriggerOut", type="BOOL", meaning="to the camera: one scan per part"),
    ProgramTag(name="VIS01_AcceptOut", type="BOOL", meaning="to the gate: energised lets it pass"),
    ProgramTag(name="VIS01_RejectOut", type="BOOL", meaning="complement of VIS01_AcceptOut"),
    ProgramTag(name="VIS01_CommOk", type="BOOL", meaning="the vision heartbeat changes"),
)
_INNER_TAGS: Final = (
    ProgramTag(name="VIS01_IsWhole", type="BOOL", meaning="the copy is complete and for this part"),
    ProgramTag(name="VIS01_IsPass", type="BOOL", meaning="the copy says PASS, and nothing else"),
    ProgramTag(name="VIS01_HbLast", type="DINT", meaning="vision heartbeat of the scan before"),
    ProgramTag(name="VIS01_HbSeen", type="BOOL", meaning="it has changed since the first scan"),
    ProgramTag(
        name="VIS01_HbTmr", type="TIMER", preset_ms=WATCHDOG_MS, meaning="since its last change"
    ),
    ProgramTag(name="VIS01_PulseTmr", type="TIMER", preset_ms=_NEVER_MS, meaning="own heartbeat"),
    ProgramTag(name="VIS01_GateSlot", type="DINT", meaning="slot of the part at the gate"),
    ProgramTag(name="VIS01_WasAtGate", type="BOOL", meaning="a part was there a scan before"),
    ProgramTag(name="VIS01_LastGateId", type="DINT", meaning="number of the last part at the gate"),
    ProgramTag(name="VIS01_LastGateSlot", type="DINT", meaning="its slot"),
    ProgramTag(name="VIS01_NewId", type="DINT", meaning="number of the part that has come"),
    ProgramTag(name="VIS01_NewSlot", type="DINT", meaning="its slot"),
    ProgramTag(name="VIS01_PartOns", type="BOOL", meaning="storage of the one-shot of PartIn"),
)


def program_tags(names: Operands = _UDT) -> tuple[ProgramTag, ...]:
    """Return the tags that the routine uses besides those of the contract."""
    return (*_PLANT_TAGS, *names.part_tags, *_INNER_TAGS)


def rungs(names: Operands = _UDT, *, watchdog_ms: int = WATCHDOG_MS) -> tuple[Rung, ...]:
    """Return the routine, top to bottom."""
    slots = range(RESULT_SLOTS)
    return (
        _first_scan(names),
        *_watchdog(names, watchdog_ms),
        *(rung for slot in slots for rung in _part(names, slot)),
        *_gate(names),
        _arrival(names),
        *(
            _deadline_timer(names, slot, "a new part's timer starts in the scan of its trigger")
            for slot in slots
        ),
    )


def _first_scan(names: Operands) -> Rung:
    cleared = " ,".join(
        f"OTU({names.result(slot, 'Valid')}) ,OTU({names.part(slot, 'Open')})"
        for slot in range(RESULT_SLOTS)
    )
    return Rung(
        comment="Logix tags are retentive: what was left from before a power cycle or Program mode "
        "says nothing about now. The routine must be scanned from the first scan on, in every "
        "scan: call it by JSR without a condition.",
        text=f"XIC(S:FS)[{cleared} ,OTU(VIS01_HbSeen) ,RES(VIS01_HbTmr) "
        f",MOV({names.status('Heartbeat')},VIS01_HbLast) ];",
    )


def _watchdog(names: Operands, watchdog_ms: int) -> tuple[Rung, ...]:
    heartbeat, pulse = names.status("Heartbeat"), names.command("PlcHeartbeat")
    return (
        Rung(
            comment="Each change of the vision heartbeat restarts its watchdog.",
            text=f"NEQ({heartbeat},VIS01_HbLast)[OTL(VIS01_HbSeen) ,RES(VIS01_HbTmr) "
            f",MOV({heartbeat},VIS01_HbLast) ];",
        ),
        Rung(
            comment=f"Watchdog, {watchdog_ms} ms: set here, so that no other preset can stay.",
            text=f"MOV({watchdog_ms},VIS01_HbTmr.PRE)TON(VIS01_HbTmr,?,?);",
        ),
        Rung(
            comment="The vision side is alive.",
            text="XIC(VIS01_HbSeen)XIO(VIS01_HbTmr.DN)OTE(VIS01_CommOk);",
        ),
        Rung(
            comment="Tell it when it is not.",
            text=f"XIO(VIS01_CommOk)OTE({names.command('HbFault')});",
        ),
        Rung(comment="Own heartbeat: it stops in Program mode.", text="TON(VIS01_PulseTmr,?,?);"),
        Rung(
            comment=f"+1 each {HEARTBEAT_MS} ms; the rest of the time is kept.",
            text=f"GEQ(VIS01_PulseTmr.ACC,{HEARTBEAT_MS})"
            f"[SUB(VIS01_PulseTmr.ACC,{HEARTBEAT_MS},VIS01_PulseTmr.ACC) "
            f",ADD({pulse},1,{pulse}) ];",
        ),
    )


def _part(names: Operands, slot: int) -> tuple[Rung, ...]:
    def part(member: str) -> str:
        return names.part(slot, member)

    seq_begin, seq_end = names.copied("SeqBegin"), names.copied("SeqEnd")
    decision = names.copied("Decision")
    looks = f"XIC({part('Open')})XIO({part('Closed')})"
    return (
        _deadline_timer(names, slot, f"Part in slot {slot}: its deadline runs."),
        Rung(
            comment="Work on a copy: the vision side may write at any moment.",
            text=f"{looks}{names.copy(slot)};",
        ),
        Rung(
            comment="The result is complete, and for this part.",
            text=f"{looks}XIC({names.copied('Valid')})EQU({seq_begin},{seq_end})"
            f"EQU({names.copied('TriggerId')},{part('Id')})OTE(VIS01_IsWhole);",
        ),
        Rung(
            comment="It says PASS in every way that it has.",
            text=f"XIC(VIS01_IsWhole)EQU({decision},1)XIC({names.copied('Pass')})"
            f"XIO({names.copied('Reject')})XIO({names.copied('Late')})OTE(VIS01_IsPass);",
        ),
        Rung(
            comment="Accept: alive, ready, and in time.",
            text=f"XIC(VIS01_IsPass)XIC(VIS01_CommOk)XIC({names.status('Ready')})"
            f"XIO({part('DeadlineTmr.DN')})OTL({part('Accept')});",
        ),
        Rung(
            comment="Any other result rejects for good, one of an unknown Decision too.",
            text=f"XIC(VIS01_IsWhole)XIO(VIS01_IsPass)OTL({part('Rejected')});",
        ),
        Rung(comment="Reject wins.", text=f"XIC({part('Rejected')})OTU({part('Accept')});"),
        Rung(
            comment="Acknowledge each result once, so that no other part's number is hidden.",
            text=f"XIC(VIS01_IsWhole)XIO({part('DeadlineTmr.DN')})NEQ({seq_end},{part('AckedSeq')})"
            f"[MOV({seq_end},{part('AckedSeq')}) ,MOV({seq_end},{names.command('AckSeq')}) ];",
        ),
        Rung(
            comment="The scan in which the deadline is over is the last that looks.",
            text=f"XIC({part('Open')})XIC({part('DeadlineTmr.DN')})OTL({part('Closed')});",
        ),
    )


def _deadline_timer(names: Operands, slot: int, comment: str) -> Rung:
    timer = names.part(slot, "DeadlineTmr")
    return Rung(comment=comment, text=f"XIC({names.part(slot, 'Open')})TON({timer},?,?);")


def _gate(names: Operands) -> tuple[Rung, ...]:
    def part(member: str) -> str:
        return names.part("VIS01_GateSlot", member)

    return (
        _gone(names),
        Rung(
            comment="Slot of the part at the gate.",
            text=f"AND(VIS01_GateId,{_LAST_SLOT},VIS01_GateSlot);",
        ),
        Rung(
            comment="The gate opens for an accepted part while the vision side is alive. Wire the "
            "output so that it is off in Program mode, on a fault and when the wire breaks.",
            text=f"XIC(VIS01_AtGate)XIC(VIS01_CommOk)XIC({part('Open')})"
            f"EQU({part('Id')},VIS01_GateId)XIC({part('Accept')})OTE(VIS01_AcceptOut);",
        ),
        Rung(
            comment="Reject is the rest state.",
            text="XIO(VIS01_AcceptOut)OTE(VIS01_RejectOut);",
        ),
        Rung(
            comment="Who is at the gate, for the next scan.",
            text="XIC(VIS01_AtGate)[MOV(VIS01_GateId,VIS01_LastGateId) "
            ",MOV(VIS01_GateSlot,VIS01_LastGateSlot) ,OTE(VIS01_WasAtGate) ];",
        ),
    )


def _gone(names: Operands) -> Rung:
    def part(member: str) -> str:
        return names.part("VIS01_LastGateSlot", member)

    return Rung(
        comment="A part that has left the gate is done: its PASS opens the gate once. Whatever "
        "comes with the same number again (tracking that stands still, an eye that flickers) is "
        "rejected.",
        text="XIC(VIS01_WasAtGate)[XIO(VIS01_AtGate) ,NEQ(VIS01_GateId,VIS01_LastGateId) ]"
        f"EQU({part('Id')},VIS01_LastGateId)OTU({part('Open')});",
    )


def _arrival(names: Operands) -> Rung:
    def part(member: str) -> str:
        return names.part("VIS01_NewSlot", member)

    trigger_id, deadline_ms = names.command("TriggerId"), names.command("DeadlineMs")
    preset = part("DeadlineTmr.PRE")
    steps = (
        f"ADD({trigger_id},1,VIS01_NewId)",
        f"AND(VIS01_NewId,{_LAST_SLOT},VIS01_NewSlot)",
        f"MOV(VIS01_NewId,{part('Id')})",
        f"OTL({part('Open')})",
        f"OTU({part('Closed')})",
        f"OTU({part('Accept')})",
        f"OTU({part('Rejected')})",
        f"MOV(0,{part('AckedSeq')})",
        f"RES({part('DeadlineTmr')})",
        f"MOV(0,{preset})",
        f"LIM(1,{deadline_ms},{LONGEST_DEADLINE_MS})MOV({deadline_ms},{preset})",
        f"OTU({names.result('VIS01_NewSlot', 'Valid')})",
        f"MOV(VIS01_NewId,{trigger_id})",
        "OTE(VIS01_TriggerOut)",
    )
    return Rung(
        comment="A new part, last in the scan: its slot is cleared before its number is told. "
        "A DeadlineMs out of range is one that is over at once; a negative preset would be a "
        "major fault (type 4, code 34).",
        text=f"XIC(VIS01_PartIn)ONS(VIS01_PartOns)[{' ,'.join(steps)} ];",
    )
