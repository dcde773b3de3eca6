"""`scripts/plc_conformance`: the real writer before the real PLC program, held to the model."""

import argparse
import asyncio
import json
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from taktgate.plc.link.backends import BACKENDS
from taktgate.standin.handshake_model.cli import add_scenario_choice, tell
from taktgate.standin.handshake_model.scenarios import SCENARIOS
from taktgate.standin.handshake_player.campaign import (
    as_dict,
    find_all,
    finds_as_dict,
    play_all,
    scores,
)
from taktgate.standin.verdict_storm import campaign as storms

EXIT_GOOD: Final = 0
EXIT_BAD: Final = 1
_EPILOG: Final = """\
exit code: 0 no difference, nothing unsafe (with --seeded-bugs: every bug found); 1 otherwise;
           2 bad arguments

examples:
  scripts/plc_conformance
  scripts/plc_conformance --walks 2000 --seed 1 --json
  scripts/plc_conformance --backend cached --walks 200
  scripts/plc_conformance --seeded-bugs
  scripts/plc_conformance --verdicts 1000000 --seed 1
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the *arguments* ask for; return the exit code."""
    choices = _parser().parse_args(arguments)
    # A session that is lost is logged once; here it is lost a thousand times, on purpose.
    logging.disable(logging.CRITICAL)
    try:
        return _run(choices)
    finally:
        logging.disable(logging.NOTSET)


def _run(choices: argparse.Namespace) -> int:
    if choices.verdicts:
        season = storms.run(choices.verdicts, seed=choices.seed, jobs=choices.jobs, tell=tell)
        _print(season.as_dict(), is_json=choices.json)
        return EXIT_BAD if season.wrong else EXIT_GOOD
    if choices.seeded_bugs:
        finds = asyncio.run(find_all(tell=tell))
        _print(finds_as_dict(finds), is_json=choices.json)
        return EXIT_GOOD if all(find.played for find in finds) else EXIT_BAD
    began_s = time.monotonic()
    names = tuple(dict.fromkeys(choices.scenario or SCENARIOS))
    every = scores(names, max_states=choices.states, walks=choices.walks, seed=choices.seed)
    tally = asyncio.run(play_all(every, backend=BACKENDS[choices.backend], tell=tell))
    _print(as_dict(tally, seed=choices.seed, began_s=began_s), is_json=choices.json)
    return EXIT_BAD if tally.findings else EXIT_GOOD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/plc_conformance",
        description=(
            "Play traces of the handshake model on the real writer, over real TCP, before the"
            " stand-in PLC's program and the ladder rungs, and compare both after every move."
        ),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_scenario_choice(parser)
    add = parser.add_argument
    add("--walks", type=_count, default=200, help="walks by chance (default: %(default)s)")
    add("--seed", type=_count, default=1, help="the same seed makes the same walks and storms")
    add(
        "--states",
        type=_count,
        default=400,
        help="how far each scenario is explored for covering traces (default: %(default)s)",
    )
    add("--backend", choices=tuple(BACKENDS), default="pycomm3", help="default: %(default)s")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--seeded-bugs",
        action="store_true",
        help="seed mistakes into the real things instead, and tell which the traces find",
    )
    what.add_argument(
        "--verdicts",
        type=_count,
        default=0,
        metavar="N",
        help="instead: so many verdicts through loss, copies, reorder and restarts, in memory",
    )
    add("--jobs", type=_count, help="processes for --verdicts (default: one per processor)")
    add("--json", action="store_true", help="print one JSON object")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 10**9:
        raise argparse.ArgumentTypeError("must be within 0..1000000000")
    return number


def _print(facts: dict[str, Any], *, is_json: bool) -> None:
    if is_json:
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            sys.stdout.write(f"{name}\n")
            sys.stdout.writelines(f"  {key:<28}{number}\n" for key, number in value.items())
        elif isinstance(value, list):
            sys.stdout.writelines(f"{_line(one)}\n" for one in value)
        else:
            sys.stdout.write(f"{name:<30}{value}\n")


def _line(one: object) -> str:
    """Return one finding, or one bug, for reading."""
    if not isinstance(one, dict):
        return f"FINDING {one}"
    if "is_found" in one:
        mark = f"{one['moves']:>3} moves" if one["is_found"] else "NOT FOUND"
        return f"{one['name']:<42}{mark}  {one['difference'][:90]}"
    words = [f"FINDING in {one['name']}", *one["trace"], *one["differences"]]
    return "\n  ".join(words)


if __name__ == "__main__":
    sys.exit(main())
