from dataclasses import replace

import pytest

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import encode
from taktgate.contracts.line import LineState
from taktgate.edge.clock import SECOND
from taktgate.inspection.judge.line_intake import LineIntake

NOW = 1000 * SECOND
STATE = LineState(
    contract=CONTRACT_VERSION,
    station="VIS01",
    kernel_boot_id="boot",
    writer_start_id="w1",
    plc_epoch=1,
    sequence=5,
    trigger_id=10,
    is_edge=True,
    deadline_ms=150,
    enable=True,
    observed_after_ns=NOW - 20,
    observed_ns=NOW - 10,
)


@pytest.fixture
def intake() -> LineIntake:
    intake = LineIntake(station="VIS01", kernel_boot_id="boot")
    assert intake.accept(encode(STATE), NOW) == STATE
    return intake


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({}, "copy_or_older"),
        ({"sequence": 4}, "copy_or_older"),
        ({"sequence": 6, "station": "VIS02"}, "station"),
        ({"sequence": 6, "kernel_boot_id": "before"}, "kernel_boot"),
        ({"sequence": 6, "contract": "2.0"}, "contract"),
        ({"sequence": 6, "observed_ns": NOW + 1}, "clock"),
        ({"sequence": 6, "observed_after_ns": NOW - 5}, "clock"),
        ({"writer_start_id": "w0", "sequence": 99, "observed_ns": NOW - 11}, "old_writer"),
    ],
)
def test_what_is_not_news_from_here_is_counted_by_cause(
    intake: LineIntake, change: dict[str, object], cause: str
) -> None:
    payload = encode(replace(STATE, **change))  # type: ignore[arg-type]

    assert intake.accept(payload, NOW) is None
    assert intake.counters == {cause: 1}
    assert intake.newest == STATE


def test_what_a_queue_held_back_too_long_is_ignored(intake: LineIntake) -> None:
    late = replace(STATE, sequence=6)

    assert intake.accept(encode(late), NOW + 11 * SECOND) is None
    assert intake.counters == {"too_old": 1}


def test_a_writer_that_started_later_takes_over(intake: LineIntake) -> None:
    newer = replace(STATE, writer_start_id="w2", sequence=1, observed_ns=NOW)

    assert intake.accept(encode(newer), NOW) == newer
    assert intake.accept(encode(replace(STATE, sequence=6)), NOW) is None


def test_a_writer_that_was_replaced_is_never_believed_again(intake: LineIntake) -> None:
    second = replace(STATE, writer_start_id="w2", sequence=1, observed_ns=NOW + 10)
    assert intake.accept(encode(second), NOW + 10) == second

    first_again = replace(STATE, sequence=6, observed_ns=NOW + 20)
    assert intake.accept(encode(first_again), NOW + 20) is None
    assert intake.counters == {"old_writer": 1}
    assert intake.newest == second


def test_nonsense_is_counted(intake: LineIntake) -> None:
    assert intake.accept(b"{}", NOW) is None
    assert intake.accept(b"\xff", NOW) is None
    assert intake.counters == {"malformed": 2}


def test_silence_is_noticed(intake: LineIntake) -> None:
    assert intake.is_fresh(NOW, SECOND)
    assert not intake.is_fresh(NOW + 2 * SECOND, SECOND)
    assert not LineIntake(station="VIS01", kernel_boot_id="b").is_fresh(NOW, SECOND)
