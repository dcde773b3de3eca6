"""Nothing that arrives at the inbox can stop the writer, and nothing is dropped without a name."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.plc.handshake.bench import NO_DECISION

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import ContractError, decode, encode, parse
from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import ClassScore, Reason, Verdict, VerdictEnvelope, seal
from taktgate.edge.clock import MILLISECOND
from taktgate.edge.lane import Datagram
from taktgate.plc.contract.records import Command
from taktgate.plc.contract.tags import ERROR_CODES, StatusError
from taktgate.plc.handshake.admission import MAX_MESSAGE_BYTES, Cause, Place
from taktgate.plc.handshake.rules import Handshake
from taktgate.plc.handshake.watch import BeatWatch
from taktgate.plc.writer.intake import Intake, content_of
from taktgate.standin.judge import MODEL, beat

MakeEnvelope = Callable[..., VerdictEnvelope]


@pytest.fixture
def beats(place: Place) -> BeatWatch:
    return BeatWatch(place)


@pytest.fixture
def intake(rules: Handshake, beats: BeatWatch, command: Command, start_ns: int) -> Intake:
    """An intake with part 101 open."""
    edge = replace(command, trigger_id=101)
    rules.read(edge, observed_after_ns=start_ns, now_ns=start_ns + 10 * MILLISECOND)
    return Intake(rules=rules, beats=beats, lanes={Lane.LOCAL})


def wire(document: object) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(encode(document))
    return content


def datagram(payload: bytes, kind: str = "verdict") -> Datagram:
    return Datagram(kind=kind, lane=Lane.LOCAL, payload=payload)


def test_a_verdict_is_used_and_counted_by_lane(
    intake: Intake, rules: Handshake, make_envelope: MakeEnvelope, start_ns: int
) -> None:
    intake.accept(datagram(encode(make_envelope())), start_ns + 60 * MILLISECOND)
    assert intake.used == {Lane.LOCAL: 1}
    assert rules.has_due


@pytest.mark.parametrize(
    ("payload", "kind", "cause"),
    [
        (b"", "verdict", Cause.MALFORMED),
        (b"{", "verdict", Cause.MALFORMED),
        (b"[]", "verdict", Cause.MALFORMED),
        (b'{"contract": 7}', "verdict", Cause.MALFORMED),
        (b"[" * 60_000, "verdict", Cause.MALFORMED),
        (b'{"contract": "2.0", "trigger_id": [7]}', "verdict", Cause.CONTRACT),
        (b'{"contract": "1.0"}', "verdict", Cause.CONTRACT),
        (f'{{"contract": "{CONTRACT_VERSION}"}}'.encode(), "verdict", Cause.MALFORMED),
        (b"\xff\xfe", "beat", Cause.MALFORMED),
        (b'{"contract": "2.0"}', "verdict", Cause.CONTRACT),
        (b'{"contract": "2.0"}', "beat", Cause.CONTRACT),
        (b"{}", "outcome", Cause.UNKNOWN_KIND),
        (b'{"contract": "2.0", "a": "' + b"x" * MAX_MESSAGE_BYTES, "verdict", Cause.MALFORMED),
        (b'{"contract": "2.0", "a": "' + b"x" * MAX_MESSAGE_BYTES, "beat", Cause.MALFORMED),
    ],
)
def test_bad_datagrams_are_counted_by_cause(
    intake: Intake, start_ns: int, payload: bytes, kind: str, cause: Cause
) -> None:
    intake.accept(datagram(payload, kind), start_ns)
    assert intake.refused == {(cause, Lane.LOCAL): 1}


BIG_JUNK = (
    b'{"contract": "2.0", "a": [' + b"[1]," * 15_000 + b"1]}",
    b"{" + b",".join(b'"%d": 1' % number for number in range(6500)) + b"}",
    b'{"trigger_id": ' + b"9" * 60_000 + b"}",
)


@pytest.mark.parametrize("kind", ["verdict", "beat"])
def test_sixty_kilobytes_of_junk_are_not_even_read(
    intake: Intake, start_ns: int, kind: str
) -> None:
    for payload in BIG_JUNK:
        intake.accept(datagram(payload, kind), start_ns)
    assert intake.count(Cause.MALFORMED) == 3


def test_junk_of_any_length_is_refused_at_its_first_wrong_field(
    intake: Intake, start_ns: int, caplog: pytest.LogCaptureFixture
) -> None:
    head = f'{{"contract": "{CONTRACT_VERSION}", "nonsense": ['.encode()
    payload = head + b"[1]," * 1_900 + b"1]}"
    intake.accept(datagram(payload), start_ns)
    assert intake.count(Cause.MALFORMED) == 1
    assert "'nonsense': is unknown" in str(vars(caplog.records[0])["detail"])


def test_a_list_longer_than_any_contract_has_is_not_looked_into(
    intake: Intake, make_envelope: MakeEnvelope, start_ns: int, caplog: pytest.LogCaptureFixture
) -> None:
    content = json.loads(encode(make_envelope())) | {"scores": [{}] * 1_500}
    intake.accept(datagram(json.dumps(content).encode()), start_ns)
    assert intake.count(Cause.MALFORMED) == 1
    assert "'scores': has more than 64 items" in str(vars(caplog.records[0])["detail"])


def test_a_verdict_with_64_classes_is_not_too_long(
    intake: Intake, make_envelope: MakeEnvelope, start_ns: int
) -> None:
    scores = tuple(ClassScore(name=f"{number:064}", score=1 / 3) for number in range(64))
    payload = encode(make_envelope(scores=scores, correlation_id="c" * 128))
    intake.accept(datagram(payload), start_ns + 60 * MILLISECOND)
    assert intake.used == {Lane.LOCAL: 1}


def test_a_minor_version_is_another_contract_for_verdict_and_beat(
    intake: Intake, rules: Handshake, beats: BeatWatch, make_envelope: MakeEnvelope, start_ns: int
) -> None:
    content = json.loads(encode(make_envelope())) | {"contract": "1.0", "temperature": 1}
    intake.accept(datagram(json.dumps(content).encode()), start_ns + 60 * MILLISECOND)
    intake.accept(datagram(b'{"contract": "1.0", "temperature": 1}', "beat"), start_ns)
    assert intake.count(Cause.CONTRACT) == 2
    assert [record.error_code for record in rules.due(start_ns)] == [ERROR_CODES[Reason.CONTRACT]]
    assert beats.error(start_ns) is StatusError.CONTRACT


def test_a_lane_that_is_switched_off_brings_nothing(
    intake: Intake, rules: Handshake, make_envelope: MakeEnvelope, start_ns: int
) -> None:
    other = Datagram(kind="verdict", lane=Lane.EDGEHUB, payload=encode(make_envelope()))
    intake.accept(other, start_ns + 60 * MILLISECOND)
    assert intake.refused == {(Cause.LANE_OFF, Lane.EDGEHUB): 1}
    assert not rules.has_due


def test_a_cause_is_logged_once(
    intake: Intake, start_ns: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            intake.accept(datagram(b"{"), start_ns)
    assert len(caplog.records) == 1
    assert intake.count(Cause.MALFORMED) == 5


def test_an_altered_verdict_is_malformed(
    intake: Intake, rules: Handshake, make_envelope: MakeEnvelope, start_ns: int
) -> None:
    altered = replace(make_envelope(), trigger_id=102)
    intake.accept(datagram(encode(altered)), start_ns + 60 * MILLISECOND)
    assert intake.count(Cause.MALFORMED) == 1
    assert not rules.has_due


def test_an_unreadable_verdict_of_another_contract_closes_its_part(
    intake: Intake, rules: Handshake, make_envelope: MakeEnvelope, start_ns: int
) -> None:
    content = json.loads(encode(make_envelope()))
    content.update(contract="2.0", certainty="a field that we do not know")
    intake.accept(datagram(json.dumps(content).encode()), start_ns + 60 * MILLISECOND)
    assert intake.count(Cause.CONTRACT) == 1
    assert rules.has_due


@pytest.mark.parametrize(
    "changes", [{}, {"certainty": 0.5}, {"model": {**wire(MODEL), "trained": "x"}}], ids=str
)
def test_a_pass_of_a_newer_minor_version_is_none(
    intake: Intake,
    rules: Handshake,
    make_envelope: MakeEnvelope,
    start_ns: int,
    changes: dict[str, Any],
) -> None:
    content = wire(seal(make_envelope(contract="1.99"))) | changes
    intake.accept(datagram(json.dumps(content).encode()), start_ns + 60 * MILLISECOND)
    assert intake.count(Cause.CONTRACT) == 1
    (record,) = rules.due(start_ns + 60 * MILLISECOND)
    assert (record.decision, record.error_code) == (NO_DECISION, ERROR_CODES[Reason.CONTRACT])


@pytest.mark.parametrize("changes", [{}, {"mood": 1}, {"model": {**wire(MODEL), "trained": "x"}}])
def test_a_beat_of_a_newer_minor_version_is_no_sign_of_life(
    intake: Intake, beats: BeatWatch, start_ns: int, changes: dict[str, Any]
) -> None:
    alive = beat(kernel_boot_id="boot", sequence=1, sent_ns=start_ns)
    content = wire(replace(alive, contract="1.99", model=MODEL)) | changes
    intake.accept(datagram(json.dumps(content).encode(), "beat"), start_ns)
    assert beats.error(start_ns) is StatusError.CONTRACT


def test_a_beat_in_another_contract_says_so(
    intake: Intake, beats: BeatWatch, start_ns: int
) -> None:
    intake.accept(datagram(b'{"contract": "2.0"}', "beat"), start_ns)
    assert beats.error(start_ns) is StatusError.CONTRACT


def test_a_beat_reaches_the_watch(intake: Intake, beats: BeatWatch, start_ns: int) -> None:
    alive = beat(kernel_boot_id="boot", sequence=1, sent_ns=start_ns)
    intake.accept(datagram(encode(alive), "beat"), start_ns)
    assert beats.error(start_ns) is StatusError.NONE


NONSENSE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["PASS", "FAIL", "LATE", "1", "1.5", "true", "sha256:" + "ff" * 32]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_reading_the_json_once_believes_exactly_what_the_contract_allows(
    data: st.DataObject,
) -> None:
    content: dict[str, Any] = json.loads(encode(sealed_pass()))
    for name in data.draw(st.lists(st.sampled_from(sorted(content)), min_size=1, max_size=2)):
        content[name] = data.draw(NONSENSE)
    payload = json.dumps(content).encode()

    assert outcome_of(lambda: parse(VerdictEnvelope, content_of(VerdictEnvelope, payload))) == (
        outcome_of(lambda: decode(VerdictEnvelope, payload))
    )


def outcome_of(read: Callable[[], VerdictEnvelope]) -> VerdictEnvelope | None:
    try:
        return read()
    except ContractError:
        return None


def sealed_pass() -> VerdictEnvelope:
    return seal(
        VerdictEnvelope(
            contract=CONTRACT_VERSION,
            station="VIS01",
            kernel_boot_id="boot",
            judge_start_id="judge",
            plc_epoch=1,
            sequence=1,
            trigger_id=101,
            verdict=Verdict.PASS,
            reason=Reason.NONE,
            score=0.25,
            scores=(ClassScore(name="crack", score=0.1),),
            decided_by="crack",
            model=MODEL,
            trigger_ns=1,
            decided_ns=2,
            deadline_ns=3,
        )
    )
