"""Ready is set only while PLC and judge both show signs of life."""

from dataclasses import replace

import pytest

from taktgate.contracts.line import Beat
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.tags import StatusError
from taktgate.plc.handshake.admission import Cause, Place
from taktgate.plc.handshake.watch import BeatWatch, PlcLife, PlcWatch, assess
from taktgate.standin.judge import beat


def beat_at(sent_ns: int) -> Beat:
    return beat(kernel_boot_id="boot", sequence=1, sent_ns=sent_ns)


@pytest.fixture
def beats(place: Place) -> BeatWatch:
    return BeatWatch(place)


def test_no_beat_for_300_ms_is_an_error(beats: BeatWatch, start_ns: int) -> None:
    assert beats.error(start_ns) is StatusError.NO_BEAT
    assert beats.accept(beat_at(start_ns), start_ns) is None
    assert beats.error(start_ns + 300 * MILLISECOND) is StatusError.NONE
    assert beats.error(start_ns + 301 * MILLISECOND) is StatusError.NO_BEAT


def test_a_beat_that_a_queue_held_back_proves_nothing(beats: BeatWatch, start_ns: int) -> None:
    late = start_ns + 400 * MILLISECOND
    assert beats.accept(beat_at(start_ns), late) is None
    assert beats.error(late) is StatusError.NO_BEAT


def test_the_judges_own_no_is_passed_on(beats: BeatWatch, start_ns: int) -> None:
    beats.accept(replace(beat_at(start_ns), ready=False, reason="no camera"), start_ns)
    assert beats.error(start_ns) is StatusError.JUDGE_NOT_READY
    assert beats.reason() == "no camera"


@pytest.mark.parametrize(
    ("change", "cause", "error"),
    [
        ({"station": "VIS02"}, Cause.STATION, StatusError.NO_BEAT),
        ({"contract": "2.0"}, Cause.CONTRACT, StatusError.CONTRACT),
        ({"contract": "1.0"}, Cause.CONTRACT, StatusError.CONTRACT),
        ({"kernel_boot_id": "other"}, Cause.KERNEL_BOOT, StatusError.KERNEL_BOOT),
        ({"sent_ns": 2**62}, Cause.FUTURE, StatusError.NO_BEAT),
    ],
)
def test_a_foreign_beat_is_refused_by_name(
    beats: BeatWatch,
    start_ns: int,
    change: dict[str, object],
    cause: Cause,
    error: StatusError,
) -> None:
    beat = replace(beat_at(start_ns), **change)  # type: ignore[arg-type]
    assert beats.accept(beat, start_ns) is cause
    assert beats.error(start_ns) is error


def test_a_foreign_beat_does_not_drown_a_good_one(beats: BeatWatch, start_ns: int) -> None:
    beats.accept(beat_at(start_ns), start_ns)
    beats.accept(replace(beat_at(start_ns), contract="2.0"), start_ns)
    assert beats.error(start_ns) is StatusError.NONE


def test_the_copy_of_a_beat_is_old(beats: BeatWatch, start_ns: int) -> None:
    beats.accept(beat_at(start_ns), start_ns)
    assert beats.accept(beat_at(start_ns), start_ns) is Cause.OLD_BEAT


def test_a_restarted_judge_is_counted(beats: BeatWatch, start_ns: int) -> None:
    beats.accept(beat_at(start_ns), start_ns)
    beats.accept(replace(beat_at(start_ns + 1), judge_start_id="next"), start_ns + 1)
    assert beats.judge_restarts == 1


def life_of(plc: PlcWatch) -> PlcLife:
    return plc.life


def test_a_heartbeat_has_to_move_to_prove_the_program(start_ns: int) -> None:
    plc = PlcWatch()
    plc.observe(5, start_ns)
    assert life_of(plc) is PlcLife.UNPROVEN
    assert not plc.observe(6, start_ns + 1)
    assert life_of(plc) is PlcLife.RUNNING


def test_a_program_that_goes_on_after_a_stall_was_interrupted(start_ns: int) -> None:
    plc = PlcWatch()
    plc.observe(5, start_ns)
    assert not plc.observe(5, start_ns + 501 * MILLISECOND)
    assert life_of(plc) is PlcLife.STALLED
    assert plc.observe(6, start_ns + 502 * MILLISECOND)
    assert life_of(plc) is PlcLife.RUNNING


def test_a_counter_that_goes_backwards_was_interrupted(start_ns: int) -> None:
    plc = PlcWatch()
    plc.observe(5, start_ns)
    assert plc.observe(4, start_ns + 1)


@pytest.mark.parametrize(
    ("judge", "plc", "deadline_is_valid", "error"),
    [
        (StatusError.NONE, PlcLife.RUNNING, True, StatusError.NONE),
        (StatusError.NO_BEAT, PlcLife.RUNNING, True, StatusError.NO_BEAT),
        (StatusError.NONE, PlcLife.RUNNING, False, StatusError.DEADLINE),
        (StatusError.NONE, PlcLife.UNPROVEN, True, StatusError.PLC_UNPROVEN),
        (StatusError.NO_BEAT, PlcLife.STALLED, False, StatusError.PLC_STALLED),
    ],
)
def test_ready_needs_all_of_them(
    judge: StatusError, plc: PlcLife, deadline_is_valid: bool, error: StatusError
) -> None:
    assert assess(judge=judge, plc=plc, deadline_is_valid=deadline_is_valid) is error
