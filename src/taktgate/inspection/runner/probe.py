"""The proof of a candidate on this device: golden images, one timed run for each gap of the line.

It runs at idle priority beside a line at work, so the clock alone would blame the model for the
time in which its thread was kept off the processors. The kernel counts that time; it is taken off.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.bundle.golden import GoldenImage
from taktgate.bundle.manifest import Manifest
from taktgate.bundle.preprocessing import FrameError, preprocess
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.errors import ModelRefusedError, RunFailedError
from taktgate.inspection.runner.onnx_session import OnnxSession

GOLDEN_SUBSET: Final = 10
TIMED_RUNS: Final = 20
_SCHEDSTAT: Final = Path("/proc/thread-self/schedstat")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What the probe found."""

    golden_images: int
    golden_worst: float
    """The largest share of its tolerance that an image used up, 0..1."""
    runs: int
    p50_ms: float | None
    p99_ms: float | None


UNPROBED: Final = ProbeResult(golden_images=0, golden_worst=0.0, runs=0, p50_ms=None, p99_ms=None)
"""Of a model that was proven in an earlier start."""


class Probe:
    """One model's probe: `run` until `runs_left` is 0, then `result`."""

    def __init__(
        self,
        session: OnnxSession,
        manifest: Manifest,
        images: tuple[GoldenImage, ...],
        *,
        waited_ns: Callable[[], int] | None = None,
    ) -> None:
        self._session = session
        self._manifest = manifest
        self._images = _subset(images)
        self._waited_ns = waited_ns or waited_for_processor_ns
        self._worst = 0.0
        self._times_ms: list[float] = []

    @property
    def runs_left(self) -> int:
        """Return how many runs are still to be made: each image once, and enough to tell a time."""
        return max(TIMED_RUNS, len(self._images)) - len(self._times_ms)

    def run(self) -> None:
        """Run on the next golden image.

        Raises:
            ModelRefusedError: GOLDEN, NON_FINITE.
        """
        image = self._images[len(self._times_ms) % len(self._images)]
        try:
            preprocess(image.pixels, self._manifest.preprocessing, out=self._session.tensor)
            waited_ns = self._waited_ns()
            score, class_scores, start_ns, end_ns = self._session.run()
            waited_ns = self._waited_ns() - waited_ns
        except (FrameError, RunFailedError) as error:
            raise ModelRefusedError("GOLDEN", f"golden image {image.id}: {error}"[:400]) from error
        if not all(map(math.isfinite, (score, *class_scores))):
            raise ModelRefusedError(
                "NON_FINITE", f"golden image {image.id}: the score is not finite"
            )
        self._worst = max(self._worst, _deviation(image, score))
        self._times_ms.append(max(0, end_ns - start_ns - waited_ns) / MILLISECOND)

    def result(self, limit_ms: float | None) -> ProbeResult:
        """Return the figures.

        Raises:
            ModelRefusedError: TOO_SLOW, for a p99 above *limit_ms*.
        """
        runs, p50_ms, p99_ms = (
            len(self._times_ms),
            nearest_rank(self._times_ms, 0.5),
            nearest_rank(self._times_ms, 0.99),
        )
        if limit_ms is not None and p99_ms > limit_ms:
            raise ModelRefusedError(
                "TOO_SLOW",
                f"{runs} runs on this device: p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms, "
                f"must be at most {limit_ms:.1f} ms",
            )
        return ProbeResult(
            golden_images=len(self._images),
            golden_worst=round(self._worst, 4),
            runs=runs,
            p50_ms=round(p50_ms, 3),
            p99_ms=round(p99_ms, 3),
        )


def nearest_rank(values: list[float], share: float) -> float:
    """Return the smallest of *values* that at least *share* of them do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def waited_for_processor_ns() -> int:
    """Return how long this thread was runnable but kept waiting so far; 0 where it is not counted.

    The second number of proc_pid_schedstat. A thread that waits for a GPU sleeps: not counted here,
    so that this time stays the model's.
    """
    try:
        return int(_SCHEDSTAT.read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _subset(images: tuple[GoldenImage, ...]) -> tuple[GoldenImage, ...]:
    """Return up to GOLDEN_SUBSET images, evenly spread, so that both kinds are among them."""
    if len(images) <= GOLDEN_SUBSET:
        return images
    step = len(images) / GOLDEN_SUBSET
    return tuple(images[int(index * step)] for index in range(GOLDEN_SUBSET))


def _deviation(image: GoldenImage, score: float) -> float:
    """Return how much of its tolerance *image* used up; refuse the model beyond 1."""
    deviation = abs(score - image.score)
    if not deviation <= image.tolerance:
        raise ModelRefusedError(
            "GOLDEN",
            f"golden image {image.id}: score {score:.4f}, must be {image.score:.4f} "
            f"within {image.tolerance}",
        )
    return deviation / image.tolerance
