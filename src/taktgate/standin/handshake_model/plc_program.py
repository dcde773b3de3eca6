"""The PLC's program of docs/plc-tags.md, as pure functions of a frozen state.

One function for each thing that the page asks for, so that a seeded bug can take one away. A test
holds them against the stand-in's own program with the same moves. What the functions note beside
the program (`saw_reject`, `was_over`, `got`) is for the properties: no rule looks at it.
"""

from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.tags import DECISIONS, RESULT_SLOTS, slot_of
from taktgate.standin.handshake_model.facts import (
    BITS_PIECE,
    NEVER,
    NOBODY,
    PIECES,
    WATCHDOG_STEPS,
    PartOnLine,
    Plc,
    Result,
    Slot,
    Status,
)
from taktgate.standin.line.ladder import accepts
from taktgate.standin.line.tags_view import ResultSlot

PASS: Final = DECISIONS[Verdict.PASS]
LATE: Final = DECISIONS[Verdict.LATE]
NO_DECISION: Final = DECISIONS[Verdict.NO_DECISION]
_LONG_AGO: Final = WATCHDOG_STEPS + 2


class Presets(NamedTuple):
    """The line's timers, in steps."""

    deadline: int = 3
    gate: int = 4


class Gated(NamedTuple):
    """A part has reached the gate."""

    part: PartOnLine
    is_accepted: bool
    silent: int


class Scanned(NamedTuple):
    """The program ran; `is_first` for the first time since its start."""

    is_first: bool
    comm_ok: bool


class Arrived(NamedTuple):
    """A part has come, and its slot was made ready."""

    part: PartOnLine


Event = Gated | Scanned | Arrived


def scan(plc: Plc, presets: Presets, *, jump: int = 0) -> tuple[Plc, list[Event]]:
    """Run the program once, top to bottom; with *jump* a part comes, numbered so much higher."""
    is_first = plc.is_first_scan
    plc = watch_heartbeat(clear_first(plc) if is_first else plc)
    comm_ok = is_comm_ok(plc)
    events: list[Event] = [Scanned(is_first=is_first, comm_ok=comm_ok)]
    if not is_first:
        plc = _watch_parts(plc, presets, comm_ok=comm_ok)
    plc, closed = _gate(plc, presets, comm_ok=comm_ok)
    events += closed
    if jump:
        plc = start_part(plc, jump)
        events.append(Arrived(part=plc.parts[-1]))
    return tell_fault(plc._replace(is_touched=False, is_first_scan=False), comm_ok=comm_ok), events


def tell_fault(plc: Plc, *, comm_ok: bool) -> Plc:
    """Tell by HbFault that the vision heartbeat is missed, or was not seen since the first scan."""
    return plc._replace(hb_fault=not comm_ok)


def clear_first(plc: Plc) -> Plc:
    """On the first scan: tags are retentive, nothing of before may count."""
    slots = tuple(slot._replace(is_valid=False) for slot in plc.slots)
    return plc._replace(slots=slots, watchdog_age=NEVER, seen_heartbeat=NEVER)


def watch_heartbeat(plc: Plc) -> Plc:
    """Restart the watchdog with each change that is seen."""
    known, value = plc.seen_heartbeat, plc.status.heartbeat
    if known == value:
        return plc
    age = plc.watchdog_age if known == NEVER else 0
    return plc._replace(seen_heartbeat=value, watchdog_age=age)


def is_comm_ok(plc: Plc) -> bool:
    """Return CommOk: HbSeen AND NOT HbTmr.DN."""
    return NEVER < plc.watchdog_age < WATCHDOG_STEPS


def start_part(plc: Plc, jump: int) -> Plc:
    """Number a new part, and clear its slot before the number is published."""
    trigger_id, serial = plc.trigger_id + jump, plc.came + 1
    part = PartOnLine(serial=serial, trigger_id=trigger_id)
    return plc._replace(
        slots=clear_at_arrival(plc.slots, slot_of(trigger_id)),
        trigger_id=trigger_id,
        newest_serial=serial,
        came=serial,
        parts=(*plc.parts, part),
        idle=0,
    )


def clear_at_arrival(slots: tuple[Slot, ...], index: int) -> tuple[Slot, ...]:
    """Clear Valid of the slot that a new part is going to look at."""
    return _with(slots, index, slots[index]._replace(is_valid=False))


def watch_part(part: PartOnLine, plc: Plc, presets: Presets, *, comm_ok: bool) -> PartOnLine:
    """Look at the slot of *part* once."""
    slot = plc.slots[slot_index(part.trigger_id)]
    was_done, is_done = part.is_done, part.timer >= presets.deadline
    part = _note(part, slot, presets)._replace(is_done=is_done)
    view = members(slot)
    if was_done:
        return part
    is_whole, is_pass = is_result_for(view, part.trigger_id), is_pass_result(view)
    if is_whole and not is_pass:
        part = reject(part, is_last_look=is_done)
    rung = accepts(
        view,
        part_id=part.trigger_id,
        comm_ok=comm_ok,
        ready=plc.status.is_ready,
        deadline_done=is_done,
    )
    if rung.accept:
        part = accept(part, slot)
    return part


def accept(part: PartOnLine, slot: Slot) -> PartOnLine:
    """Latch Accept, unless a reject came before."""
    if part.is_rejected or part.is_accepted:
        return part
    return part._replace(is_accepted=True, by=slot.whole)


def reject(part: PartOnLine, *, is_last_look: bool) -> PartOnLine:
    """Latch Rejected for good, also in the last scan that looks (what a wrong program may not)."""
    return part._replace(is_rejected=True, is_accepted=False)


def consume(part: PartOnLine, plc: Plc) -> tuple[PartOnLine, int]:
    """Acknowledge each result once, while the timer runs; return its SeqEnd, 0 for none."""
    view = members(plc.slots[slot_index(part.trigger_id)])
    if part.is_done or not is_result_for(view, part.trigger_id) or part.acked == view.seq_end:
        return part, 0
    return part._replace(acked=view.seq_end), view.seq_end


def opens_gate(part: PartOnLine, plc: Plc, *, comm_ok: bool) -> bool:
    """Return NOT RejectOut at the gate."""
    return part.is_accepted and comm_ok


def slot_index(trigger_id: int) -> int:
    """Return the slot that the program looks at."""
    return slot_of(trigger_id)


def is_result_for(view: ResultSlot, part_id: int) -> bool:
    """Return IsWhole."""
    return view.valid and view.seq_begin == view.seq_end and view.trigger_id == part_id


def is_pass_result(view: ResultSlot) -> bool:
    """Return IsPass."""
    return view.decision == PASS and view.passed and not view.reject and not view.late


@lru_cache(maxsize=100_000)
def members(slot: Slot) -> ResultSlot:
    """Return the members that stand in *slot*."""
    begin, part, decision, bits, error, end = slot.pieces
    is_written = bits.sequence != 0
    return ResultSlot(
        seq_begin=begin.sequence,
        trigger_id=part.trigger_id,
        decision=decision.decision,
        valid=slot.is_valid,
        passed=bits.decision == PASS,
        reject=is_written and bits.decision != PASS,
        late=bits.decision == LATE,
        error_code=error.error_code,
        seq_end=end.sequence,
    )


def put(plc: Plc, result: Result, presets: Presets, pieces: range = range(PIECES)) -> Plc:
    """Write some *pieces* of *result* into its slot."""
    index = slot_of(result.trigger_id)
    old = plc.slots[index]
    mixed = tuple(result if i in pieces else piece for i, piece in enumerate(old.pieces))
    slot = Slot(pieces=mixed, is_valid=old.is_valid or BITS_PIECE in pieces)
    plc = plc._replace(slots=_with(plc.slots, index, slot), is_touched=True)
    if slot.whole is None or result.decision != PASS:
        return plc
    news = {
        (part.serial, result.sequence)
        for part in plc.parts
        if part.trigger_id == result.trigger_id and part.age < presets.deadline
    }
    return plc._replace(got=tuple(sorted({*plc.got, *news}))) if news else plc


def put_status(plc: Plc, status: Status) -> Plc:
    """Write the status tag."""
    silent = plc.silent if status.heartbeat == plc.status.heartbeat else 0
    is_touched = plc.is_touched or status.is_ready != plc.status.is_ready
    return plc._replace(status=status, silent=silent, is_touched=is_touched)


def elapse(plc: Plc, presets: Presets) -> tuple[Plc, list[Event]]:
    """Let one step of time pass, and with it the program run once."""
    parts = tuple(part._replace(age=part.age + 1, timer=part.timer + 1) for part in plc.parts)
    watchdog = plc.watchdog_age
    plc = plc._replace(
        parts=parts,
        watchdog_age=watchdog if watchdog == NEVER else min(watchdog + 1, WATCHDOG_STEPS),
        silent=min(plc.silent + 1, _LONG_AGO),
        idle=0 if parts else plc.idle + 1,
    )
    if plc.is_running:
        return scan(plc._replace(heartbeat=plc.heartbeat + 1, stood=0), presets)
    passing = [part for part in parts if part.age >= presets.gate]
    events: list[Event] = [Gated(part=part, is_accepted=False, silent=0) for part in passing]
    left = tuple(part for part in parts if part.age < presets.gate)
    return plc._replace(parts=left, stood=min(plc.stood + 1, 9)), events


def stop_program(plc: Plc) -> Plc:
    """Turn the keyswitch to Program: outputs off, the memory stays and can be written."""
    return plc._replace(is_running=False)


def run_program(plc: Plc) -> Plc:
    """Turn it back to Run: the next scan is a first scan; parts and numbers go on."""
    return plc._replace(is_running=True, is_first_scan=True, silent=_LONG_AGO)


class Numbers(StrEnum):
    """Where a PLC that restarts begins to count."""

    AGAIN = "numbers as before"
    """The ids begin where they began, and PlcHeartbeat stands where it stood: the hardest case."""
    ON = "numbers go on"
    """Both go on from where they stood: tags are retentive, and the program leaves them alone."""
    ELSEWHERE = "numbers from elsewhere"
    """Both begin elsewhere, as after a download."""


def restart(plc: Plc, numbers: Numbers) -> Plc:
    """Power-cycle, in no time: the line is empty, tags are retentive."""
    trigger_ids = {
        Numbers.AGAIN: 0,
        Numbers.ON: plc.trigger_id,
        Numbers.ELSEWHERE: plc.trigger_id + 100 * RESULT_SLOTS,
    }
    return plc._replace(
        is_running=True,
        is_first_scan=True,
        heartbeat=0 if numbers is Numbers.ELSEWHERE else plc.heartbeat,
        trigger_id=trigger_ids[numbers],
        newest_serial=NOBODY,
        parts=(),
        silent=_LONG_AGO,
        stood=0,
        is_touched=True,
    )


def _watch_parts(plc: Plc, presets: Presets, *, comm_ok: bool) -> Plc:
    parts = [watch_part(part, plc, presets, comm_ok=comm_ok) for part in plc.parts]
    ack_seq = plc.ack_seq
    # Slot by slot, as the unrolled rungs look: of several results the one of the last slot stays.
    for place in sorted(range(len(parts)), key=lambda place: slot_of(parts[place].trigger_id)):
        parts[place], consumed = consume(parts[place], plc)
        ack_seq = consumed or ack_seq
    return plc._replace(parts=tuple(parts), ack_seq=ack_seq)


def _gate(plc: Plc, presets: Presets, *, comm_ok: bool) -> tuple[Plc, list[Event]]:
    passing = [part for part in plc.parts if part.age >= presets.gate]
    if not passing:
        return plc, []
    events: list[Event] = [
        Gated(part=part, is_accepted=opens_gate(part, plc, comm_ok=comm_ok), silent=plc.silent)
        for part in passing
    ]
    left = tuple(part for part in plc.parts if part.age < presets.gate)
    return plc._replace(parts=left), events


def _note(part: PartOnLine, slot: Slot, presets: Presets) -> PartOnLine:
    """Note beside the program what this scan may see of a reject in time."""
    whole = slot.whole
    is_reject = (
        not part.was_over
        and slot.is_valid
        and whole is not None
        and whole.trigger_id == part.trigger_id
        and whole.decision != PASS
    )
    return part._replace(
        saw_reject=part.saw_reject or is_reject, was_over=part.age >= presets.deadline
    )


def _with(slots: tuple[Slot, ...], index: int, slot: Slot) -> tuple[Slot, ...]:
    return (*slots[:index], slot, *slots[index + 1 :])
