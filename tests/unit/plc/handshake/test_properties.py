"""Whatever happens in whatever order: a PASS is written only for a part that has earned it."""

from dataclasses import dataclass, replace
from itertools import count

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope, seal
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import Command, ResultRecord
from taktgate.plc.contract.tags import DECISIONS, RESULT_SLOTS, slot_of
from taktgate.plc.handshake.admission import Place
from taktgate.plc.handshake.rules import Handshake
from taktgate.standin.judge import MODEL

PLACE = Place(station="VIS01", kernel_boot_id="boot")
RESERVE_NS = 20 * MILLISECOND
PASS = DECISIONS[Verdict.PASS]

Key = tuple[int, int]
"""Epoch and TriggerId: one part."""


@dataclass(frozen=True)
class Delivered:
    envelope: VerdictEnvelope
    at_ns: int


@dataclass(frozen=True)
class Seen:
    """What an observer beside the writer knows of a part."""

    trigger_ns: int
    deadline_ns: int
    latest_ns: int
    """By the later end of the interval: the PLC's own deadline is not after it."""


class AnyOrder(RuleBasedStateMachine):
    """Drives a handshake and keeps books of its own, by the design's words."""

    def __init__(self) -> None:
        super().__init__()
        epochs = count(1)
        self.handshake = Handshake(
            place=PLACE, write_reserve_ns=RESERVE_NS, choose_epoch=lambda: next(epochs)
        )
        self.now_ns = 1_000_000 * MILLISECOND
        self.previous_read_ns = self.now_ns
        self.command = Command(plc_heartbeat=1, trigger_id=100, deadline_ms=200, enable=True)
        self.last_read = self.command
        self.parts: dict[Key, Seen] = {}
        self.delivered: list[Delivered] = []
        self.rejected: set[Key] = set()
        self.passed: dict[Key, ResultRecord] = {}
        self.sent_twice: set[int] = set()
        """Sequences of the PASSes that were sent again."""
        self.finished: set[int] = set()
        """Sequences of those that may not be, since a reject or a break of the PLC's program."""
        self.standing: set[Key] = set()
        """Confirmed in time, and neither taken back since nor forgotten with its numbering."""
        self.open_session()

    def open_session(self) -> None:
        self.handshake.session_opened()
        self.previous_read_ns = self.now_ns
        self.observe()

    def observe(self) -> None:
        before, self.last_read = self.last_read, self.command
        if self.command.trigger_id < before.trigger_id or (
            self.command.plc_heartbeat < before.plc_heartbeat
        ):
            self.standing.clear()
            self.finished |= {record.sequence for record in self.passed.values()}
        newest = self.command.trigger_id
        self.standing = {key for key in self.standing if newest - key[1] < RESULT_SLOTS}
        is_edge = self.handshake.read(
            self.command, observed_after_ns=self.previous_read_ns, now_ns=self.now_ns
        )
        if is_edge:
            self.parts[self.handshake.epoch, self.command.trigger_id] = Seen(
                trigger_ns=self.previous_read_ns,
                deadline_ns=self.previous_read_ns + self.command.deadline_ms * MILLISECOND,
                latest_ns=self.now_ns + self.command.deadline_ms * MILLISECOND,
            )
        self.previous_read_ns = self.now_ns

    @rule(milliseconds=st.sampled_from([0, 1, 10, 30, 90, 180, 600]))
    def wait(self, milliseconds: int) -> None:
        self.now_ns += milliseconds * MILLISECOND

    @rule(
        step=st.sampled_from([0, 1, 1, 1, 1, 2, 9, -3]),
        beats=st.sampled_from([0, 1, 1, 1, -1]),
        deadline_ms=st.sampled_from([0, 50, 200, 200, 200, 5000]),
        enable=st.sampled_from([True, True, True, False]),
    )
    def read(self, step: int, beats: int, deadline_ms: int, enable: bool) -> None:
        self.command = replace(
            self.command,
            trigger_id=self.command.trigger_id + step,
            plc_heartbeat=self.command.plc_heartbeat + beats,
            deadline_ms=deadline_ms,
            enable=enable,
        )
        self.observe()

    @rule(
        back=st.sampled_from([0, 0, 0, 0, 1, 2, -1]),
        verdict=st.sampled_from([Verdict.PASS, Verdict.PASS, Verdict.FAIL, Verdict.NO_DECISION]),
        age_ms=st.sampled_from([0, 0, 0, 5, 40, 300, 20_000, -1]),
        sequence=st.integers(1, 3),
        epochs_ago=st.sampled_from([0, 0, 0, 0, 1, 2]),
        flaw=st.sampled_from([None, None, None, None, "station", "kernel_boot_id", "contract"]),
        lane=st.sampled_from([Lane.LOCAL, Lane.EDGEHUB]),
    )
    def deliver(
        self,
        back: int,
        verdict: Verdict,
        age_ms: int,
        sequence: int,
        epochs_ago: int,
        flaw: str | None,
        lane: Lane,
    ) -> None:
        key = self.handshake.epoch - epochs_ago, self.command.trigger_id - back
        envelope = self.envelope(key, verdict, age_ms=age_ms, sequence=sequence)
        changes: dict[str, str] = {flaw: "9.0"} if flaw else {}
        self.hand_over(seal(replace(envelope, **changes)), lane)  # type: ignore[arg-type]

    def envelope(
        self, key: Key, verdict: Verdict, *, age_ms: int, sequence: int
    ) -> VerdictEnvelope:
        is_judged = verdict is not Verdict.NO_DECISION
        part = self.parts.get(key)
        trigger_ns = 0 if part is None else part.trigger_ns
        decided_ns = self.now_ns - age_ms * MILLISECOND
        return VerdictEnvelope(
            contract=CONTRACT_VERSION,
            station=PLACE.station,
            kernel_boot_id=PLACE.kernel_boot_id,
            judge_start_id="judge",
            plc_epoch=key[0],
            sequence=sequence,
            trigger_id=key[1],
            verdict=verdict,
            reason=Reason.NONE if is_judged else Reason.TIMEOUT,
            score=0.5 if is_judged else None,
            model=MODEL if is_judged else None,
            trigger_ns=trigger_ns,
            exposure_ns=trigger_ns,
            received_ns=decided_ns,
            inference_start_ns=decided_ns,
            inference_end_ns=decided_ns,
            decided_ns=decided_ns,
            deadline_ns=decided_ns if part is None else part.deadline_ns,
        )

    @precondition(lambda self: self.passed)
    @rule(
        verdict=st.sampled_from([Verdict.PASS, Verdict.FAIL, Verdict.NO_DECISION]),
        contract=st.sampled_from([CONTRACT_VERSION, CONTRACT_VERSION, "1.0"]),
        has_new_session=st.booleans(),
    )
    def contradict_the_newest_pass(
        self, verdict: Verdict, contract: str, has_new_session: bool
    ) -> None:
        """A rival of the part's own epoch, whatever has begun since: Fault, and no PASS stands."""
        if has_new_session:
            self.write(takes_ms=0, is_confirmed=True)
            self.write(takes_ms=0, is_confirmed=False)
        key = max(self.passed)
        envelope = self.envelope(key, verdict, age_ms=0, sequence=9)
        self.hand_over(seal(replace(envelope, contract=contract)), Lane.EDGEHUB)
        can_still_act = self.now_ns <= self.parts[key].latest_ns
        if not can_still_act or key not in self.standing:
            return
        assert self.handshake.has_fault
        records = self.handshake.due(self.now_ns)
        assert key[1] in [r.trigger_id for r in records if r.decision != PASS]
        self.conclude(records)
        self.handshake.confirmed(records, self.now_ns)

    @rule(
        flaw=st.sampled_from(
            [
                None,
                "station",
                "kernel_boot_id",
                "contract",
                "plc_epoch",
                "trigger_id",
                "future",
                "early",
            ]
        ),
        held_up_ms=st.sampled_from([0, 0, 175]),
    )
    def hurry_one_part_through(self, flaw: str | None, held_up_ms: int) -> None:
        """A part whose only verdict is a PASS with at most one flaw: the shortest way to harm."""
        self.now_ns += 10 * MILLISECOND
        self.read(step=1, beats=1, deadline_ms=200, enable=True)
        self.now_ns += 10 * MILLISECOND
        self.deliver(
            back=8 if flaw == "trigger_id" else 0,
            verdict=Verdict.PASS,
            age_ms={"future": -1, "early": 30}.get(flaw or "", 5),
            sequence=1,
            epochs_ago=1 if flaw == "plc_epoch" else 0,
            flaw=flaw if flaw in ("station", "kernel_boot_id", "contract") else None,
            lane=Lane.LOCAL,
        )
        self.now_ns += held_up_ms * MILLISECOND
        self.write(takes_ms=1, is_confirmed=True)

    @rule(
        away_ms=st.sampled_from([0, 1, 30, 100, 170, 600]),
        beats=st.sampled_from([0, 1, 1, 6, -1, 30]),
        hb_fault=st.sampled_from([False, False, True]),
    )
    def lose_a_pass_and_come_back(self, away_ms: int, beats: int, hb_fault: bool) -> None:
        """The reply to a PASS is lost; the PLC may be another when it is seen again."""
        self.now_ns += 10 * MILLISECOND
        self.read(step=1, beats=1, deadline_ms=200, enable=True)
        self.now_ns += 10 * MILLISECOND
        self.deliver(
            back=0,
            verdict=Verdict.PASS,
            age_ms=5,
            sequence=1,
            epochs_ago=0,
            flaw=None,
            lane=Lane.LOCAL,
        )
        self.conclude(self.handshake.due(self.now_ns))
        self.handshake.link_lost(self.now_ns)
        self.now_ns += away_ms * MILLISECOND
        is_doubtful = hb_fault or beats == 30 or (away_ms == 600 and beats < 1)
        if is_doubtful:
            self.finished |= {record.sequence for record in self.passed.values()}
        heartbeat = self.command.plc_heartbeat + beats
        self.command = replace(self.command, plc_heartbeat=heartbeat, hb_fault=hb_fault)
        self.open_session()
        self.command = replace(self.command, hb_fault=False)
        self.write(takes_ms=1, is_confirmed=True)

    @precondition(lambda self: self.delivered)
    @rule(which=st.integers(0, 10), lane=st.sampled_from([Lane.LOCAL, Lane.EDGEHUB]))
    def deliver_again(self, which: int, lane: Lane) -> None:
        self.hand_over(self.delivered[-1 - which % len(self.delivered)].envelope, lane)

    def hand_over(self, envelope: VerdictEnvelope, lane: Lane) -> None:
        self.handshake.verdict(envelope, lane, self.now_ns)
        self.delivered.append(Delivered(envelope, self.now_ns))

    @rule()
    def tick(self) -> None:
        self.handshake.tick(self.now_ns)

    @rule(
        takes_ms=st.sampled_from([0, 1, 1, 30]), is_confirmed=st.sampled_from([True, True, False])
    )
    def write(self, takes_ms: int, is_confirmed: bool) -> None:
        records = self.handshake.due(self.now_ns)
        self.conclude(records)
        self.now_ns += takes_ms * MILLISECOND
        if is_confirmed:
            self.handshake.confirmed(records, self.now_ns)
            self.standing |= {
                self.key_of(record)
                for record in records
                if record.decision == PASS
                and self.now_ns < self.parts[self.key_of(record)].deadline_ns
            }
        else:
            self.handshake.link_lost(self.now_ns)
            self.open_session()

    def conclude(self, records: tuple[ResultRecord, ...]) -> None:
        for record in records:
            self.check(record)
            taken = {key for key in self.standing if slot_of(key[1]) == slot_of(record.trigger_id)}
            self.standing -= taken

    def check(self, record: ResultRecord) -> None:
        key = self.key_of(record)
        if record.decision != PASS:
            self.rejected.add(key)
            same = {old for of, old in self.passed.items() if of[1] == record.trigger_id}
            self.finished |= {old.sequence for old in same}
            return
        assert key not in self.rejected, "a closed part was let through"
        part = self.parts[key]
        if key in self.passed:
            self.check_again(self.passed[key], record)
            assert self.now_ns + RESERVE_NS <= part.deadline_ns
            return
        self.passed[key] = record
        valid = {
            delivered.envelope.digest: delivered.envelope
            for delivered in self.delivered
            if is_bound(delivered, key, part)
        }
        (envelope,) = valid.values()
        assert envelope.verdict is Verdict.PASS
        assert envelope.decided_ns <= part.deadline_ns
        assert self.now_ns + RESERVE_NS <= part.deadline_ns

    def check_again(self, first: ResultRecord, record: ResultRecord) -> None:
        assert record == first, "a PASS was written twice, and not as the same result"
        assert record.sequence not in self.sent_twice, "a PASS was written a third time"
        assert record.sequence not in self.finished, "a PASS was written again without proof"
        self.sent_twice.add(record.sequence)

    def key_of(self, record: ResultRecord) -> Key:
        """Return the part of *record*: it keeps the epoch in which its PASS was sent first."""
        known = (key for key, old in self.passed.items() if old.sequence == record.sequence)
        return next(known, (self.handshake.epoch, record.trigger_id))

    def teardown(self) -> None:
        slots = [slot_of(outcome.trigger_id) for outcome in self.handshake.take_outcomes()]
        assert all(0 <= slot < 8 for slot in slots)


def is_bound(delivered: Delivered, key: Key, part: Seen) -> bool:
    """Tell whether *delivered* could be about the part *key*, by the words of the design."""
    envelope = delivered.envelope
    return (
        (envelope.plc_epoch, envelope.trigger_id) == key
        and envelope.contract == CONTRACT_VERSION
        and envelope.station == PLACE.station
        and envelope.kernel_boot_id == PLACE.kernel_boot_id
        and part.trigger_ns <= envelope.trigger_ns <= envelope.decided_ns <= delivered.at_ns
    )


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
