"""The command `scripts/fuzz`."""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict

from fuzzers.bundle import open_bundle
from fuzzers.campaign import Report, Target, run
from fuzzers.cip import open_cip
from fuzzers.mqtt import open_mqtt
from fuzzers.query import open_query
from fuzzers.rest import open_rest
from fuzzers.routes import open_routes
from fuzzers.surface import open_surface

TARGETS: dict[str, Callable[[], AbstractAsyncContextManager[Target]]] = {
    "mqtt": open_mqtt,
    "routes": open_routes,
    "query": open_query,
    "rest": open_rest,
    "cip": open_cip,
    "surface": open_surface,
    "bundle": open_bundle,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaigns; 1 if there are findings."""
    choices = _options().parse_args(arguments)
    # What the code under test says about bad input is counted, not read.
    logging.getLogger().addHandler(logging.NullHandler())
    names = list(TARGETS) if choices.target == "all" else [choices.target]
    reports = [asyncio.run(_campaign(name, choices)) for name in names]
    for report in reports:
        _say_report(report)
    if choices.json:
        print(json.dumps([asdict(report) for report in reports]))
    return int(any(report.findings for report in reports))


async def _campaign(name: str, choices: argparse.Namespace) -> Report:
    async with TARGETS[name]() as target:
        return await run(
            target, cases=choices.cases, seed=choices.seed, first=choices.first, progress=_say
        )


def _say_report(report: Report) -> None:
    _say(
        f"{report.target}: {report.cases} cases of seed {report.seed} in {report.seconds:.0f} s, "
        f"slowest {report.slowest_ms:.0f} ms, {len(report.findings)} findings"
    )
    for finding in report.findings:
        _say(f"  {finding.where} ({finding.seen} times, first in case {finding.number})")
        _say(f"    {finding.error[:500]}")
        _say(f"    {finding.input[:1000]}")


def _say(text: str) -> None:
    print(f"fuzz: {text}", file=sys.stderr, flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz",
        description="Throw malformed input at our servers and readers. Exit: 1 with findings.",
    )
    parser.add_argument("target", choices=(*TARGETS, "all"))
    parser.add_argument("--cases", type=int, default=100_000, help="of each (default: 100000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same cases")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--json", action="store_true", help="print the reports as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
