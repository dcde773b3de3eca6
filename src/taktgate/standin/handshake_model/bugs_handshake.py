"""Seeded bugs: what the writer made of a part, and when."""

from dataclasses import replace
from typing import Any, Final

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, VerdictEnvelope
from taktgate.plc.contract.records import Command
from taktgate.plc.handshake import rules as handshake
from taktgate.plc.handshake.admission import Cause
from taktgate.plc.handshake.parts import Part, PartState
from taktgate.plc.handshake.rules import Handshake
from taktgate.standin.handshake_model.bug import Bug, Patch
from taktgate.standin.handshake_model.leads import (
    PART_OF_THE_PLC_BEFORE,
    PASS_WRITTEN,
    PASS_WRITTEN_AFTER_A_PAUSE,
)

_close_unseen = Handshake._close_unseen
_resume = Handshake._resume
_contradict = Handshake._contradict
_rival = Handshake._rival


def _one_epoch(self: Handshake) -> None:
    self._is_first_read = True


def _late_part(**facts: Any) -> Part:
    facts["deadline_ns"] += facts["observed_ns"] - facts["trigger_ns"]
    return Part(**facts)


def _never(self: Handshake, now_ns: int) -> None:
    return


def _ignore_rival(self: Handshake, part: Part, lane: Lane, now_ns: int) -> None:
    self.has_fault = True


def _only_before_write(self: Handshake, part: Part, lane: Lane, now_ns: int) -> None:
    if part.state is PartState.DUE:
        _contradict(self, part, lane, now_ns)


def _newest_wins(
    self: Handshake, part: Part, envelope: VerdictEnvelope, lane: Lane, now_ns: int
) -> Cause:
    cause = _rival(self, part, envelope, lane, now_ns)
    if cause is Cause.CONFLICT:
        newest = self._judgement(part, envelope, lane, now_ns)
        self._ring.update(replace(part, state=PartState.DUE, decision=newest, record=None))
    return cause


def _better_late(
    self: Handshake, part: Part, envelope: VerdictEnvelope, lane: Lane, now_ns: int
) -> Cause:
    if part.decision is not None and part.decision.envelope is None:
        newest = self._judgement(part, envelope, lane, now_ns)
        self._ring.update(replace(part, state=PartState.DUE, decision=newest, record=None))
    return _rival(self, part, envelope, lane, now_ns)


def _until_own_deadline(self: Part, now_ns: int) -> bool:
    return now_ns <= self.deadline_ns


def _open_skipped(
    self: Handshake, trigger_id: int, reason: Reason, trigger_ns: int, now_ns: int
) -> None:
    if reason is not Reason.SKIPPED:
        _close_unseen(self, trigger_id, reason, trigger_ns, now_ns)
        return
    deadline_ns = trigger_ns + 10**9
    part = Part(
        epoch=self.epoch,
        trigger_id=trigger_id,
        trigger_ns=trigger_ns,
        observed_ns=now_ns,
        deadline_ns=deadline_ns,
    )
    self._ring.add(part, now_ns)


def _open_found(
    self: Handshake, before: Command | None, command: Command, now_ns: int, *, is_continued: bool
) -> None:
    _resume(self, before, command, now_ns, is_continued=is_continued)
    part = Part(
        epoch=self.epoch,
        trigger_id=command.trigger_id,
        trigger_ns=now_ns,
        observed_ns=now_ns,
        deadline_ns=now_ns + 10**9,
    )
    if command.trigger_id:
        self._ring.update(part)


def _on(name: str, wrong: object, owner: Any = Handshake) -> Patch:
    return Patch(owner=owner, name=name, wrong=wrong)


BUGS: Final = (
    Bug(
        name="one epoch for ever",
        forgot="that the PLC may have been restarted while nobody looked",
        scenario="plc-restart-fail",
        property="BOUND",
        lead=PART_OF_THE_PLC_BEFORE,
        patches=(_on("_begin_epoch", _one_epoch),),
    ),
    Bug(
        name="deadline from the later end",
        forgot="that the part came at any time between two reads",
        scenario="held-up",
        property="IN_TIME",
        patches=(_on("Part", _late_part, handshake),),
    ),
    Bug(
        name="silence waited out",
        forgot="to answer for a judge that says nothing",
        scenario="no-verdict",
        property="ANSWERED",
        patches=(_on("tick", _never),),
    ),
    Bug(
        name="conflict only reported",
        forgot="that a contradicted PASS has to be taken back",
        scenario="differing-copies",
        property="CONFLICT_HEARD",
        patches=(_on("_contradict", _ignore_rival),),
    ),
    Bug(
        name="conflict only before the write",
        forgot="that a PASS in the slot can still be overwritten",
        scenario="differing-copies",
        property="CONFLICT_HEARD",
        patches=(_on("_contradict", _only_before_write),),
    ),
    Bug(
        name="newest verdict wins",
        forgot="that reject wins",
        scenario="differing-copies",
        property="CONFLICT_HEARD",
        patches=(_on("_rival", _newest_wins),),
    ),
    Bug(
        name="closed part let through",
        forgot="that a part that was answered for is closed",
        scenario="held-up",
        property="CONFLICT_REJECTS",
        patches=(_on("_rival", _better_late),),
    ),
    Bug(
        name="revoked until the earlier end",
        forgot="that the PLC's deadline may count from the later end",
        scenario="wide-interval",
        property="CONFLICT_HEARD",
        lead=PASS_WRITTEN_AFTER_A_PAUSE,
        patches=(_on("can_be_revoked", _until_own_deadline, Part),),
    ),
    Bug(
        name="rival of an ended epoch",
        forgot="that a PASS stands until the gate, also when a new epoch has begun",
        scenario="differing-copies-loss",
        property="CONFLICT_REJECTS",
        lead=PASS_WRITTEN,
        patches=(_on("holds_pass", property(lambda self: False), Part),),
    ),
    Bug(
        name="skipped parts opened",
        forgot="that nobody saw when they came",
        scenario="skipped",
        property="SEEN_ONLY",
        patches=(_on("_close_unseen", _open_skipped),),
    ),
    Bug(
        name="restarted writer opens old parts",
        forgot="that the first read of an epoch shows no edge",
        scenario="loss",
        property="SEEN_ONLY",
        patches=(_on("_resume", _open_found),),
    ),
)
