"""The same frames give the same verdicts: `scripts/bench determinism`, as a section of this one."""

import json
import sys
from contextlib import redirect_stdout

from benches import determinism
from benches.inspect_bench.report import Bench
from benches.plc_bench.figures import Line


def measure(bench: Bench) -> None:
    """Compare threads, sessions and starts, and the GPU wheel's CPU provider if asked for."""
    bench.say("determinism: threads, sessions, starts")
    found = bench.folder / "determinism.json"
    arguments = ["--frames", str(bench.effort.frames), "--json", str(found)]
    if bench.with_gpu_wheel:
        arguments.append("--gpu-wheel")
    with redirect_stdout(sys.stderr):
        code = determinism.main(arguments)
    facts = json.loads(found.read_text(encoding="utf-8"))
    bench.report.facts["determinism"] = facts
    wheels = "threads, starts and wheels" if bench.with_gpu_wheel else "threads and starts"
    bench.report.newest.lines.append(
        Line(
            promise=f"scores agree within {facts['epsilon']:g} over {wheels}, verdicts are equal",
            measured=f"max difference {facts['max_difference']:.2g} over {facts['frames']} frames"
            f" and {len(facts['cases'])} cases, {facts['other_verdicts']} other verdicts",
            kept=code == 0,
        )
    )
