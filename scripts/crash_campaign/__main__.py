"""The command `scripts/crash_points`."""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from crash_campaign.campaign import Campaign, Case, Decision, elapsed_s
from crash_campaign.full_start import start_all, stratified
from crash_campaign.hunting import hunt_here
from crash_campaign.mutants import Fate, hunt
from crash_campaign.picture import picture
from crash_campaign.proof import is_possible, prove, record_to
from crash_campaign.report import UNREACHABLE, coverage, rows_of, rows_to_cover, say, uncovered
from crash_campaign.tools_here import small_and_silent

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
_EXAMPLE: Final = """\
examples:
  scripts/crash_points --json crash.json      all of it, some minutes
  scripts/crash_points --sample 500           some states of every scenario, no mutants
  scripts/crash_points --replay second:31:23  one state again, with all that is known of it
exit: 0 nothing found, 1 a violation or a mutant that survived, 2 usage
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; 1 if something is found."""
    choices = _options().parse_args(arguments)
    began = time.monotonic()
    memory = _MEMORY if _MEMORY.is_dir() else None
    with (
        small_and_silent(),
        tempfile.TemporaryDirectory(prefix="taktgate-crash-", dir=memory) as folder,
    ):
        if choices.record is not None:
            record_to(choices.record)
            return 0
        if choices.prove_recorder:
            return _prove(Path(folder))
        if choices.hunt:
            print(hunt_here(Path(folder), choices.hunt.split(","), seed=choices.seed))
            return 0
        campaign = Campaign(Path(folder), seed=choices.seed)
        if choices.replay:
            return _replay(campaign, choices.replay)
        outcome = _run(campaign, Path(folder), choices)
    outcome["seconds"] = elapsed_s(began)
    say(outcome)
    if choices.json is not None:
        choices.json.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
    if choices.plot is not None:
        choices.plot.write_text(picture(outcome["scenarios"]), encoding="utf-8")
    is_bad = bool(outcome["violations"] or outcome["uncovered"])
    return int(is_bad or outcome["mutants_killed"] < outcome["mutants"])


def _prove(folder: Path) -> int:
    if not is_possible():
        print("skipped: strace is not here")
        return 0
    what = prove(folder)
    print(what or "the recording is what the kernel was asked for, call by call")
    return int(what is not None)


def _run(campaign: Campaign, folder: Path, choices: argparse.Namespace) -> dict[str, Any]:
    is_whole = choices.sample is None
    cases = campaign.cases if is_whole else campaign.sample(choices.sample, choices.seed)
    found = campaign.run(cases, workers=choices.workers, progress=_progress("states"))
    refusals = campaign.fault_cases(every=choices.every_refusal)
    if not is_whole:
        refusals = random.Random(choices.seed).sample(  # noqa: S311 - nothing secret
            refusals, min(len(refusals), choices.sample // 4)
        )
    stumbled = campaign.run_faults(refusals, workers=choices.workers, progress=_progress("faults"))
    chosen = stratified(campaign, choices.starts, choices.seed)
    failed = start_all(campaign, chosen, _progress("full starts"))
    covered = coverage(campaign, cases)
    started = {row for case in chosen for row in rows_of(campaign, case)}
    fates: list[Fate] = []
    if is_whole or choices.mutants:
        fates = hunt(folder / "mutants", _said_of_mutant, workers=choices.workers)
    return {
        "seed": choices.seed,
        "states": len(cases),
        "faults": len(refusals),
        "full_starts": len(chosen),
        "rows_covered": len(started & set(rows_to_cover())),
        "rows": len(rows_to_cover()),
        "uncovered": uncovered(covered) if is_whole else [],
        "unreachable": UNREACHABLE,
        "violations": len(found) + len(stumbled) + len(failed),
        "mutants": len(fates),
        "mutants_killed": sum(fate.invariant is not None for fate in fates),
        "scenarios": _scenarios(campaign, cases, [each.state for each in found]),
        "coverage": covered,
        "found": [
            {
                "state": each.state,
                "call": each.call,
                "lost": each.lost,
                "invariant": each.violation.invariant,
                "message": each.violation.message,
            }
            for each in found
        ],
        "failed_starts": [
            {"state": case.name, "invariant": each.invariant, "message": each.message}
            for case, each in failed
        ],
        "stumbled": [
            {"fault": case.name, "invariant": each.invariant, "message": each.message}
            for case, each in stumbled
        ],
        "fates": [
            {"mutant": each.mutant, "invariant": each.invariant, "detail": each.detail}
            for each in fates
        ],
    }


def _scenarios(
    campaign: Campaign, cases: Sequence[Case], found: Sequence[str]
) -> list[dict[str, Any]]:
    decided = Counter((case.scenario, campaign.decision(case)) for case in cases)
    wrong = Counter(state.split(":")[0] for state in found)
    return [
        {
            "name": name,
            "calls": len(recording.calls),
            "states": sum(decided[name, each] for each in Decision),
            **{str(each): decided[name, each] for each in Decision},
            "violations": wrong[name],
        }
        for name, recording in campaign.recordings.items()
    ]


def _replay(campaign: Campaign, name: str) -> int:
    case = next((each for each in campaign.cases if each.name == name), None)
    if case is None:
        print(f"no state {name!r} with this seed", file=sys.stderr)
        return 2
    for number, call in enumerate(campaign.recordings[case.scenario].calls):
        if number == case.cut.state.cut:
            print(f"      --- the power goes: {case.cut.state.lost} ---")
        print(f"{number:5} {call}")
    violation = campaign.check(case)
    for path, content in sorted(case.cut.state.tree.items()):
        print(f"      {path}{'/' if content is None else f' {len(content)} B'}")
    print("all well" if violation is None else f"{violation.invariant}: {violation.message}")
    return int(violation is not None)


def _progress(what: str) -> Any:
    began = time.monotonic()

    def show(done: int, total: int) -> None:
        if done % max(1, total // 50) == 0 or done == total:
            spent = time.monotonic() - began
            print(f"\r{what}: {done} of {total}, {spent:.0f} s", end="", file=sys.stderr)
            if done == total:
                print(file=sys.stderr)

    return show


def _said_of_mutant(fate: Fate) -> None:
    print(f"mutant {fate.mutant}: {fate.invariant or 'SURVIVED'}", file=sys.stderr)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/crash_points",
        description="Cut the power at every call of every staging and activation.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report to FILE")
    parser.add_argument("--sample", type=int, metavar="N", help="check N states only, no mutants")
    parser.add_argument(
        "--starts", type=int, default=100, metavar="N", help="start the real processes on N states"
    )
    parser.add_argument(
        "--every-refusal",
        action="store_true",
        help="refuse every call of every scenario; else of some, and every twelfth of the others",
    )
    parser.add_argument("--mutants", action="store_true", help="mutants too, with --sample")
    parser.add_argument("--seed", type=int, default=1, help="which states, where not all are")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--replay", metavar="STATE", help="check one state again, by its name")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the states as an SVG")
    parser.add_argument(
        "--prove-recorder",
        action="store_true",
        help="compare a recording with what strace saw of it, and do no more",
    )
    parser.add_argument("--record", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--hunt", metavar="SCENARIOS", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
