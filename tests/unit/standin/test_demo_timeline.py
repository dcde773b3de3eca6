"""What the hub heard of a model, as a list of phases and as lines to read."""

import pytest

from taktgate.contracts.twins import PhaseStart, Progress, StagerReported, StagingPhase
from taktgate.standin.demo.timeline import Timeline, goes_well, phases_of, rows

P = StagingPhase


def stager(phase: StagingPhase, order: str = "o2", **changes: object) -> StagerReported:
    return StagerReported(contract="1.2", code="0", phase=phase, order=order, **changes)  # type: ignore[arg-type]


def test_equal_reports_are_no_news() -> None:
    timeline = Timeline()
    for at_s, phase, order in (
        (0.0, P.STAGED, "o1"),
        (1.0, P.FETCHING, "o2"),
        (2.0, P.FETCHING, "o2"),
        (3.0, P.TRIAL, "o2"),
    ):
        timeline.take(at_s, stager(phase, order), None)
    assert [told.at_s for told in timeline.told] == [0.0, 1.0, 3.0]


@pytest.mark.parametrize(
    ("phases", "well"),
    [
        ([P.FETCHING, P.VERIFYING, P.TESTING, P.STAGED, P.TRIAL, P.CONFIRMED], True),
        ([P.FETCHING, P.VERIFYING, P.TESTING, P.STAGED, P.CONFIRMED], True),
        ([P.FETCHING, P.TESTING, P.TRIAL, P.CONFIRMED], False),
        ([P.FETCHING, P.TESTING, P.TRIAL], False),
        ([P.FETCHING, P.TRIAL, P.STAGED, P.CONFIRMED], False),
        ([P.FETCHING, P.FAILED], False),
        ([P.FETCHING, P.TESTING, P.FETCHING, P.CONFIRMED], False),
        ([], False),
    ],
)
def test_an_order_goes_well_if_its_phases_follow_the_course_to_the_end(
    phases: list[StagingPhase], well: bool
) -> None:
    assert goes_well(phases) is well


def course(*phases: StagingPhase) -> tuple[PhaseStart, ...]:
    return tuple(
        PhaseStart(phase=phase, at=f"2026-11-26T12:00:0{second}+00:00")
        for second, phase in enumerate(phases)
    )


def test_a_phase_that_was_over_before_its_report_is_told_all_the_same() -> None:
    timeline = Timeline()
    ended = (P.FETCHING, P.VERIFYING, P.TESTING)
    timeline.take(0.0, stager(P.CONFIRMED, "o1", course=course(P.FETCHING, P.CONFIRMED)), None)
    timeline.take(1.0, stager(P.FETCHING, course=course(P.FETCHING)), None)
    timeline.take(2.0, stager(P.STAGED, course=course(*ended, P.STAGED)), None)
    timeline.take(3.0, stager(P.STAGED, course=course(*ended, P.STAGED), slot="s"), None)
    assert phases_of(timeline.told, "o2") == [*ended, P.STAGED]
    assert phases_of(timeline.told, "o3") == []
    assert [row[2] for row in rows(timeline.told)] == [
        "fetching > confirmed",
        "fetching",
        "verifying > testing > staged",
    ]


def test_a_download_is_told_with_its_progress() -> None:
    timeline = Timeline()
    progress = Progress(fetchedBytes=1_500_000, totalBytes=3_000_000)
    timeline.take(0.0, stager(P.FETCHING, progress=progress), None)
    assert list(rows(timeline.told)) == [("0.0", "o2", "fetching, 1.5 of 3.0 MB", "")]
