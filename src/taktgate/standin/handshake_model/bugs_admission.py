"""Seeded bugs: verdicts and beats that the writer should not have believed."""

from dataclasses import replace
from typing import Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.line import Beat
from taktgate.contracts.verdict import Verdict, VerdictEnvelope
from taktgate.plc.handshake import rules as handshake
from taktgate.plc.handshake import watch
from taktgate.plc.handshake.admission import (
    Cause,
    Place,
    foreign,
    is_copy,
    mismatch,
    objection,
)
from taktgate.plc.handshake.parts import Part
from taktgate.plc.handshake.watch import BeatWatch, PlcLife, PlcWatch
from taktgate.standin.handshake_model.bug import Bug, Patch
from taktgate.standin.handshake_model.leads import (
    BEAT_OF_THE_BOOT_BEFORE,
    PART_OF_THE_PLC_BEFORE,
    PASS_OF_THE_BOOT_BEFORE,
    PLC_RESTARTED_AND_SCANNED,
)

_accept_beat = BeatWatch.accept
_observe = PlcWatch.observe


def _any_boot(place: Place, epoch: int, envelope: VerdictEnvelope, now_ns: int) -> Cause | None:
    here = replace(place, kernel_boot_id=envelope.kernel_boot_id)
    return foreign(here, epoch, envelope, now_ns)


def _any_epoch(place: Place, epoch: int, envelope: VerdictEnvelope, now_ns: int) -> Cause | None:
    return foreign(place, envelope.plc_epoch, envelope, now_ns)


def _same_number(envelope: VerdictEnvelope, part: Part | None) -> Cause | None:
    return mismatch(envelope, part and replace(part, epoch=envelope.plc_epoch))


def _any_future(place: Place, epoch: int, envelope: VerdictEnvelope, now_ns: int) -> Cause | None:
    return foreign(place, epoch, envelope, max(now_ns, envelope.decided_ns))


def _any_contract(place: Place, epoch: int, envelope: VerdictEnvelope, now_ns: int) -> Cause | None:
    return foreign(place, epoch, replace(envelope, contract=CONTRACT_VERSION), now_ns)


def _any_number(envelope: VerdictEnvelope, part: Part | None) -> Cause | None:
    return mismatch(envelope, part and replace(part, trigger_id=envelope.trigger_id))


def _any_age(envelope: VerdictEnvelope, part: Part | None) -> Cause | None:
    cause = mismatch(envelope, part)
    return None if cause is Cause.BEFORE_TRIGGER else cause


def _no_proof(envelope: VerdictEnvelope, part: Part) -> object:
    return None if envelope.verdict is Verdict.PASS else objection(envelope, part)


def _any_word(envelope: VerdictEnvelope, part: Part) -> object:
    return None if envelope.verdict is Verdict.LATE else objection(envelope, part)


def _same_judge(envelope: VerdictEnvelope, used: VerdictEnvelope) -> bool:
    return envelope.judge_start_id == used.judge_start_id


def _same_verdict(envelope: VerdictEnvelope, used: VerdictEnvelope) -> bool:
    return is_copy(envelope, used) or envelope.verdict is used.verdict


def _beat_is_new(self: BeatWatch, beat: Beat, now_ns: int) -> Cause | None:
    return _accept_beat(self, replace(beat, sent_ns=now_ns), now_ns)


def _beat_of_any_boot(self: BeatWatch, beat: Beat) -> Cause | None:
    return None


def _life_at_first_sight(self: PlcWatch, value: int, now_ns: int) -> bool:
    was_interrupted = _observe(self, value, now_ns)
    if self.life is PlcLife.UNPROVEN:
        self.life = PlcLife.RUNNING
    return was_interrupted


def _believed(name: str, wrong: object) -> tuple[Patch, ...]:
    return (Patch(owner=handshake, name=name, wrong=wrong),)


BUGS: Final = (
    Bug(
        name="kernel boot not checked",
        forgot="that edgeHub's queue survives a reboot and the clock does not",
        scenario="reboot",
        property="BOUND",
        lead=PASS_OF_THE_BOOT_BEFORE,
        patches=_believed("foreign", _any_boot),
    ),
    Bug(
        name="epoch not checked",
        forgot="that a restarted PLC numbers its parts alike",
        scenario="plc-restart-fail",
        property="BOUND",
        lead=PART_OF_THE_PLC_BEFORE,
        patches=_believed("foreign", _any_epoch) + _believed("mismatch", _same_number),
    ),
    Bug(
        name="decided in the future",
        forgot="that a clock may be another one",
        scenario="judge-out-of-order",
        property="BOUND",
        patches=_believed("foreign", _any_future),
    ),
    Bug(
        name="contract not checked",
        forgot="that edgeAgent updates modules one by one",
        scenario="judge-out-of-order",
        property="BOUND",
        patches=_believed("foreign", _any_contract),
    ),
    Bug(
        name="TriggerId not compared by the writer",
        forgot="that two parts share a slot",
        scenario="same-slot",
        property="BOUND",
        patches=_believed("mismatch", _any_number),
    ),
    Bug(
        name="decided before the part came",
        forgot="to compare the decision with the trigger",
        scenario="judge-out-of-order",
        property="BOUND",
        patches=_believed("mismatch", _any_age),
    ),
    Bug(
        name="PASS without proof",
        forgot="to ask when the picture was taken",
        scenario="judge-out-of-order",
        property="BOUND",
        patches=_believed("objection", _no_proof),
    ),
    Bug(
        name="LATE from a judge",
        forgot="that only the writer may say LATE",
        scenario="judge-out-of-order",
        property="BOUND",
        patches=_believed("objection", _any_word),
    ),
    Bug(
        name="one judge, one verdict",
        forgot="that one start may judge a part twice: a copy is a copy to the last digit",
        scenario="differing-copies",
        property="CONFLICT_REJECTS",
        patches=_believed("is_copy", _same_judge),
    ),
    Bug(
        name="same word, no conflict",
        forgot="that one of two models that say PASS may have judged another part",
        scenario="differing-copies",
        property="CONFLICT_REJECTS",
        patches=_believed("is_copy", _same_verdict),
    ),
    Bug(
        name="stale beat keeps Ready",
        forgot="that a queue may hold a beat back: its age counts from when it was sent",
        scenario="silent-judge",
        property="READY_TRUE",
        patches=(Patch(owner=BeatWatch, name="accept", wrong=_beat_is_new),),
    ),
    Bug(
        name="beat of another boot",
        forgot="that edgeHub's queue holds beats as well",
        scenario="reboot-beat",
        property="READY_TRUE",
        lead=BEAT_OF_THE_BOOT_BEFORE,
        patches=(Patch(owner=BeatWatch, name="_foreign", wrong=_beat_of_any_boot),),
    ),
    Bug(
        name="PLC stall not noticed",
        forgot="that a controller in Program mode still answers",
        scenario="keyswitch",
        property="READY_TRUE",
        patches=(Patch(owner=watch, name="PLC_LIMIT_NS", wrong=10**12),),
    ),
    Bug(
        name="PLC taken for running",
        forgot="that one reading of a counter proves nothing",
        scenario="plc-restart",
        property="READY_TRUE",
        lead=PLC_RESTARTED_AND_SCANNED,
        patches=(Patch(owner=PlcWatch, name="observe", wrong=_life_at_first_sight),),
    ),
)
