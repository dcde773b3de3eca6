from tests.unit.inspection.records.parts import envelope, note

from taktgate.inspection.records.join import MAX_WAITING, PATIENCE_NS, PartJoin


def test_a_part_is_known_once_verdict_and_note_are_there() -> None:
    join = PartJoin()

    assert join.verdict(envelope(3), 50, now_ns=0) == []
    known = join.note(note(3))

    assert known is not None
    assert (known.envelope, known.edgehub_ns, known.note) == (envelope(3), 50, note(3))


def test_a_note_of_another_judge_start_belongs_to_no_verdict_of_this_one() -> None:
    join = PartJoin()
    join.verdict(envelope(3), None, now_ns=0)

    assert join.note(note(3, start_id="judge-0")) is None


def test_a_verdict_whose_note_is_lost_is_recorded_without_it() -> None:
    join = PartJoin()
    join.verdict(envelope(1), None, now_ns=0)
    join.verdict(envelope(2), None, now_ns=PATIENCE_NS)

    lost = join.expire(PATIENCE_NS + 1)

    assert [(part.envelope.sequence, part.note) for part in lost] == [(1, None)]


def test_no_more_than_so_many_wait_and_the_oldest_gives_way() -> None:
    join = PartJoin()
    gone = [
        part
        for sequence in range(1, MAX_WAITING + 3)
        for part in join.verdict(envelope(sequence), None, now_ns=0)
    ]

    assert [part.envelope.sequence for part in gone] == [1, 2]


def test_what_waits_at_the_end_is_not_forgotten() -> None:
    join = PartJoin()
    join.verdict(envelope(1), None, now_ns=0)

    assert [part.envelope.sequence for part in join.flush()] == [1]
