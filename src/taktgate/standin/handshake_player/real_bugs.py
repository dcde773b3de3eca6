"""Seeded bugs of the real things that the model does not run: each is found by playing its traces.

The bugs of the writer's rules are the model's own (`handshake_model.bugs`): played with a healthy
score they have to leave its way as well.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from taktgate.plc.contract import encoding, udt_profile
from taktgate.plc.contract.records import Command, ResultRecord
from taktgate.plc.contract.tags import StatusError
from taktgate.plc.errors import LinkError
from taktgate.plc.handshake.admission import Cause
from taktgate.plc.handshake.rules import Handshake
from taktgate.plc.ladder.gate_program import rungs
from taktgate.plc.writer import session as session_module
from taktgate.plc.writer.intake import Intake
from taktgate.plc.writer.ownership import Ownership
from taktgate.plc.writer.session import Session
from taktgate.plc.writer.status import StatusBoard
from taktgate.standin.handshake_model.bug import Bug, Patch, seeded
from taktgate.standin.handshake_model.bugs import BUGS
from taktgate.standin.handshake_model.scenarios import SCENARIOS
from taktgate.standin.handshake_player.ladder_twin import RUNGS
from taktgate.standin.handshake_player.play import Played, play
from taktgate.standin.handshake_player.stage import controller_of
from taktgate.standin.handshake_player.traces import Score, covering, of_bug
from taktgate.standin.line import part as part_module
from taktgate.standin.line.ladder import Rule, Rung, accepts
from taktgate.standin.line.part import OpenPart
from taktgate.standin.line.tags_view import LineTags, ResultSlot
from taktgate.standin.line.watchdog import Watchdog

STATES: Final = 400
"""How far a scenario is explored for traces that a bug may show in."""

_encode_result = encoding.encode_result
_handshake_read = Handshake.read
_lose = Session._lose
_complete_result = part_module._complete_result


@dataclass(frozen=True, slots=True, kw_only=True)
class RealBug:
    """A mistake in what the model does not run.

    Attributes:
        forgot: What the programmer forgot.
        scenario: Where it shows.
        rule: The rung that the program evaluates instead of the right one.
        texts: The ladder that is imported instead of the right one.
    """

    name: str
    forgot: str
    scenario: str
    patches: tuple[Patch, ...] = ()
    rule: Rule = accepts
    texts: tuple[str, ...] = RUNGS


async def find_real(bug: RealBug) -> Played | None:
    """Play the traces of the scenario of *bug*, with it in; return where it shows first."""
    scores = _scores(bug.scenario)
    return await _first_difference(scores, bug.patches, bug.rule, bug.texts)


async def find_rule(bug: Bug) -> Played | None:
    """Play the way on which the model found *bug*, and its scenario, with it in the real rules."""
    scores = chain(_ways([bug]), _scores(bug.scenario))
    return await _first_difference(scores, bug.patches, accepts, RUNGS)


def _scores(scenario: str) -> Iterator[Score]:
    """Yield the traces of *scenario*, those on which the model found its bugs first.

    Each is made when it is played: mostly the first ones show the bug.
    """
    yield from _ways(bug for bug in BUGS if bug.scenario == scenario)
    yield from covering(SCENARIOS[scenario], max_states=STATES)


def _ways(bugs: Iterable[Bug]) -> Iterator[Score]:
    """Yield the ways on which the model found *bugs*."""
    for bug in bugs:
        score = of_bug(bug)
        if score is not None:
            yield score


async def _first_difference(
    scores: Iterable[Score],
    patches: tuple[Patch, ...],
    rule: Rule,
    texts: tuple[str, ...],
) -> Played | None:
    bug = Bug(name="", forgot="", scenario="", property="", patches=patches)
    for score in scores:
        with seeded(bug):
            controller = controller_of(score.scenario, rule=rule, texts=texts)
            played = await play(score, controller=controller)
        if not played.is_good:
            return played
    return None


def _torn_at_the_end(record: ResultRecord) -> bytes:
    return _encode_result(record)[:40] + bytes(4)


def _always_valid_pass(record: ResultRecord) -> bytes:
    content = bytearray(_encode_result(record))
    content[32] |= 0b10
    return bytes(content)


def _by_sequence(trigger_id: int) -> int:
    return (trigger_id + 1) & 7


def _interval_from_this_read(
    self: Handshake, command: Command, *, observed_after_ns: int, now_ns: int
) -> bool:
    return _handshake_read(self, command, observed_after_ns=now_ns, now_ns=now_ns)


def _never(self: object, *_: object, **__: object) -> None:
    return


def _lose_in_silence(self: Session, error: LinkError) -> None:
    tell, self._rules = self._rules, _Deaf()  # type: ignore[assignment]
    try:
        _lose(self, error)
    finally:
        self._rules = tell


class _Deaf:
    """Rules that are not told."""

    def link_lost(self, now_ns: int) -> None:
        """Do nothing."""


def _always_ours(self: Ownership, *_: object) -> None:
    self.may_write = True


def _always_ready(self: StatusBoard, now_ns: int) -> StatusError:
    return StatusError.NONE


def _drop_second(self: Intake, datagram: Any, now_ns: int) -> None:
    self.refused[Cause.DUPLICATE, datagram.lane] += 1


def _rung(**right: object) -> Rule:
    def rung(slot: ResultSlot, *, part_id: int, **contacts: Any) -> Rung:
        known = {
            name: getattr(slot, name)
            for name in ("seq_begin", "decision", "passed", "reject", "late", "seq_end")
        }
        good = ResultSlot(valid=True, trigger_id=part_id, **{**known, **right})
        return accepts(good, part_id=part_id, **contacts)

    return rung


def _any_part(slot: ResultSlot, trigger_id: int) -> object:
    return _complete_result(slot, slot.trigger_id)


def _always_alive(self: Watchdog, heartbeat: int, now_ns: int) -> bool:
    return True


def _without(text: str, instead: str = "") -> tuple[str, ...]:
    return tuple(rung.text.replace(text, instead) for rung in rungs())


def _on(owner: Any, name: str, wrong: object) -> tuple[Patch, ...]:
    return (Patch(owner=owner, name=name, wrong=wrong),)


REAL_BUGS: Final = (
    RealBug(
        name="encoder: SeqEnd left zero",
        forgot="the last member of the result",
        scenario="calm",
        patches=_on(udt_profile, "encode_result", _torn_at_the_end),
    ),
    RealBug(
        name="encoder: Pass for every result",
        forgot="that Pass and Reject are complements",
        scenario="calm",
        patches=_on(udt_profile, "encode_result", _always_valid_pass),
    ),
    RealBug(
        name="profile: the slot beside",
        forgot="that the slot follows from TriggerId alone",
        scenario="calm",
        patches=_on(udt_profile, "slot_of", _by_sequence),
    ),
    RealBug(
        name="session: interval from this read",
        forgot="that the part came at any time since the read before",
        scenario="held-up",
        patches=_on(Handshake, "read", _interval_from_this_read),
    ),
    RealBug(
        name="session: loss not told to the rules",
        forgot="that the outcome of a lost write is unknown",
        scenario="loss",
        patches=_on(Session, "_lose", _lose_in_silence),
    ),
    RealBug(
        name="session: a late PASS not overruled",
        forgot="the second round of writing",
        scenario="slow",
        patches=_on(session_module, "_WRITE_ROUNDS", 1),
    ),
    RealBug(
        name="session: verdicts wait for the tick",
        forgot="to write on arrival",
        scenario="calm",
        patches=_on(Session, "flush", _never),
    ),
    RealBug(
        name="ownership: the tags are always ours",
        forgot="that another writer may be at work",
        scenario="writer-restart",
        patches=_on(Ownership, "observe", _always_ours),
    ),
    RealBug(
        name="status: ready for ever",
        forgot="to ask judge and PLC for a sign of life",
        scenario="silent-judge",
        patches=_on(StatusBoard, "error", _always_ready),
    ),
    RealBug(
        name="intake: verdicts dropped as copies",
        forgot="to look at what came",
        scenario="calm",
        patches=_on(Intake, "accept", _drop_second),
    ),
    RealBug(
        name="program: no watchdog",
        forgot="that the vision side may die",
        scenario="silent-writer",
        patches=_on(Watchdog, "scan", _always_alive),
    ),
    RealBug(
        name="program: reject not latched",
        forgot="that a PASS may come after a reject",
        scenario="differing-copies",
        patches=_on(OpenPart, "_revoke", _never),
    ),
    RealBug(
        name="program: slot not cleared",
        forgot="that tags are retentive, and slots used again",
        scenario="same-slot",
        patches=_on(LineTags, "invalidate", _never),
    ),
    RealBug(
        name="program: any part's result consumed",
        forgot="to compare TriggerId before AckSeq",
        scenario="torn-copy",
        patches=_on(part_module, "_complete_result", _any_part),
    ),
    RealBug(
        name="program: rung without Valid and TriggerId",
        forgot="that an old result may lie in the slot",
        scenario="torn-copy",
        rule=_rung(),
    ),
    RealBug(
        name="ladder: TriggerId not compared",
        forgot="that two parts share a slot",
        scenario="torn-copy",
        texts=_without("EQU(VIS01_Copy.TriggerId,VIS01_Part[1].Id)"),
    ),
    RealBug(
        name="ladder: deadline timer not asked",
        forgot="that a PASS may come too late",
        scenario="slow",
        texts=_without("XIO(VIS01_Part[1].DeadlineTmr.DN)OTL", "OTL"),
    ),
    RealBug(
        name="ladder: no CommOk at the gate",
        forgot="that the vision side may have died since it said PASS",
        scenario="silent-writer",
        texts=_without("XIC(VIS01_AtGate)XIC(VIS01_CommOk)", "XIC(VIS01_AtGate)"),
    ),
    RealBug(
        name="ladder: reject not latched",
        forgot="that reject wins",
        scenario="differing-copies",
        texts=_without("OTU(VIS01_Part[1].Accept);", "OTL(VIS01_Part[1].Open);"),
    ),
    RealBug(
        name="ladder: slot not cleared on arrival",
        forgot="that a slot is used again",
        scenario="same-slot",
        texts=_without(",OTU(VIS01_Result[VIS01_NewSlot].Valid) "),
    ),
)
