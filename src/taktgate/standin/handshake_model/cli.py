"""`taktgate plc model-check`: every state of the handshake, and every seeded bug."""

import argparse
import json
import sys
from typing import Final

from taktgate.standin.handshake_model.bugs import BUGS
from taktgate.standin.handshake_model.check import check_scenario, hunt_all
from taktgate.standin.handshake_model.report import Report, as_json, as_table
from taktgate.standin.handshake_model.scenarios import SCENARIOS

EXIT_GOOD: Final = 0
EXIT_BAD: Final = 1

_EPILOG: Final = """\
exit code: 0 no violation, and every seeded bug is caught; 1 otherwise; 2 bad arguments

example:
  taktgate plc model-check
  taktgate plc model-check --scenario loss --scenario reboot --no-bugs --json
  taktgate plc model-check --trace | less
"""


def add_model_check(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `model-check` to the commands of `taktgate plc`."""
    parser = verbs.add_parser(
        "model-check",
        help="search every state of the handshake with the PLC",
        description=(
            "Run the writer's real rules against a model of the PLC's program and a network that"
            " loses, delays, repeats and reorders, through restarts of everything, and hold every"
            " step against the safety properties. Then do it again with each of the seeded bugs."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_scenario_choice(parser)
    add = parser.add_argument
    add("--deep", action="store_true", help="wider scenarios, some 10^6 states: takes long")
    add(
        "--bugs",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="hunt the seeded bugs of these scenarios",
    )
    add("--trace", action="store_true", help="print the way to each seeded bug, move by move")
    add("--json", action="store_true", help="print one JSON object, traces included")
    parser.set_defaults(run=run)


def add_scenario_choice(parser: argparse.ArgumentParser) -> None:
    """Add `--scenario NAME`, which may be given again."""
    parser.add_argument(
        "--scenario",
        action="append",
        choices=tuple(SCENARIOS),
        metavar="NAME",
        help=f"only this one, may be given again: {', '.join(SCENARIOS)}",
    )


def run(options: argparse.Namespace) -> int:
    """Check what *options* say; return the exit code."""
    names = tuple(dict.fromkeys(options.scenario or SCENARIOS))
    rows = tuple(check_scenario(SCENARIOS[name], is_deep=options.deep, tell=tell) for name in names)
    bugs = [bug for bug in BUGS if options.bugs and bug.scenario in names]
    report = Report(scenarios=rows, bugs=hunt_all(bugs, tell=tell))
    if options.json:
        sys.stdout.write(json.dumps(as_json(report)) + "\n")
    else:
        sys.stdout.write(as_table(report, has_traces=options.trace) + "\n")
    return EXIT_GOOD if report.is_good else EXIT_BAD


def tell(progress: str) -> None:
    """Show *progress* beside the report."""
    sys.stderr.write(progress + "\n")
    sys.stderr.flush()
