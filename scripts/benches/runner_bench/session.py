"""The process of one session: the runner's own adapter, under terms that the bench chooses."""

import os
import sys
import time
from pathlib import Path
from typing import Any, Final

from benches.hub_bench.process import serve

from taktgate.bundle import layout
from taktgate.bundle.manifest import Manifest
from taktgate.bundle.preprocessing import Pixels, preprocess
from taktgate.edge.clock import MILLISECOND, SECOND, monotonic_ns
from taktgate.edge.process import take_idle_priority
from taktgate.inspection.decision.rule import ClassLine, Lines, decide
from taktgate.inspection.runner.onnx_session import (
    RUNTIME_VERSION,
    OnnxSession,
    SessionTerms,
    has_cuda,
)
from taktgate.standin.imagesets.port import Split
from taktgate.standin.imagesets.weld import WeldSeams

WARM_UP_RUNS: Final = 5
_PAGE_KB: Final = os.sysconf("SC_PAGE_SIZE") // 1024


class Session:
    """Runs the weld seams of the line, in the same order each time."""

    def open(self, slot: str, frames: int, sessions: int, **terms: Any) -> dict[str, Any]:
        """Load the bundle in *slot* so many times, and run it warm; say what was opened."""
        folder = Path(slot)
        self._manifest = Manifest.parse((folder / layout.MANIFEST).read_bytes())
        self._sessions = [
            OnnxSession(str(folder / layout.MODEL), self._manifest, SessionTerms(**terms))
            for _ in range(sessions)
        ]
        images = WeldSeams(Split.LINE, size=frames)
        self._frames = [images.item(index).pixels for index in range(frames)]
        for frame in self._frames[:WARM_UP_RUNS]:
            for session in self._sessions:
                self._run(session, frame)
        return {
            "provider": self._sessions[0].provider,
            "runtime": RUNTIME_VERSION,
            "is_gpu_build": has_cuda(),
        }

    def step_back(self) -> None:
        """Take idle priority."""
        take_idle_priority()

    def paced(self, count: int, per_s: float) -> dict[str, Any]:
        """Run *count* frames, each due at its time; return each run's ms and the CPU's ms a frame.

        Processor time is counted up to the last frame's end of its period: idle threads that spin
        spin there.
        """
        period_ns = round(SECOND / per_s)
        runs_ms: list[float] = []
        start_ns, busy_ns = monotonic_ns(), time.process_time_ns()
        for number in range(count):
            time.sleep(max(0, start_ns + number * period_ns - monotonic_ns()) / SECOND)
            _, _, begun_ns, ended_ns = self._run(
                self._sessions[0], self._frames[number % len(self._frames)]
            )
            runs_ms.append((ended_ns - begun_ns) / MILLISECOND)
        time.sleep(max(0, start_ns + count * period_ns - monotonic_ns()) / SECOND)
        busy_ms = (time.process_time_ns() - busy_ns) / MILLISECOND
        return {"runs_ms": runs_ms, "cpu_ms": busy_ms / count, "rss_kb": _resident_kb()}

    def scores(self) -> list[dict[str, Any]]:
        """Return what each session says to each frame: all scores, and the verdict."""
        lines = _lines(self._manifest)
        found = []
        for frame in self._frames:
            for session in self._sessions:
                score, class_scores, _, _ = self._run(session, frame)
                verdict = decide(score, class_scores, lines).verdict
                found.append({"scores": [score, *class_scores], "verdict": verdict.name})
        return found

    def _run(
        self, session: OnnxSession, frame: Pixels
    ) -> tuple[float, tuple[float, ...], int, int]:
        preprocess(frame, self._manifest.preprocessing, out=session.tensor)
        return session.run()


def _lines(manifest: Manifest) -> Lines:
    return Lines(
        classes=tuple(
            ClassLine(name=each.name, threshold=each.threshold) for each in manifest.classes
        ),
        uncertain_low=manifest.uncertain_band.low,
        uncertain_high=manifest.uncertain_band.high,
    )


def _resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_KB


if __name__ == "__main__":
    serve(Session())
    sys.exit(0)
