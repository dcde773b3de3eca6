"""Seeded bugs: what a PLC program may leave out of docs/plc-tags.md."""

from dataclasses import replace
from typing import Any, Final

from taktgate.standin.handshake_model import plc_program as plc
from taktgate.standin.handshake_model.bug import Bug, Patch
from taktgate.standin.handshake_model.facts import NEVER, PartOnLine, Plc, Slot
from taktgate.standin.handshake_model.leads import (
    JUDGED_PASS,
    OLD_PASS_IN_NEW_SLOT,
    PASS_A_GHOST,
    PASS_LOST_AND_THE_NUMBER_AGAIN,
    PASS_OF_THE_PLC_BEFORE,
    PASS_ON_ITS_WAY,
    PASS_ON_ITS_WAY_WITH_A_BEAT,
    PASS_WRITTEN,
)
from taktgate.standin.line.ladder import Rung, accepts
from taktgate.standin.line.tags_view import ResultSlot

_watch_part = plc.watch_part
_reject = plc.reject
_consume = plc.consume
_clear_first = plc.clear_first
_LATER = 1000


def _rung_without(**right: object) -> Any:
    """Return the rung with some members of the slot as they should be; None: the part's own id."""

    def rung(slot: ResultSlot, *, part_id: int, **contacts: bool) -> Rung:
        return accepts(_as_wanted(slot, part_id, right), part_id=part_id, **contacts)

    return rung


def _whole_without(**right: object) -> Any:
    is_result_for = plc.is_result_for

    def whole(view: ResultSlot, part_id: int) -> bool:
        return is_result_for(_as_wanted(view, part_id, right), part_id)

    return whole


def _as_wanted(slot: ResultSlot, part_id: int, right: dict[str, object]) -> ResultSlot:
    wanted = {name: part_id if value is None else value for name, value in right.items()}
    if "seq_end" in wanted:
        wanted["seq_end"] = slot.seq_begin
    return replace(slot, **wanted)  # type: ignore[arg-type]


def _unchecked(**right: object) -> tuple[Patch, ...]:
    return (
        Patch(owner=plc, name="accepts", wrong=_rung_without(**right)),
        Patch(owner=plc, name="is_result_for", wrong=_whole_without(**right)),
    )


def _keep_valid(plc_state: Plc) -> Plc:
    return _clear_first(plc_state)._replace(slots=plc_state.slots)


def _keep_slot(slots: tuple[Slot, ...], index: int) -> tuple[Slot, ...]:
    return slots


def _no_timer(part: PartOnLine, state: Plc, presets: plc.Presets, **contacts: bool) -> PartOnLine:
    return _watch_part(part, state, presets._replace(deadline=_LATER), **contacts)


def _restart_timers(state: Plc) -> Plc:
    parts = tuple(part._replace(timer=0, is_done=False) for part in state.parts)
    return _clear_first(state._replace(parts=parts))


def _accepted_is_accepted(part: PartOnLine, state: Plc, *, comm_ok: bool) -> bool:
    return part.is_accepted


def _seen_at_once(state: Plc) -> Plc:
    return _clear_first(state)._replace(watchdog_age=0)


def _seen_once(state: Plc) -> bool:
    return state.watchdog_age != NEVER


def _reject_once(part: PartOnLine, *, is_last_look: bool) -> PartOnLine:
    return _reject(part, is_last_look=is_last_look)._replace(is_rejected=False)


def _first_word_counts(part: PartOnLine, *, is_last_look: bool) -> PartOnLine:
    return part if part.is_accepted else _reject(part, is_last_look=is_last_look)


def _not_the_last_look(part: PartOnLine, *, is_last_look: bool) -> PartOnLine:
    return part if is_last_look else _reject(part, is_last_look=is_last_look)


def _acknowledge_late(part: PartOnLine, state: Plc) -> tuple[PartOnLine, int]:
    seen, consumed = _consume(part._replace(is_done=False), state)
    return seen._replace(is_done=part.is_done), consumed


def _no_fault(state: Plc, *, comm_ok: bool) -> Plc:
    return state


def _four_slots(trigger_id: int) -> int:
    return trigger_id & 3


def _any_result(slot: ResultSlot, *, part_id: int, **contacts: bool) -> Rung:
    good = replace(slot, decision=plc.PASS, passed=True, reject=False, late=False)
    return accepts(good, part_id=part_id, **contacts)


def _any_is_pass(view: ResultSlot) -> bool:
    return True


def _instead_of(name: str, wrong: object) -> Patch:
    return Patch(owner=plc, name=name, wrong=wrong)


BUGS: Final = (
    Bug(
        name="PLC: TriggerId not compared",
        forgot="that another part's result may lie in the slot",
        scenario="same-slot",
        property="NO_FOREIGN",
        lead=PASS_ON_ITS_WAY,
        patches=_unchecked(trigger_id=None),
    ),
    Bug(
        name="PLC: SeqBegin and SeqEnd not compared",
        forgot="that the copy of a UDT is not atomic",
        scenario="torn-copy",
        property="NO_FOREIGN",
        lead=OLD_PASS_IN_NEW_SLOT,
        patches=_unchecked(seq_end=0),
    ),
    Bug(
        name="PLC: Valid not looked at",
        forgot="that tags are retentive",
        scenario="plc-restart",
        property="NO_FOREIGN",
        lead=PASS_OF_THE_PLC_BEFORE,
        patches=_unchecked(valid=True),
    ),
    Bug(
        name="PLC: Valid kept on the first scan",
        forgot="that an old PASS survives a power cycle",
        scenario="plc-restart",
        property="CLEAN_START",
        patches=(_instead_of("clear_first", _keep_valid),),
    ),
    Bug(
        name="PLC: Valid kept at arrival",
        forgot="that a slot is used again",
        scenario="same-slot",
        property="CLEAN_ARRIVAL",
        patches=(_instead_of("clear_at_arrival", _keep_slot),),
    ),
    Bug(
        name="PLC: no deadline timer",
        forgot="that a PASS may come too late; so does who looks only at the gate",
        scenario="slow",
        property="NO_STALE",
        lead=JUDGED_PASS,
        patches=(_instead_of("watch_part", _no_timer),),
    ),
    Bug(
        name="PLC: prescan restarts the timers",
        forgot="that a TON starts again when the program does, with parts on the line",
        scenario="keyswitch-late",
        property="NO_STALE",
        lead=PASS_ON_ITS_WAY_WITH_A_BEAT,
        patches=(_instead_of("clear_first", _restart_timers),),
    ),
    Bug(
        name="PLC: no CommOk at the gate",
        forgot="that the vision side may have died since it said PASS",
        scenario="silent-writer",
        property="SILENCE_REJECTS",
        lead=PASS_WRITTEN,
        patches=(_instead_of("opens_gate", _accepted_is_accepted),),
    ),
    Bug(
        name="PLC: HbSeen left out",
        forgot="that a start proves nothing about the other side",
        scenario="plc-restart",
        property="SILENCE_FAULTS",
        patches=(_instead_of("clear_first", _seen_at_once),),
    ),
    Bug(
        name="PLC: watchdog never done",
        forgot="the preset of HbTmr",
        scenario="silent-writer",
        property="SILENCE_FAULTS",
        patches=(_instead_of("is_comm_ok", _seen_once),),
    ),
    Bug(
        name="PLC: reject not latched",
        forgot="that a PASS on its way may come after the reject",
        scenario="rewrite-conflict",
        property="REJECT_WINS",
        lead=PASS_A_GHOST,
        patches=(_instead_of("reject", _reject_once),),
    ),
    Bug(
        name="PLC: first word counts",
        forgot="that a PASS may be taken back",
        scenario="differing-copies",
        property="REJECT_WINS",
        lead=PASS_WRITTEN,
        patches=(_instead_of("reject", _first_word_counts),),
    ),
    Bug(
        name="PLC: no last look",
        forgot="that a reject in time is seen by the scan that finds the timer done",
        scenario="differing-copies",
        property="REJECT_WINS",
        lead=PASS_WRITTEN,
        patches=(_instead_of("reject", _not_the_last_look),),
    ),
    Bug(
        name="PLC: late results acknowledged",
        forgot="that AckSeq tells the writer which PASS counted",
        scenario="loss",
        property="WRITER_HONEST",
        lead=PASS_ON_ITS_WAY,
        patches=(_instead_of("consume", _acknowledge_late),),
    ),
    Bug(
        name="PLC: HbFault not told",
        forgot="that a writer which comes back has to learn of a first scan",
        scenario="rewrite-restart",
        property="NO_FOREIGN",
        lead=PASS_LOST_AND_THE_NUMBER_AGAIN,
        patches=(_instead_of("tell_fault", _no_fault),),
    ),
    Bug(
        name="PLC: four slots",
        forgot="that the ring has eight",
        scenario="fifth-slot",
        property="ANSWERED",
        patches=(_instead_of("slot_index", _four_slots),),
    ),
    Bug(
        name="PLC: any result is a PASS",
        forgot="to look at the decision",
        scenario="calm",
        property="NO_FOREIGN",
        patches=(
            _instead_of("accepts", _any_result),
            _instead_of("is_pass_result", _any_is_pass),
        ),
    ),
)
