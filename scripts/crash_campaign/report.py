"""What a campaign says: a table, the rows of the state tables that were cut, the mutants."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from crash_campaign.campaign import Campaign, Case
from taktgate.inspection.agent import phases
from taktgate.staging import states

UNREACHABLE: Final = {
    "idle - withdrawn": "an order is withdrawn only where there is one",
    "verifying - barred": "a bar is looked for before the download and before the announcement",
}
"""Rows of the stager's table that no course of events enters, and why."""


def tables() -> dict[str, list[str]]:
    """Return the rows of the stager's tables and of the agent's."""
    staging = [f"{phase} - {event}" for phase, event in states.TRANSITIONS]
    return {
        "staging": staging + [f"resume {phase}" for phase in states.RESUME],
        "activation": [f"{phase} - {event}" for phase, event in phases.TRANSITIONS],
    }


def rows_to_cover() -> list[str]:
    """Return every row that can be entered, with its table's name before it."""
    return [
        f"{table}: {row}"
        for table, rows in tables().items()
        for row in rows
        if row not in UNREACHABLE
    ]


def rows_of(campaign: Campaign, case: Case) -> set[str]:
    """Return the rows in which the power may have gone to leave *case*."""
    facts = campaign.recordings[case.scenario].facts
    found = set[str]()
    for each in (facts[moment] for moment in case.cut.moments):
        found |= {f"staging: {each.staging_row}", f"staging: resume {each.record.phase}"}
        found.add(f"activation: {each.activation_row}")
    return found


def coverage(campaign: Campaign, cases: Sequence[Case]) -> dict[str, dict[str, int]]:
    """Return how many of *cases* were cut in each row of the tables."""
    cut = Counter[str]()
    for case in cases:
        cut.update(rows_of(campaign, case))
    return {
        table: {row: cut[f"{table}: {row}"] for row in rows} for table, rows in tables().items()
    }


def uncovered(covered: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return the rows that can be entered and were not cut."""
    return [
        f"{table}: {row}"
        for table, rows in covered.items()
        for row, count in rows.items()
        if not count and row not in UNREACHABLE
    ]


def say(outcome: Mapping[str, Any]) -> None:
    """Print the report."""
    columns = ("calls", "states", "old", "new", "none", "violations")
    print(f"{'scenario':18}" + "".join(f"{name:>11}" for name in columns))
    for each in outcome["scenarios"]:
        print(f"{each['name']:18}" + "".join(f"{each[name]:11}" for name in columns))
    _say_rows(outcome)
    for fate in outcome["fates"]:
        end = fate["invariant"] or f"SURVIVED: {fate['detail']}"
        print(f"mutant {fate['mutant']:52} {end}")
    _say_found(outcome)
    print(
        f"\n{outcome['states']} states, {outcome['full_starts']} full starts, "
        f"{outcome['faults']} faults, {outcome['violations']} violations, "
        f"{outcome['mutants_killed']} of {outcome['mutants']} mutants killed, "
        f"{outcome['seconds']} s"
    )


def _say_rows(outcome: Mapping[str, Any]) -> None:
    for table, rows in outcome["coverage"].items():
        cut = sum(count > 0 for count in rows.values())
        print(f"\n{table}: {cut} of {len(rows)} rows cut")
        for row, count in rows.items():
            print(f"  {row:32} {count:7}  {UNREACHABLE.get(row, '')}".rstrip())
    print(f"\nfull starts: {outcome['rows_covered']} of {outcome['rows']} rows")
    for row in outcome["uncovered"]:
        print(f"NOT CUT {row}")


def _say_found(outcome: Mapping[str, Any]) -> None:
    for each in outcome["found"][:20]:
        print(f"FOUND {each['invariant']} in {each['state']} ({each['call']}; {each['lost']})")
        print(f"      {each['message']}\n      scripts/crash_points --replay {each['state']}")
    for each in outcome["failed_starts"][:20]:
        print(f"FOUND {each['invariant']} in a full start on {each['state']}: {each['message']}")
    for each in outcome["stumbled"][:20]:
        print(f"FOUND {each['invariant']} by {each['fault']}: {each['message']}")
