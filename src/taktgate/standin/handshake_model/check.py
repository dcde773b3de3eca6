"""A whole run: each scenario to its end, then each seeded bug until it is found."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import Final

from taktgate.standin.handshake_model.bug import Bug, seeded
from taktgate.standin.handshake_model.model import Model
from taktgate.standin.handshake_model.moves import begin
from taktgate.standin.handshake_model.report import BugRow, ScenarioRow
from taktgate.standin.handshake_model.scenario import Haste, Scenario
from taktgate.standin.handshake_model.scenarios import SCENARIOS
from taktgate.standin.handshake_model.search import explore

Tell = Callable[[str], None]
DEEP_STATES: Final = 200_000
"""Where a deep search of one scenario ends at the latest: some have no end in an hour."""
BUG_STATES: Final = 30_000
"""A bug that this many states do not show counts as not caught."""


def deepened(scenario: Scenario) -> Scenario:
    """Return *scenario* with all the time in the world: no haste, and verdicts of any kind."""
    haste = Haste.ALL if scenario.haste is Haste.ALL else Haste.NONE
    return replace(scenario, haste=haste, verdicts=(True, False), lead=())


def check_scenario(scenario: Scenario, *, is_deep: bool, tell: Tell) -> ScenarioRow:
    """Search *scenario* to its end; a deep search is wider, and may end at `DEEP_STATES`."""
    began = time.process_time()
    model = Model(deepened(scenario) if is_deep else scenario)
    findings = explore(
        model,
        begin(model, model.scenario.lead),
        max_states=DEEP_STATES if is_deep else None,
        tell=lambda states, depth: tell(f"{scenario.name}: {states} states, depth {depth}"),
    )
    tell(f"{scenario.name}: {findings.states} states, {len(findings.violations)} violations")
    return ScenarioRow(scenario=scenario, findings=findings, seconds=time.process_time() - began)


@cache
def hunt(bug: Bug) -> BugRow:
    """Search the scenario of *bug*, with the bug in, until the property of its row breaks.

    The same search finds the same, so it is made once: the player asks for the ways again.
    """
    with seeded(bug):
        model = Model(SCENARIOS[bug.scenario])
        findings = explore(
            model, begin(model, bug.lead), max_states=BUG_STATES, wanted=bug.property
        )
    violation = findings.violations[0] if findings.violations else None
    return BugRow(bug=bug, violation=violation, states=findings.states)


def hunt_all(bugs: Iterable[Bug], *, tell: Tell) -> tuple[BugRow, ...]:
    """Hunt each of *bugs*."""
    rows = []
    for bug in bugs:
        rows.append(hunt(bug))
        tell(f"{bug.name}: {'caught' if rows[-1].is_caught else 'NOT CAUGHT'}")
    return tuple(rows)
