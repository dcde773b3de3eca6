"""The command `scripts/chaos`."""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from chaos_campaign.campaign import Report, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one campaign; 1 if there are findings."""
    choices = _options().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the station is ended too
    with tempfile.TemporaryDirectory(prefix="taktgate-chaos-") as folder:
        report = run(Path(folder), seed=choices.seed, seconds=60 * choices.minutes)
    _say(report)
    if choices.json is not None:
        choices.json.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
    return int(bool(report.findings))


def _say(report: Report) -> None:
    print(f"seed {report.seed}: {report.parts} parts, {sum(report.blows.values())} faults")
    for title, figures in (
        ("faults", report.blows),
        ("parts", report.fates),
        ("undecided though the station said it was ready", report.undecided_while_ready),
    ):
        print(f"  {title}: {', '.join(f'{name} {count}' for name, count in figures.items())}")
    for name, took in report.recovery_ms.items():
        print(f"  judged again after '{name}': {took}")
    print(f"  before {report.held_before}\n  after  {report.held_after}")
    for finding in report.findings:
        print(f"FOUND {finding}")
    print("no findings" if not report.findings else f"{len(report.findings)} findings")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what is broken, and when")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long parts flow")
    parser.add_argument("--json", type=Path, default=None, help="write the report to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
