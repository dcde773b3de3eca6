"""The same frames give the same verdicts: 1 and 2 threads, two sessions, restarts, the GPU wheel.

Example: scripts/bench determinism --gpu-wheel --json determinism.json

Each case is a process of its own with two sessions that take turns. All scores of all cases are
held against those of the first one. Scores may differ by EPSILON; no verdict may differ. With
--gpu-wheel the pinned onnxruntime-gpu is installed beside the environment, into a folder that goes
with the run, and its CPU provider is a further case. The exit code is 1 when one case differs.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

# What this folder's benches share is the package `benches`, whose parent is not on the path yet.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benches.hub_bench.process import BenchProcess

from taktgate.bundle.archive import unpack

ROOT: Final = Path(__file__).resolve().parents[2]
BUNDLE: Final = ROOT / "src/taktgate/standin/samples/weld-seam/weld-seam-1.0.0.bundle"
GPU_PINS: Final = ROOT / "requirements/inference-gpu.txt"
EPSILON: Final = 1e-4
"""Float32 carries 6e-8; sums of some 1,000 terms in another order, layer upon layer, come to some
1e-6 on a score within 0..1. This leaves two orders of magnitude, and is 1/200 of the tolerance of a
golden image (0.02) and 1/1000 of the width of the uncertain band (0.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One start of one runtime."""

    name: str
    threads: int
    gpu_wheel: bool = False


CASES: Final = (
    Case(name="1 thread", threads=1),
    Case(name="1 thread, restarted", threads=1),
    Case(name="2 threads", threads=2),
    Case(name="2 threads, restarted", threads=2),
)
GPU_CASES: Final = (
    Case(name="GPU wheel on its CPU provider, 1 thread", threads=1, gpu_wheel=True),
    Case(name="GPU wheel on its CPU provider, 2 threads", threads=2, gpu_wheel=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How far one case is from the first one."""

    case: str
    runtime: str
    provider: str
    is_gpu_build: bool
    max_difference: float
    other_verdicts: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Score, compare, judge."""
    choices = _options().parse_args(arguments)
    cases = CASES + (GPU_CASES if choices.gpu_wheel else ())
    with tempfile.TemporaryDirectory(prefix="determinism-") as name:
        folder = Path(name)
        unpack(BUNDLE, folder / "slot")
        if choices.gpu_wheel:
            install_gpu_wheel(folder / "gpu")
        found = _compare(cases, folder, choices.frames)
    report = {
        "frames": choices.frames,
        "sessions": 2,
        "epsilon": EPSILON,
        "max_difference": max(each.max_difference for each in found),
        "other_verdicts": sum(each.other_verdicts for each in found),
        "cases": [asdict(each) for each in found],
    }
    is_kept = report["max_difference"] <= EPSILON and not report["other_verdicts"]
    # A case that ran on the other build has compared nothing.
    is_kept = is_kept and [each.is_gpu_build for each in found] == [
        each.gpu_wheel for each in cases
    ]
    if choices.json:
        Path(choices.json).write_text(json.dumps(report, indent=1) + "\n")
    for each in found:
        build = "GPU build" if each.is_gpu_build else "CPU build"
        print(
            f"{each.case:42} ORT {each.runtime}, {build}, {each.provider}: max difference "
            f"{each.max_difference:.2g}, {each.other_verdicts} other verdicts"
        )
    print(f"{'kept' if is_kept else 'MISSED'}: {choices.frames} frames, epsilon {EPSILON:g}")
    return int(not is_kept)


def install_gpu_wheel(target: Path) -> None:
    """Install the pinned onnxruntime-gpu into *target*, without what it needs for a GPU.

    Raises:
        CalledProcessError: it cannot be had, or is not the pinned file.
    """
    pins = re.split(r"\n(?=\S)", GPU_PINS.read_text())
    pin = next(each for each in pins if each.startswith("onnxruntime-gpu=="))
    wanted = target.with_suffix(".txt")
    wanted.write_text(pin + "\n")
    uv = Path(sys.executable).with_name("uv")
    options = ["--no-deps", "--require-hashes", "--target", str(target), "-r", str(wanted)]
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", sys.executable, *options], check=True
    )


def _compare(cases: Sequence[Case], folder: Path, frames: int) -> list[Found]:
    reference: list[dict[str, Any]] = []
    found = []
    for case in cases:
        print(f"scoring: {case.name}", file=sys.stderr)
        with _import_first(folder / "gpu" if case.gpu_wheel else None):
            facts, scored = _score(case, folder / "slot", frames)
        # The first session's answers of the first case stand for every other session's.
        reference = reference or scored[::2]
        found.append(_held_against(reference, case, facts, scored))
    return found


def _score(case: Case, slot: Path, frames: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    with BenchProcess("session", package="runner_bench") as process:
        terms = {"threads": case.threads, "policy": "cpu"}
        facts = process.ask("open", slot=str(slot), frames=frames, sessions=2, **terms)
        return facts, process.ask("scores")


def _held_against(
    reference: list[dict[str, Any]],
    case: Case,
    facts: dict[str, Any],
    scored: list[dict[str, Any]],
) -> Found:
    pairs = [(each, reference[number // 2]) for number, each in enumerate(scored)]
    return Found(
        case=case.name,
        runtime=facts["runtime"],
        provider=facts["provider"],
        is_gpu_build=facts["is_gpu_build"],
        max_difference=max(
            abs(one - other)
            for its, first in pairs
            for one, other in zip(its["scores"], first["scores"], strict=True)
        ),
        other_verdicts=sum(its["verdict"] != first["verdict"] for its, first in pairs),
    )


@contextmanager
def _import_first(folder: Path | None) -> Iterator[None]:
    """Have processes that are started meanwhile look for packages in *folder* first."""
    before = os.environ.get("PYTHONPATH")
    if folder is not None:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), before]))
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = before


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="scripts/bench determinism")
    options.add_argument("--frames", type=int, default=100, help="frames of the line, default 100")
    options.add_argument("--gpu-wheel", action="store_true", help="the pinned GPU wheel as well")
    options.add_argument("--json", metavar="FILE", help="write the figures there")
    return options


if __name__ == "__main__":
    sys.exit(main())
