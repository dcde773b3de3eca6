"""All states of all scenarios, checked side by side in forked processes that are warm already."""

import gc
import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from crash_campaign.checks import Promises, Violation, check
from crash_campaign.course import Scenario
from crash_campaign.disk import Cut, Tree, states_of
from crash_campaign.faults import FaultCase, check_fault, count_calls, fault_cases
from crash_campaign.recording import Recording, record, write_tree
from crash_campaign.scenarios import SCENARIOS
from crash_campaign.world import World
from taktgate.contracts.activation import Activation
from taktgate.contracts.codec import ContractError, decode
from taktgate.inspection.activation_file import ACTIVATION

_CHUNK: Final = 8
REFUSED_EVERYWHERE: Final = frozenset(
    [
        "first",
        "second",
        "resumed",
        "activation",
        "retrial",
        "rollback",
        "fallback",
        "collection",
        "withdrawn",
        "damaged",
    ]
)
"""Each kind of work once: here the disk refuses at every call."""
_ONE_OF: Final = 12
"""Of the others, so many faults does one stand for: they do the same work, in another order."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One violation, and how to see it again."""

    state: str
    call: str
    lost: str
    violation: Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One state of one scenario, to be checked."""

    scenario: str
    cut: Cut

    @property
    def name(self) -> str:
        """Return what `--replay` takes."""
        return f"{self.scenario}:{self.cut.state.cut}:{self.cut.state.variant}"


class Decision(StrEnum):
    """Which model a boot takes, by what was there before the recording."""

    OLD = "old"
    NEW = "new"
    NONE = "none"


class Campaign:
    """Recordings of *scenarios*, and the states that follow from them."""

    def __init__(
        self, folder: Path, *, seed: int, scenarios: Sequence[Scenario] = SCENARIOS
    ) -> None:
        """Record them below *folder*, a place in memory; within `small_and_silent`."""
        self.folder = folder
        self.world = World(folder / "world")
        self.recordings: dict[str, Recording] = {}
        early = [each for each in scenarios if each.is_early]
        for scenario in early:
            scenario.lay_out(folder / scenario.name, self.world)
        self.world.rotate_keys()
        for scenario in scenarios:
            root = folder / scenario.name
            if not scenario.is_early:
                scenario.lay_out(root, self.world)
            shutil.copytree(root, folder / "base" / scenario.name)
            self.recordings[scenario.name] = record(scenario, root, self.world)
        self.cases = [
            Case(scenario=name, cut=cut)
            for name, recording in self.recordings.items()
            for cut in states_of(recording.base, recording.calls, seed=seed)
        ]

    def decision(self, case: Case) -> Decision:
        """Return what a boot on *case* decides: what the activation on its disk says."""
        base = _good_in(self.recordings[case.scenario].base)
        found = _good_in(case.cut.state.tree)
        if found is None:
            return Decision.NONE
        return Decision.OLD if found == base else Decision.NEW

    def sample(self, count: int, seed: int) -> list[Case]:
        """Return *count* of the cases, as many of each scenario as its share, but a few of each."""
        dice = random.Random(seed)  # noqa: S311 - nothing secret
        by_scenario: dict[str, list[Case]] = {}
        for case in self.cases:
            by_scenario.setdefault(case.scenario, []).append(case)
        few = max(1, count // (3 * len(by_scenario)))
        chosen = [
            case
            for cases in by_scenario.values()
            for case in dice.sample(cases, min(few, len(cases)))
        ]
        taken = {case.name for case in chosen}
        rest = [case for case in self.cases if case.name not in taken]
        return chosen + dice.sample(rest, min(max(0, count - len(chosen)), len(rest)))

    def check(self, case: Case) -> Violation | None:
        """Lay one state out and hold it against the invariants."""
        recording = self.recordings[case.scenario]
        root = self.folder / f"check-{multiprocessing.current_process().pid}"
        write_tree(case.cut.state.tree, root)
        promises = Promises(recording.facts, recording.scenario)
        try:
            return check(root, self.world, promises, case.cut.moments)
        finally:
            shutil.rmtree(root)

    def check_fault(self, case: FaultCase) -> Violation | None:
        """Let a fault befall a scenario and hold what comes of it against the invariants."""
        root = self.folder / f"check-{multiprocessing.current_process().pid}"
        scenario = self.recordings[case.scenario].scenario
        return check_fault(case, scenario, self.folder / "base" / case.scenario, root, self.world)

    def fault_cases(self, *, every: bool = False) -> list[FaultCase]:
        """Return each fault at each call of the scenarios REFUSED_EVERYWHERE, and some of others.

        *every* one of the others as well: that takes some minutes more.
        """
        root = self.folder / "counted"
        counted = {
            name: count_calls(its.scenario, self.folder / "base" / name, root, self.world)
            for name, its in self.recordings.items()
        }
        cases = list(fault_cases(counted))
        whole = [case for case in cases if case.scenario in REFUSED_EVERYWHERE]
        others = [case for case in cases if case.scenario not in REFUSED_EVERYWHERE]
        return whole + others[:: 1 if every else _ONE_OF]

    def run_faults(
        self, cases: Sequence[FaultCase], *, workers: int, progress: Progress
    ) -> list[tuple[FaultCase, Violation]]:
        """Let each of *cases* happen; return what does not hold."""
        found = []
        for done, (index, violation) in enumerate(self._spread(_befall, cases, workers), start=1):
            progress(done, len(cases))
            if violation is not None:
                found.append((cases[index], violation))
        return found

    def run(
        self,
        cases: Sequence[Case],
        *,
        workers: int,
        progress: Progress,
        stop_at_first: bool = False,
    ) -> list[Found]:
        """Check *cases*; return what does not hold."""
        found: list[Found] = []
        for done, (index, violation) in enumerate(self._spread(_check, cases, workers), start=1):
            progress(done, len(cases))
            if violation is not None:
                found.append(self.found(cases[index], violation))
                if stop_at_first:
                    break
        return found

    def found(self, case: Case, violation: Violation) -> Found:
        """Return *violation* with what the state is."""
        calls, cut = self.recordings[case.scenario].calls, case.cut.state.cut
        before = str(calls[cut - 1]) if cut else "the beginning"
        return Found(
            state=case.name,
            call=f"after call {cut}, {before}",
            lost=case.cut.state.lost,
            violation=violation,
        )

    def _spread(
        self,
        work: Callable[[int], tuple[int, Violation | None]],
        cases: Sequence[Case] | Sequence[FaultCase],
        workers: int,
    ) -> Iterator[tuple[int, Violation | None]]:
        """Yield what *work* makes of each of *cases*, by its index."""
        global _CAMPAIGN, _CASES  # what forked workers find: too large to be sent
        _CAMPAIGN, _CASES = self, cases
        gc.collect()
        gc.freeze()  # the states are many, and stay: no collection is to walk through them
        if workers == 1:
            yield from map(work, range(len(cases)))
            return
        with multiprocessing.get_context("fork").Pool(workers, os.nice, (19,)) as pool:
            yield from pool.imap_unordered(work, range(len(cases)), _CHUNK)


_CAMPAIGN: Campaign | None = None
_CASES: Sequence[Case] | Sequence[FaultCase] = ()


def _check(index: int) -> tuple[int, Violation | None]:
    case = _CASES[index]
    assert _CAMPAIGN is not None
    assert isinstance(case, Case)
    return index, _CAMPAIGN.check(case)


def _befall(index: int) -> tuple[int, Violation | None]:
    case = _CASES[index]
    assert _CAMPAIGN is not None
    assert isinstance(case, FaultCase)
    return index, _CAMPAIGN.check_fault(case)


def _good_in(tree: Tree) -> str | None:
    """Return the digest that *tree* has as last-known-good."""
    content = tree.get(f"state/{ACTIVATION}")
    if content is None:
        return None
    try:
        good = decode(Activation, content).last_known_good
    except ContractError:
        return None
    return None if good is None else good.model.digest


def silent(_done: int, _total: int) -> None:
    """Show no progress."""


def elapsed_s(since: float) -> float:
    """Return the seconds since *since*, rounded."""
    return round(time.monotonic() - since, 1)
