"""What a model does, measured through the very preprocessing of a station: nothing is believed."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from taktgate.bundle import layout
from taktgate.bundle.claims import Counts
from taktgate.bundle.manifest import (
    DefectClass,
    GoldenClaims,
    GoldenItem,
    LatencyClaims,
    ModelInput,
    ModelOutputs,
    Preprocessing,
    UncertainBand,
    digest_of,
)
from taktgate.bundle.preprocessing import FrameError, Pixels, allocate, preprocess
from taktgate.registry.models.description import TestImages
from taktgate.registry.models.errors import DisagreementError, ImagesError
from taktgate.registry.models.images import Labelled, pixels
from taktgate.registry.models.runtime import CPU, LoadedModel, Scores

Progress = Callable[[str], None]
_SAID_EVERY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Where the line is drawn."""

    band: UncertainBand
    classes: tuple[DefectClass, ...]

    def passes(self, scores: Scores) -> bool:
        """Tell whether a part with these *scores* passes on a station; a NaN never does."""
        below = (
            value < its.threshold for value, its in zip(scores.classes, self.classes, strict=True)
        )
        return scores.score < self.band.low and all(below)


class Measured:
    """A loaded model with its preprocessing."""

    def __init__(
        self,
        model: bytes,
        *,
        its_input: ModelInput,
        outputs: ModelOutputs,
        spec: Preprocessing,
        lines: Lines,
        provider: str = CPU,
    ) -> None:
        """Load *model*.

        Raises:
            RuntimeFailedError: ONNX Runtime does not load it.
        """
        self._model = LoadedModel(
            model, input_name=its_input.name, outputs=outputs, provider=provider
        )
        self._spec, self._lines = spec, lines
        self._tensor = allocate(spec)

    def scores(self, data: bytes, name: str) -> Scores:
        """Return what the model gives the image file *data*.

        Raises:
            ImagesError: It is no image that this preprocessing takes.
            RuntimeFailedError: The run failed.
            DisagreementError: Other than one finite score within 0..1 for each class.
        """
        return self.scores_of(pixels(data, name), name)

    def scores_of(self, frame: Pixels, name: str) -> Scores:
        """Return what the model gives *frame*; raises as `scores` does."""
        try:
            preprocess(frame, self._spec, out=self._tensor)
        except FrameError as error:
            raise ImagesError(f"{name}: {error}") from error
        scores = self._model.run(self._tensor)
        if len(scores.classes) != len(self._lines.classes):
            raise DisagreementError(
                f"classes: must be as many as the model's class scores, {len(scores.classes)}"
            )
        if not all(0.0 <= value <= 1.0 for value in (scores.score, *scores.classes)):
            raise DisagreementError(f"{name}: scores must be finite within 0..1, got {scores}")
        return scores

    def golden(self, images: Sequence[Labelled], tolerance: float) -> list[GoldenItem]:
        """Return the golden items of *images*, each on the side of the line where it belongs.

        Raises:
            ImagesError: A file is no image, or its name cannot be a bundle's.
            DisagreementError: The model rejects an image that is ok, or passes a defective one.
        """
        return [self._item(each, tolerance) for each in images]

    def claims(self, images: Sequence[Labelled], said: TestImages, say: Progress) -> GoldenClaims:
        """Return what the model does on *images*, which it has never seen."""
        counts = self._count(images, say)
        return counts.claims(
            dataset=said.dataset, dataset_licence=said.licence, split_method=said.split_method
        )

    def latency(self, runs: int, machine: str | None) -> LatencyClaims:
        """Return the time of *runs* runs on a black frame."""
        self._tensor.fill(0)
        times_ms = self._model.times_ms(self._tensor, runs)
        p50, p95, p99 = (
            round(float(x), 3) for x in np.percentile(times_ms, (50, 95, 99), method="higher")
        )
        words = machine or f"{platform.machine()}, {os.cpu_count()} cores, one thread"
        return LatencyClaims(p50_ms=p50, p95_ms=p95, p99_ms=p99, n=runs, machine=words)

    def _item(self, each: Labelled, tolerance: float) -> GoldenItem:
        path = f"{layout.GOLDEN}/{each.path.name}"
        if not layout.is_member(path):
            raise ImagesError(
                f"{each.path}: a golden image must be named in small letters, digits, - and _,"
                " and end in .png"
            )
        data = each.read()
        if not data.startswith(b"\x89PNG"):
            raise ImagesError(f"{each.path}: a golden image must be a PNG")
        scores = self.scores(data, str(each.path))
        if self._lines.passes(scores) != (each.label == "ok"):
            raise DisagreementError(
                f"{each.path}: is {each.label}, and the model gives it {scores.score:.4f}:"
                f" the line is at {self._lines.band.low}"
            )
        return GoldenItem(
            id=path,
            sha256=digest_of(data),
            label=each.label,
            score=round(scores.score, 6),
            tolerance=tolerance,
        )

    def _count(self, images: Iterable[Labelled], say: Progress) -> Counts:
        tally = {("ok", True): 0, ("ok", False): 0, ("defective", True): 0, ("defective", False): 0}
        for number, each in enumerate(images, start=1):
            tally[each.label, self._lines.passes(self.scores(each.read(), str(each.path)))] += 1
            if number % _SAID_EVERY == 0:
                say(f"tested {number} images")
        return Counts(
            ok=tally["ok", True] + tally["ok", False],
            ok_rejected=tally["ok", False],
            defective=tally["defective", True] + tally["defective", False],
            defective_rejected=tally["defective", False],
        )


def deviation(got: float, item: GoldenItem) -> float:
    """Return how much of its tolerance a golden image uses up; infinite for what is no number."""
    off = abs(got - item.score) / item.tolerance
    return off if math.isfinite(off) else math.inf
