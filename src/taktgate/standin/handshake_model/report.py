"""What a run of the model checker says: a table for people, one object for programs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from taktgate.standin.handshake_model.bug import Bug
from taktgate.standin.handshake_model.moves import MOVES_BY_NAME, Taken
from taktgate.standin.handshake_model.scenario import Scenario
from taktgate.standin.handshake_model.search import Findings, Violation

_MARK: Final = {True: "yes", False: "NO"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioRow:
    """What the search of one scenario found, and how long it took, in seconds of this process."""

    scenario: Scenario
    findings: Findings
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BugRow:
    """What became of one seeded bug."""

    bug: Bug
    violation: Violation | None
    states: int

    @property
    def is_caught(self) -> bool:
        """True when the property that the bug's row names breaks."""
        return self.violation is not None and self.violation.property.name == self.bug.property

    @property
    def length(self) -> int:
        """Moves from the start to the violation, 0 without one."""
        return 0 if self.violation is None else len(self.bug.lead) + len(self.violation.trace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole run."""

    scenarios: tuple[ScenarioRow, ...]
    bugs: tuple[BugRow, ...]

    @property
    def violations(self) -> list[tuple[Scenario, Violation]]:
        """What the rules as they are do wrong."""
        return [(row.scenario, one) for row in self.scenarios for one in row.findings.violations]

    @property
    def is_good(self) -> bool:
        """True without a violation and with every seeded bug caught."""
        return not self.violations and all(row.is_caught for row in self.bugs)


def as_json(report: Report) -> dict[str, Any]:
    """Return *report* as one JSON object. `states` and `depth` are of the rules as they are."""
    return {
        "states": sum(row.findings.states for row in report.scenarios),
        "steps": sum(row.findings.steps for row in report.scenarios),
        "depth": max((row.findings.depth for row in report.scenarios), default=0),
        "is_exhausted": all(row.findings.is_exhausted for row in report.scenarios),
        "violations": len(report.violations),
        "violations_found": [
            {"scenario": scenario.name, **_violation(one, ())}
            for scenario, one in report.violations
        ],
        "seeded_bugs": len(report.bugs),
        "seeded_bugs_caught": sum(row.is_caught for row in report.bugs),
        "scenarios": [_scenario(row) for row in report.scenarios],
        "bugs": [_bug(row) for row in report.bugs],
    }


def as_table(report: Report, *, has_traces: bool) -> str:
    """Return *report* for reading, with the traces of the seeded bugs if they are wanted."""
    lines = ["scenario                  states    steps depth accepts rejects   all      s"]
    lines += [
        f"{row.scenario.name:<22}{row.findings.states:>10}{row.findings.steps:>9}"
        f"{row.findings.depth:>6}{row.findings.accepts:>8}{row.findings.rejects:>8}"
        f"{_MARK[row.findings.is_exhausted]:>6}{row.seconds:>7.1f}"
        for row in report.scenarios
    ]
    for scenario, one in report.violations:
        lines += ["", f"VIOLATION in {scenario.name}: {one.property.name}, {one.property.words}"]
        lines += in_words(one.trace)
    if report.bugs:
        lines += ["", "seeded bug                              caught by          moves  states"]
    for row in report.bugs:
        caught = row.bug.property if row.is_caught else "NOT CAUGHT"
        lines.append(f"{row.bug.name:<40}{caught:<18}{row.length:>6}{row.states:>8}")
        if has_traces and row.violation is not None:
            lines += [f"  forgot {row.bug.forgot}", *in_words(_whole(row.bug, row.violation))]
    return "\n".join([*lines, "", _summary(report)])


def read_trace(said: Iterable[list[Any]]) -> tuple[Taken, ...]:
    """Return the trace that *said* is in JSON, to take it again."""
    return tuple(
        Taken(name, tuple(argument) if isinstance(argument, list) else argument)
        for name, argument in said
    )


def in_words(trace: Iterable[Taken]) -> list[str]:
    """Return *trace* line by line, in words."""
    return [
        f"  {number:>3}. {MOVES_BY_NAME[taken.name].words.format(taken.argument)}"
        for number, taken in enumerate(trace, start=1)
    ]


def _summary(report: Report) -> str:
    facts = as_json(report)
    return (
        f"{facts['states']} states, depth {facts['depth']}, {facts['violations']} violations;"
        f" {facts['seeded_bugs_caught']} of {facts['seeded_bugs']} seeded bugs caught"
    )


def _whole(bug: Bug, violation: Violation) -> tuple[Taken, ...]:
    lead = tuple(Taken(name, argument) for name, argument in bug.lead)
    return (*lead, *violation.trace)


def _violation(violation: Violation, lead: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    trace = [*lead, *violation.trace]
    return {
        "property": violation.property.name,
        "words": violation.property.words,
        "trace": [list(taken) for taken in trace],
    }


def _scenario(row: ScenarioRow) -> dict[str, Any]:
    found = row.findings
    return {
        "name": row.scenario.name,
        "words": row.scenario.words,
        "states": found.states,
        "steps": found.steps,
        "depth": found.depth,
        "is_exhausted": found.is_exhausted,
        "accepts": found.accepts,
        "rejects": found.rejects,
        "violations": len(found.violations),
        "seconds": round(row.seconds, 2),
        "moves": dict(sorted(found.moves.items())),
    }


def _bug(row: BugRow) -> dict[str, Any]:
    return {
        "name": row.bug.name,
        "forgot": row.bug.forgot,
        "scenario": row.bug.scenario,
        "property": row.bug.property,
        "is_caught": row.is_caught,
        "moves": row.length,
        "states": row.states,
        **({} if row.violation is None else {"found": _violation(row.violation, row.bug.lead)}),
    }
