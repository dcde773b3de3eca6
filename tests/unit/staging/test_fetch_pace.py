"""How fast heavy work goes, in virtual time."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import encode
from taktgate.contracts.pulse import JudgePulse
from taktgate.edge.clock import SECOND
from taktgate.staging.fetch.pace import (
    CALM_S,
    LONGEST_SLEEP_S,
    PATIENCE_S,
    SLOW_BYTES_S,
    Pace,
    PaceState,
)
from taktgate.staging.fetch.patience import FetchLimits, Patience
from taktgate.staging.judge_pulse import PulseFile
from taktgate.staging.judge_sight import JudgeSight, JudgeSign

MB = 1_000_000
WELL = JudgeSight(sign=JudgeSign.HEARD, share=0.5)
TIGHT = JudgeSight(sign=JudgeSign.HEARD, share=0.75)
LATE = JudgeSight(sign=JudgeSign.HEARD, late=1, share=0.5)
SLOW = JudgeSight(sign=JudgeSign.HEARD, share=0.8)
ABSENT = JudgeSight(sign=JudgeSign.ABSENT)
SILENT = JudgeSight(sign=JudgeSign.SILENT)


class World:
    """Virtual time, and a judge whose state follows from it."""

    def __init__(
        self, judge: Callable[[float], JudgeSight] = lambda _: ABSENT, rate: float | None = None
    ) -> None:
        self.now_s = 0.0
        self.sleeps: list[float] = []
        self.states: list[PaceState] = []
        self.pace = Pace(
            rate_bytes_s=rate,
            pause_at=0.8,
            look=lambda: judge(self.now_s),
            clock=lambda: self.now_s,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_s += seconds

    def work(self, size_bytes: int, *, piece: int = 100_000) -> float:
        """Return how long it takes to download *size_bytes*, which alone takes 1 ms a piece."""
        began_s = self.now_s
        for _ in range(size_bytes // piece):
            self.now_s += 0.001
            self._wait(self.pace.charge_network(piece))
        return self.now_s - began_s

    def _wait(self, waiting: Iterator[None]) -> None:
        for _ in waiting:
            self.states.append(self.pace.status.state)


@pytest.mark.parametrize("sight", [ABSENT, WELL, TIGHT])
def test_nothing_holds_work_back_where_no_part_suffers(sight: JudgeSight) -> None:
    world = World(lambda _: sight)
    assert world.work(100 * MB) == pytest.approx(1.0)
    assert world.pace.status.state is PaceState.RUNNING


@given(st.floats(0.5, 100), st.integers(1_000, 4_000_000))
def test_a_download_keeps_to_its_rate_whatever_its_pieces(rate_mb_s: float, piece: int) -> None:
    world = World(rate=rate_mb_s * MB)
    size_bytes = 20 * piece
    duration_s = world.work(size_bytes, piece=piece)
    allowed = rate_mb_s * MB * (duration_s + 0.502)
    assert size_bytes <= allowed + 1
    assert all(0 < each <= LONGEST_SLEEP_S for each in world.sleeps)


def test_a_rate_is_used_to_the_full_and_is_said() -> None:
    world = World(rate=2 * MB)
    assert world.work(20 * MB) == pytest.approx(10.0, rel=0.1)
    assert set(world.states) == {PaceState.LIMITED}
    assert "rate_mb_s" in world.pace.status.why


def test_the_rate_of_downloads_is_not_for_work_on_the_disk() -> None:
    world = World(rate=0.1 * MB)
    assert list(world.pace.charge(100 * MB)) == []


@pytest.mark.parametrize(("sight", "why"), [(LATE, "late for 1"), (SLOW, "80%")])
def test_work_pauses_while_parts_suffer_and_says_why(sight: JudgeSight, why: str) -> None:
    world = World(lambda _: sight)
    waiting = world.pace.charge(1)
    for _ in range(100):
        next(waiting)
    assert world.pace.status.state is PaceState.PAUSED
    assert why in world.pace.status.why
    assert set(world.sleeps) == {LONGEST_SLEEP_S}


def test_a_pause_ends_when_the_judge_has_done_well_for_some_seconds() -> None:
    world = World(lambda now_s: LATE if now_s < 20 else WELL)
    assert world.work(MB) == pytest.approx(20 + CALM_S, abs=1.1)


def test_pauses_are_counted_where_they_begin_and_a_rate_is_none() -> None:
    world = World(lambda now_s: LATE if now_s % 60 < 5 else WELL, rate=MB)
    world.work(100 * MB)
    assert world.pace.pauses == world.now_s // 60 + 1


def test_a_judge_just_below_the_limit_ends_no_pause_and_begins_none() -> None:
    world = World(lambda now_s: SLOW if 1 < now_s < 2 else TIGHT if now_s < 30 else WELL)
    world.now_s = 1.5
    assert world.work(MB) == pytest.approx(30 - 1.5 + CALM_S, abs=1.1)


def test_a_line_that_is_always_at_its_limit_gets_its_model_slowly_in_the_end() -> None:
    world = World(lambda _: LATE)
    duration_s = world.work(20 * MB)
    assert duration_s == pytest.approx(PATIENCE_S + 20 * MB / SLOW_BYTES_S, abs=3)
    assert world.pace.status.state is PaceState.SLOW
    assert "10 minutes" in world.pace.status.why


def test_a_line_that_is_at_its_limit_now_and_then_does_not_starve_staging() -> None:
    world = World(lambda now_s: LATE if now_s % 12 < 3 else WELL)
    world.work(100 * MB, piece=10_000_000)
    assert world.now_s < 2 * PATIENCE_S


def test_work_goes_slowly_where_a_model_judges_and_is_not_heard_of() -> None:
    world = World(lambda _: SILENT)
    assert world.work(10 * MB) == pytest.approx(10 * MB / SLOW_BYTES_S, rel=0.1)
    assert world.pace.status.state is PaceState.SLOW


def test_a_slow_stretch_leaves_no_debt_behind() -> None:
    world = World(lambda now_s: SILENT if now_s < 3 else WELL)
    list(world.pace.charge(100 * MB))
    assert world.now_s < 4


def test_a_state_that_nobody_asks_about_any_more_is_over() -> None:
    world = World(lambda _: LATE)
    next(world.pace.charge(1))
    world.now_s += 1
    assert world.pace.status.why
    world.now_s += 10
    assert not world.pace.status.why


def pulse(**changes: object) -> JudgePulse:
    facts = {
        "contract": CONTRACT_VERSION,
        "boot_id": "here",
        "at_ns": 100 * SECOND,
        "window_s": 5.0,
        "parts": 9,
        "late": 0,
        "slowest_ms": 60.0,
        "budget_ms": 80.0,
    }
    return JudgePulse(**{**facts, **changes})  # type: ignore[arg-type]


def seen(path: Path, *, may_judge: bool = True, now_s: int = 101) -> JudgeSight:
    file = PulseFile(
        path=path,
        may_judge=lambda: may_judge,
        clock=lambda: now_s * SECOND,
        boot_id=lambda: "here",
    )
    return file.look()


def test_a_fresh_pulse_says_how_near_to_its_deadline_the_judge_is(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(encode(pulse(late=2)))
    assert seen(tmp_path / "p") == JudgeSight(sign=JudgeSign.HEARD, late=2, share=0.75)


def test_a_pulse_without_parts_says_that_nothing_suffers(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(encode(pulse(parts=0, slowest_ms=0.0, budget_ms=0.0)))
    assert seen(tmp_path / "p") == JudgeSight(sign=JudgeSign.HEARD)


@pytest.mark.parametrize("stands_s", [None, 0.0, 60.0])
def test_a_pulse_says_how_long_the_line_has_stood(tmp_path: Path, stands_s: float | None) -> None:
    (tmp_path / "p").write_bytes(encode(pulse(line_stands_s=stands_s)))
    assert seen(tmp_path / "p").line_stands_s == stands_s


def test_a_pulse_of_an_agent_that_does_not_know_the_line_is_read(tmp_path: Path) -> None:
    document = json.loads(encode(pulse(late=2)))
    del document["line_stands_s"]
    (tmp_path / "p").write_text(json.dumps(document))
    assert seen(tmp_path / "p") == JudgeSight(sign=JudgeSign.HEARD, late=2, share=0.75)


def test_an_agent_without_a_model_tells_of_no_judge(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(encode(pulse(line_stands_s=0.0)))
    assert seen(tmp_path / "p", may_judge=False).sign is JudgeSign.ABSENT


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{}",
        encode(pulse(boot_id="another boot")),
        encode(pulse(at_ns=95 * SECOND)),
        encode(pulse(at_ns=102 * SECOND)),
        encode(pulse(contract="9.0")),
    ],
    ids=["none", "empty", "broken", "another boot", "stale", "of the future", "contract"],
)
def test_what_is_no_fresh_pulse_is_silence(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "p").write_bytes(content)
    assert seen(tmp_path / "p") == SILENT
    assert seen(tmp_path / "p", may_judge=False) == ABSENT


def test_slow_content_is_refused_after_a_minute_of_waiting_and_not_before() -> None:
    patience = Patience(FetchLimits())
    patience.begin_content()
    for _ in range(5):
        patience.waited(10.0, came_bytes=9_999)
    with pytest.raises(TimeoutError, match="59994 bytes in 60 s"):
        patience.waited(10.0, came_bytes=9_999)


def test_a_good_minute_does_not_excuse_a_slow_one() -> None:
    patience = Patience(FetchLimits())
    patience.begin_content()
    patience.waited(60.0, came_bytes=10**9)
    with pytest.raises(TimeoutError):
        patience.waited(60.0, came_bytes=1)


def test_the_wait_for_a_head_does_not_count_as_slow_content() -> None:
    patience = Patience(FetchLimits())
    patience.waited(29.0, came_bytes=1)
    patience.begin_content()
    patience.waited(59.0, came_bytes=1)
