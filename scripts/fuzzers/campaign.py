"""Runs cases against one target and keeps what breaks a promise, made as small as it gets."""

import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Protocol

SLOW_S = 2.0
SHRINKING_TRIES = 400
PROGRESS_EVERY_S = 5.0


class BrokenPromiseError(Exception):
    """The code under test did not do what it promises."""


class Target(Protocol):
    """What is fuzzed. A case is any value; `check` raises when the code does what it must not."""

    @property
    def name(self) -> str:
        """Its name on the command line."""

    def make(self, random: Random) -> Any:
        """Return a case; the same for the same *random*."""

    async def check(self, case: Any) -> None:
        """Put the case through the code. Whatever is raised is a finding."""

    def smaller(self, case: Any) -> Iterable[Any]:
        """Return simpler cases that may fail alike."""

    def show(self, case: Any) -> str:
        """Return the case as text to be pasted into a test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One broken promise, by where it comes from."""

    where: str
    """The error's class and the innermost line of ours that it went through."""
    error: str
    number: int
    """The first case that shows it."""
    input: str
    seen: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a campaign came to."""

    target: str
    seed: int
    cases: int
    seconds: float
    slowest_ms: float
    findings: list[Finding] = field(default_factory=list)


async def run(
    target: Target,
    *,
    cases: int,
    seed: int,
    first: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Put *cases* cases through *target*, from number *first* on."""
    began_s = told_s = time.monotonic()
    findings: dict[str, Finding] = {}
    slowest_s = 0.0
    for number in range(first, first + cases):
        case = target.make(Random(f"{seed}/{target.name}/{number}"))  # noqa: S311 - no secret
        case_began_s = time.process_time()
        error = await _error_of(target, case)
        slowest_s = max(slowest_s, time.process_time() - case_began_s)
        if error is not None:
            await _note(findings, target, case, number, error)
        if time.monotonic() - told_s > PROGRESS_EVERY_S:
            told_s = time.monotonic()
            rate = (number - first + 1) / (told_s - began_s)
            progress(f"{target.name}: {number - first + 1} of {cases} cases, {rate:.0f}/s")
    return Report(
        target=target.name,
        seed=seed,
        cases=cases,
        seconds=time.monotonic() - began_s,
        slowest_ms=1000 * slowest_s,
        findings=list(findings.values()),
    )


async def _error_of(target: Target, case: Any) -> Exception | None:
    began_s = time.process_time()
    try:
        await target.check(case)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return error
    spent_s = time.process_time() - began_s
    return BrokenPromiseError(f"took {spent_s:.1f} s") if spent_s > SLOW_S else None


async def _note(
    findings: dict[str, Finding], target: Target, case: Any, number: int, error: Exception
) -> None:
    where = _where(error)
    if known := findings.get(where):
        findings[where] = replace(known, seen=known.seen + 1)
        return
    small = await _smallest(target, case, where)
    text = "".join(traceback.format_exception_only(error)).strip()
    findings[where] = Finding(where=where, error=text, number=number, input=target.show(small))


async def _smallest(target: Target, case: Any, where: str) -> Any:
    """Return the smallest case found that fails at the same place."""
    tries = SHRINKING_TRIES
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for candidate in target.smaller(case):
            tries -= 1
            if tries < 0:
                return case
            error = await _error_of(target, candidate)
            if error is not None and _where(error) == where:
                case, is_smaller = candidate, True
                break
    return case


def _where(error: BaseException) -> str:
    """Return what tells findings apart: a promise's own words, and the innermost line of ours."""
    source = error.__cause__ or error
    frames = traceback.extract_tb(source.__traceback__)
    ours = [frame for frame in frames if "/taktgate/" in frame.filename]
    kind = type(source).__name__
    if isinstance(error, BrokenPromiseError):
        kind = str(error).partition(";")[0]
    if not ours:
        return kind
    place = ours[-1].filename[ours[-1].filename.rindex("/taktgate/") + 1 :]
    return f"{kind} at {place}:{ours[-1].lineno}"
