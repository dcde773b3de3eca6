"""Module to module through the local edgeHub, with the unmodified SDK; the 40-ms Nagle trap.

Example: scripts/bench hub --messages 400 --rounds 5 --json --samples hub.jsonl

Every module is a process with one azure-iot-device client on real TLS and MQTT, QoS 1; the local
cloud is another. Latency counts from the moment that a message was due (open loop: a send that
comes late does not hide the wait). The line: p50 <= 3 ms at 50/s and >= 700 messages/s flat out,
256 bytes, both clients. The exit code is 1 when one of them misses it.
"""

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO

# What this folder's benches share is the package `benches`, whose parent is not on the path yet.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benches.hub_bench import verdict
from benches.hub_bench.cases import SETS, Block, Case, ModuleSet, cases, open_set
from benches.hub_bench.process import BenchProcess


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    options = _options()
    choices = options.parse_args(arguments)
    if not any(choices.only in case.name for case in cases(with_methods=True)):
        options.error(f"no case's name holds {choices.only!r}")
    chosen, blocks = _measure(choices)
    measured = {case.name: verdict.figures(case.name, blocks[case.name]) for case in chosen}
    lines = verdict.lines(measured)
    ratios = verdict.nagle_ratios(measured)
    if choices.json:
        facts = {
            "machine": _machine(),
            "figures": [asdict(each) for each in measured.values()],
            "without_nodelay_times": ratios,
            "lines": [asdict(each) for each in lines],
        }
        print(json.dumps(facts))
    else:
        _print(measured, lines, ratios)
    return int(not all(line.kept for line in lines))


def _measure(choices: argparse.Namespace) -> tuple[list[Case], dict[str, list[Block]]]:
    """Run the blocks of all cases in turn, round after round."""
    with contextlib.ExitStack() as stack:
        cloud = _start_cloud(stack, choices.profile)
        refusal = cloud.ask("methods_refusal")
        if refusal is not None:
            _say(f"no direct methods between modules: {refusal}")
        chosen = [case for case in cases(with_methods=refusal is None) if choices.only in case.name]
        used = [name for name in SETS if any(case.module_set == name for case in chosen)]
        sets = {name: _start_set(stack, cloud, name, refusal is None) for name in used}
        samples = stack.enter_context(_samples_file(choices.samples))
        blocks: dict[str, list[Block]] = {case.name: [] for case in chosen}
        for number in range(1, choices.rounds + 1):
            for case in chosen:
                _say(f"round {number} of {choices.rounds}: {case.name}")
                count = max(1, round(choices.messages * case.weight))
                block = case.run(sets[case.module_set], count)
                blocks[case.name].append(block)
                print(json.dumps({"case": case.name, **asdict(block)}), file=samples)
        return chosen, blocks


def _start_cloud(stack: contextlib.ExitStack, profile: str | None) -> BenchProcess:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
    return stack.enter_context(BenchProcess("cloud", folder, *([profile] if profile else [])))


def _start_set(
    stack: contextlib.ExitStack, cloud: BenchProcess, name: str, with_methods: bool
) -> ModuleSet:
    _say(f"starting the modules of {name}")
    processes = {
        role: stack.enter_context(BenchProcess("module", *name.split("-"))) for role in "arb"
    }
    return open_set(cloud, name, processes, with_methods=with_methods)


def _samples_file(path: str | None) -> contextlib.AbstractContextManager[IO[str]]:
    return open(path or os.devnull, "w", encoding="utf-8")


def _machine() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": len(os.sched_getaffinity(0)),
        "load_1_min": os.getloadavg()[0],
    }


def _print(
    measured: Mapping[str, verdict.Figures],
    lines: Sequence[verdict.Line],
    ratios: Mapping[str, float],
) -> None:
    print(f"{'case':32} {'n':>6} {'p50':>7} {'p99':>7} {'max':>7}  {'blocks p50':>13} {'per s':>6}")
    for each in measured.values():
        low, high = each.block_p50_ms
        rate = "" if each.per_s is None else f"{each.per_s:6.0f}"
        print(
            f"{each.case:32} {each.samples:6} {each.p50_ms:7.2f} {each.p99_ms:7.2f}"
            f" {each.max_ms:7.1f}  {low:6.2f}-{high:6.2f} {rate:>6}"
        )
    for name, ratio in ratios.items():
        print(f"without TCP_NODELAY {name} takes {ratio:.1f} times as long")
    for line in lines:
        word = "kept  " if line.kept else "MISSED"
        print(f"{word} {line.promise:18} {line.measured:8.2f}  {line.case}")


def _say(text: str) -> None:
    print(f"bench hub: {text}", file=sys.stderr, flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench hub",
        description="Measure module to module through the local edgeHub. Exit: 1 beyond the line.",
    )
    parser.add_argument("--messages", type=int, default=400, help="a block at 50/s (default: 400)")
    parser.add_argument("--rounds", type=int, default=5, help="blocks of each case (default: 5)")
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--samples", metavar="FILE", help="keep the raw samples, a line a block")
    parser.add_argument("--profile", metavar="FILE", help="profile the cloud's process (cProfile)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
