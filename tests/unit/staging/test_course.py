"""The course of an order: every phase with its begin, also across restarts and give-ups."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from taktgate.bundle.signing import TrustedKeys
from taktgate.contracts.twins import MAX_COURSE, PhaseStart, StagingPhase
from taktgate.staging.course import extended
from taktgate.standin.staging import MemoryRegistry, StagerRig

P = StagingPhase
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


@given(st.lists(st.sampled_from(P), max_size=40))
def test_a_course_begins_with_the_order_and_ends_with_what_goes_on(phases: list[P]) -> None:
    course: tuple[PhaseStart, ...] = ()
    for second, phase in enumerate(phases):
        course = extended(course, phase, NOON + timedelta(seconds=second))
    assert len(course) <= MAX_COURSE
    changes = [
        (second, phase)
        for second, phase in enumerate(phases)
        if second == 0 or phases[second - 1] is not phase
    ]
    kept = changes if len(changes) <= MAX_COURSE else [changes[0], *changes[1 - MAX_COURSE :]]
    assert [(step.phase, step.at) for step in course] == [
        (phase, (NOON + timedelta(seconds=second)).isoformat()) for second, phase in kept
    ]


def told(rig: StagerRig) -> list[str]:
    return [f"{step.phase} {step.at[11:19]}" for step in rig.desk.report().course]


def test_one_report_tells_every_phase_of_an_order_and_no_former_one(rig: StagerRig) -> None:
    rig.order("1.0.0")
    rig.work(seconds=5)
    staging = ["fetching", "verifying", "testing", "staged"]
    assert told(rig) == [f"{phase} 12:00:05" for phase in staging]
    rig.order("2.0.0", order="o2")
    rig.work(seconds=60)
    assert told(rig) == [f"{phase} 12:01:05" for phase in staging]


def test_a_restart_goes_on_with_the_course(
    rig: StagerRig, tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    def pull_the_plug() -> None:
        if rig.journal.record.phase is StagingPhase.VERIFYING:
            raise KeyboardInterrupt

    rig.order("1.0.0")
    try:
        rig.work(check=pull_the_plug)
    except KeyboardInterrupt:
        rig = StagerRig(tmp_path, registry=registry, keys=keys)
    rig.now_s = 30
    rig.stager.recover()
    rig.order("1.0.0")
    rig.work()
    first = ["fetching 12:00:00", "verifying 12:00:00"]
    again = ["fetching", "verifying", "testing", "staged"]
    assert told(rig) == first + [f"{phase} 12:00:30" for phase in again]


def test_an_order_that_is_given_up_keeps_its_course(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    rig = StagerRig(tmp_path, registry=registry, keys=keys)
    rig.order("9.9.9")
    rig.work()
    assert [step.split()[0] for step in told(rig)][:1] == ["fetching"]
    for _ in range(10):
        rig = StagerRig(tmp_path, registry=registry, keys=keys)
        rig.stager.recover()
    assert rig.journal.record.phase is StagingPhase.FAILED
    assert [step.split()[0] for step in told(rig)] == ["fetching", "failed"]
