"""What a station told the cloud of its models, in the order in which the hub heard it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from taktgate.contracts.model import ModelRef
from taktgate.contracts.twins import (
    InspectionReported,
    PhaseStart,
    StagerReported,
    StagingPhase,
)
from taktgate.standin.demo.staging_sight import COURSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One change of a station's reported properties."""

    at_s: float
    """Since the story began."""
    stager: StagerReported | None
    inspection: InspectionReported | None


class Timeline:
    """Collects what is new."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def take(
        self, at_s: float, stager: StagerReported | None, inspection: InspectionReported | None
    ) -> None:
        """Take both sections as the hub has them now; what it had before is no news."""
        last = self.told[-1] if self.told else None
        if last is None or (last.stager, last.inspection) != (stager, inspection):
            self.told.append(Told(at_s=at_s, stager=stager, inspection=inspection))


def phases_of(told: Sequence[Told], order: str) -> list[StagingPhase]:
    """Return the phases of *order*: the course that the last report about it tells."""
    courses = [
        each.stager.course
        for each in told
        if each.stager is not None and each.stager.order == order
    ]
    return [step.phase for step in courses[-1]] if courses else []


def goes_well(phases: Sequence[StagingPhase]) -> bool:
    """Tell whether *phases* are COURSE; a trial may pass between two looks at its record."""
    without_trial = [phase for phase in COURSE if phase is not StagingPhase.TRIAL]
    return list(phases) in (list(COURSE), without_trial)


def rows(told: Sequence[Told]) -> Iterator[tuple[str, str, str, str]]:
    """Yield time, order, what the stager and what inference say, where one of them has news.

    A phase that was over before it was reported stands before the one that goes on: `testing > `.
    """
    before = ("", "")
    known: Sequence[PhaseStart] = ()
    for each in told:
        said = (_stager_said(each.stager), _inspection_said(each.inspection))
        if said == before:
            continue
        course = each.stager.course if each.stager else ()
        passed = "".join(f"{step.phase} > " for step in course[:-1] if step not in known)
        order = each.stager.order if each.stager else None
        yield f"{each.at_s:.1f}", order or "", passed + said[0], said[1]
        before, known = said, course


def as_json(told: Sequence[Told]) -> list[dict[str, Any]]:
    """Return the timeline as plain documents."""
    return [
        {"at_s": float(at_s), "order": order, "stager": stager, "inspection": inspection}
        for at_s, order, stager, inspection in rows(told)
    ]


def _stager_said(report: StagerReported | None) -> str:
    if report is None:
        return ""
    words = [report.phase.value]
    if report.progress is not None:
        done, total = report.progress.fetchedBytes / 1e6, report.progress.totalBytes / 1e6
        words.append(f"{done:.1f} of {total:.1f} MB")
    words += [f"{name} {ref.version}" for name, ref in _models(report) if ref is not None]
    if report.hold is not None:
        words.append(f"held: {report.hold}")
    if report.lastError is not None:
        words.append(f"{report.lastError.reason}: {report.lastError.message}")
    return ", ".join(words)


def _models(report: StagerReported) -> Iterator[tuple[str, ModelRef | None]]:
    yield "live", report.live
    yield "candidate", report.candidate
    if report.lastKnownGood != report.live:
        yield "good", report.lastKnownGood


def _inspection_said(report: InspectionReported | None) -> str:
    if report is None:
        return ""
    live = f", {report.live.version} judges" if report.live else ""
    rollback = report.lastRollback
    sent_back = f", {rollback.order} sent back: {rollback.reason}" if rollback else ""
    return f"{report.phase}{live}{sent_back}"
