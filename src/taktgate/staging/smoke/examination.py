"""What a model must show: right shapes, scores within 0..1, the same twice, golden as promised."""

import math
import resource
import statistics
import time
from collections.abc import Callable
from typing import Final

from taktgate.bundle.errors import BundleError, GoldenUnavailableError
from taktgate.bundle.golden import GoldenImage, load_golden
from taktgate.bundle.manifest import Preprocessing
from taktgate.bundle.preprocessing import FrameError, Tensor, preprocess
from taktgate.bundle.verification import VerifiedBundle
from taktgate.staging.smoke.answer import Passed
from taktgate.staging.smoke.findings import Finding, ModelFaultError
from taktgate.staging.smoke.frames import plain_frames

GOLDEN_LIMIT: Final = 20
"""So many golden images at most, evenly spread; inference shows them under its own runtime."""

Run = Callable[[Tensor], tuple[float, ...]]
"""Returns the score and then the class scores; raises ModelFaultError."""


def examine(bundle: VerifiedBundle, run: Run) -> Passed:
    """Show the model of *bundle* plain frames twice and its golden images once.

    Raises:
        ModelFaultError: it does not do what it must.
    """
    spec = bundle.manifest.preprocessing
    timed = _Timed(run)
    for name, pixels in plain_frames(spec).items():
        tensor = preprocess(pixels, spec)
        first, second = (_sound(name, timed.run(tensor)) for _ in range(2))
        if first != second:
            raise ModelFaultError(
                Finding.NOT_REPEATABLE, f"the {name} frame got {first[0]:.6f}, then {second[0]:.6f}"
            )
    images = _golden(bundle)
    worst = max((_deviation(each, timed.run, spec) for each in images), default=0.0)
    return Passed(
        runs=len(timed.times_ms),
        golden_images=len(images),
        golden_worst=round(worst, 4),
        run_ms=round(statistics.median(timed.times_ms), 3),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    )


class _Timed:
    """Runs, and notes the processor time of each: at idle priority the clock would tell nothing."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.times_ms: list[float] = []

    def run(self, tensor: Tensor) -> tuple[float, ...]:
        """Return what the model gives *tensor*."""
        start_ns = time.process_time_ns()
        scores = self._run(tensor)
        self.times_ms.append((time.process_time_ns() - start_ns) / 1e6)
        return scores


def _golden(bundle: VerifiedBundle) -> tuple[GoldenImage, ...]:
    """Return the golden images to show; none if they are not in the bundle and not in this image.

    Raises:
        ModelFaultError: an image of the bundle cannot be used.
    """
    try:
        return load_golden(bundle, limit=GOLDEN_LIMIT)
    except GoldenUnavailableError as error:
        if bundle.manifest.golden.source != "bundle":
            return ()  # inference's image has them, or refuses the model
        raise ModelFaultError(Finding.GOLDEN, str(error)) from error
    except BundleError as error:
        raise ModelFaultError(Finding.GOLDEN, str(error)) from error


def _sound(name: str, scores: tuple[float, ...]) -> tuple[float, ...]:
    if not all(map(math.isfinite, scores)):
        raise ModelFaultError(Finding.NON_FINITE, f"the {name} frame got the scores {scores}")
    if not all(0.0 <= score <= 1.0 for score in scores):
        raise ModelFaultError(
            Finding.RANGE, f"scores must be within 0..1, the {name} frame got {scores}"
        )
    return scores


def _deviation(image: GoldenImage, run: Run, spec: Preprocessing) -> float:
    """Return how much of its tolerance *image* used up; refuse the model beyond 1."""
    try:
        tensor = preprocess(image.pixels, spec)
    except FrameError as error:
        raise ModelFaultError(Finding.GOLDEN, f"golden image {image.id}: {error}") from error
    score = _sound(image.id, run(tensor))[0]
    deviation = abs(score - image.score)
    if not deviation <= image.tolerance:
        raise ModelFaultError(
            Finding.GOLDEN,
            f"golden image {image.id}: score {score:.4f}, must be {image.score:.4f} "
            f"within {image.tolerance}",
        )
    return deviation / image.tolerance
