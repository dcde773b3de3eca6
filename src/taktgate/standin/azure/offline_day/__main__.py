"""`scripts/offline_day`: live through a day of outages and judge it."""

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from taktgate.standin.azure import simulated_time
from taktgate.standin.azure.offline_day.day import DayPlan, DayReport, live_through

SHOWN_FINDINGS = 20


def main() -> int:
    """Return 0 when every promise was kept, else 1."""
    arguments = _parser().parse_args()
    logging.disable(logging.CRITICAL)
    plan = DayPlan(hours=arguments.hours, seed=arguments.seed)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="taktgate-day-") as directory:
        report = simulated_time.run(live_through(plan, Path(directory) / "edgehub.db", _progress))
    took_s = time.monotonic() - began_s
    if arguments.json:
        text = json.dumps(_to_json(report, took_s), indent=2)
    else:
        text = _to_text(report, took_s)
    sys.stdout.write(f"{text}\n")
    return 0 if report.is_good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/offline_day",
        description="Simulate a day of outages around edgeHub and prove that no message was lost, "
        "overtaken or doubled without cause.",
        epilog="example: scripts/offline_day --hours 24 --seed 7 --json",
    )
    parser.add_argument("--hours", type=_hours, default=24.0, help="simulated hours (24)")
    parser.add_argument("--seed", type=int, default=1, help="decides what goes wrong when (1)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 < hours <= 24 * 366:
        raise argparse.ArgumentTypeError(f"{text}; rule: above 0, at most a year")
    return hours


def _progress(hour: int, counts: Mapping[str, int]) -> None:
    delivered, due = counts["delivered"], counts["deliveries_due"]
    sys.stderr.write(f"hour {hour}: {delivered} of {due} deliveries\n")


def _to_json(report: DayReport, took_s: float) -> dict[str, object]:
    return {
        "hours": report.plan.hours,
        "seed": report.plan.seed,
        "took_s": round(took_s, 1),
        "is_good": report.is_good,
        "counts": report.counts,
        "findings": [str(each) for each in report.findings],
    }


def _to_text(report: DayReport, took_s: float) -> str:
    width = max(map(len, report.counts))
    lines = [f"{report.plan.hours:g} simulated hours, seed {report.plan.seed}, in {took_s:.1f} s"]
    lines += [f"  {name.replace('_', ' '):{width}}  {n:>8}" for name, n in report.counts.items()]
    if report.is_good:
        lines.append("good: nothing was lost, order was kept, each duplicate had a lost receipt")
    else:
        lines.append(f"BAD: {len(report.findings)} broken promises")
        lines += [f"  {each}" for each in report.findings[:SHOWN_FINDINGS]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
