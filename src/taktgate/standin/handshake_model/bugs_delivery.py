"""Seeded bugs: what became of a result on its way to the PLC."""

from dataclasses import replace
from typing import Any, Final

from taktgate.contracts.verdict import Reason
from taktgate.plc.contract.records import Command, ResultRecord
from taktgate.plc.handshake import delivery, parts
from taktgate.plc.handshake import rules as handshake
from taktgate.plc.handshake.delivery import Delivery
from taktgate.plc.handshake.parts import Decision, Part, PartState, confirm, no_decision, overrule
from taktgate.plc.handshake.rules import Handshake
from taktgate.standin.handshake_model.bug import Bug, Patch
from taktgate.standin.handshake_model.leads import (
    JUDGED_PASS,
    PASS_LOST_AND_THE_NUMBER_AGAIN,
    PASS_LOST_TOO_LATE,
    PASS_WRITTEN,
    PASS_WRITTEN_LONG_AFTER_THE_PART,
)

_last_look = Delivery._last_look
_confirmed = Delivery.confirmed
_proves_continuity = Handshake._proves_continuity
_repeat = parts.repeat
_send = parts.send


def _look_at_epoch_only(self: Delivery, part: Part, now_ns: int, epoch: int) -> Part:
    is_old = part.holds_pass and epoch not in (part.epoch, part.continued_in)
    return overrule(part, no_decision(Reason.RESTARTED)) if is_old else part


def _look_at_time_only(self: Delivery, part: Part, now_ns: int, epoch: int) -> Part:
    return _last_look(self, part, now_ns, part.epoch)


def _take_all(self: Delivery, part: Part, now_ns: int) -> None:
    self._ring.update(confirm(part, part.trigger_ns))


def _give_up_nothing(self: Delivery, now_ns: int) -> None:
    return


def _take_for_written(self: Delivery, now_ns: int) -> None:
    for part in self._ring.within(PartState.DUE):
        if part.record is not None:
            self._ring.update(confirm(part, now_ns))
    self._ring.lose_all(now_ns)


def _any_ack(self: Delivery, ack_seq: int, now_ns: int) -> None:
    for part in (*self._ring.within(PartState.LOST), *self._ring.within(PartState.WRITTEN)):
        if part.holds_pass and part.record is not None and part.sequence <= ack_seq:
            self._acknowledge(part, now_ns)


def _new_number(part: Part, epoch: int) -> Part:
    return replace(_repeat(part, epoch), record=None)


def _never_tired(part: Part, record: ResultRecord) -> Part:
    return replace(_send(part, record), retries=0)


def _same_record(part: Part, decision: Decision) -> Part:
    return replace(overrule(part, decision), record=part.record)


def _no_questions(self: Handshake, before: Command | None, now: Command, now_ns: int) -> bool:
    return before is not None and now.trigger_id >= before.trigger_id


def _no_hb_fault(self: Handshake, before: Command | None, now: Command, now_ns: int) -> bool:
    return _proves_continuity(self, before, replace(now, hb_fault=False), now_ns)


def _no_comparison(
    self: Delivery,
    records: tuple[ResultRecord, ...],
    now_ns: int,
    *,
    epoch: int,
    echoes: object,
) -> bool:
    return _confirmed(self, records, now_ns, epoch=epoch, echoes=None)


def _on(name: str, wrong: object, owner: Any = Delivery) -> Patch:
    return Patch(owner=owner, name=name, wrong=wrong)


BUGS: Final = (
    Bug(
        name="no last look at the clock",
        forgot="that time passes between a decision and its write",
        scenario="held-up",
        property="IN_TIME",
        patches=(_on("_last_look", _look_at_epoch_only),),
    ),
    Bug(
        name="late reply taken for good",
        forgot="that a reply after the deadline proves nothing",
        scenario="slow",
        property="WRITER_HONEST",
        lead=JUDGED_PASS,
        patches=(_on("_confirm", _take_all),),
    ),
    Bug(
        name="lost write taken for written",
        forgot="that a request without a reply may never have arrived",
        scenario="loss",
        property="WRITER_HONEST",
        patches=(_on("link_lost", _take_for_written),),
    ),
    Bug(
        name="PASS sent again",
        forgot="that a new session is a new epoch",
        scenario="loss",
        property="EPOCH",
        patches=(_on("link_lost", _give_up_nothing), _on("_last_look", _look_at_time_only)),
    ),
    Bug(
        name="any newer AckSeq",
        forgot="that AckSeq names one result, not all before it",
        scenario="lost-late",
        property="WRITER_HONEST",
        lead=PASS_LOST_TOO_LATE,
        patches=(_on("acknowledged", _any_ack),),
    ),
    Bug(
        name="written again without proof",
        forgot="that the PLC may have begun to count anew",
        scenario="rewrite-restart",
        property="NO_FOREIGN",
        lead=PASS_LOST_AND_THE_NUMBER_AGAIN,
        patches=(_on("_proves_continuity", _no_questions, Handshake),),
    ),
    Bug(
        name="HbFault not asked",
        forgot="that a retentive heartbeat may look as if it had gone on",
        scenario="rewrite-restart",
        property="NO_FOREIGN",
        lead=PASS_LOST_AND_THE_NUMBER_AGAIN,
        patches=(_on("_proves_continuity", _no_hb_fault, Handshake),),
    ),
    Bug(
        name="written again under a new number",
        forgot="that the first write may be executed after the second",
        scenario="rewrite",
        property="SAME_AGAIN",
        patches=(_on("repeat", _new_number, delivery),),
    ),
    Bug(
        name="written again and again",
        forgot="that a second doubt is a fault",
        scenario="read-back",
        property="SAME_AGAIN",
        patches=(_on("send", _never_tired, delivery),),
    ),
    Bug(
        name="PASS written again after its conflict",
        forgot="that a reject takes the place of the record too",
        scenario="differing-copies",
        property="CONFLICT_REJECTS",
        lead=PASS_WRITTEN,
        patches=(_on("overrule", _same_record, handshake),),
    ),
    Bug(
        name="late reject taken for good",
        forgot="that a reject may have come after the PLC's last look",
        scenario="wide-interval-early",
        property="RECORD_TRUE",
        lead=PASS_WRITTEN_LONG_AFTER_THE_PART,
        patches=(_on("is_certain", property(lambda self: True), Part),),
    ),
    Bug(
        name="read back, not compared",
        forgot="that a write may be confirmed and not done",
        scenario="read-back",
        property="WRITER_HONEST",
        patches=(_on("confirmed", _no_comparison),),
    ),
)
