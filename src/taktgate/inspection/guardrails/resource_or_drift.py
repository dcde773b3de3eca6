"""RESOURCE_OR_DRIFT: what the device must bear, and what changes under the model's hands.

*Resources* (throttling, out of memory, GPU memory and load, memory of the runner that only rises)
count as the model's doing: a heavier model is what changes. If its predecessor breaches as well
after the way back, environment.py knows better. Memory of the judge is never the model's.

*Drift of the images* (mean, contrast, sharpness: light, soiling, focus) is the environment's,
always: no other model would see other images, so it alarms and rolls nothing back. *Drift of the
score* with images that stay as they were is the model's as long as it is new; later on it is the
product that changed, or its mix, and people must look. The beginning is learnt on this station:
one from the lab gives false alarms on healthy parts. Direction matters: scores that rise mean
needless rejects, scores that fall mean escapes.
"""

from collections import deque
from dataclasses import dataclass
from statistics import median_low
from typing import Final

from taktgate.inspection.guardrails.breach import Breach, Cause, Guardrail
from taktgate.inspection.guardrails.drift import PageTest, StabilityIndex
from taktgate.inspection.guardrails.settings import DriftSettings, ResourceSettings
from taktgate.inspection.image_facts import ImageFacts

_SAYS: Final = {
    ("mean", 1): "images grow brighter",
    ("mean", -1): "images grow darker",
    ("contrast", 1): "images grow richer in contrast",
    ("contrast", -1): "images grow flatter",
    ("sharpness", 1): "images grow sharper or noisier",
    ("sharpness", -1): "images grow blurred",
    ("score", 1): "scores rise: needless rejects are to be expected",
    ("score", -1): "scores fall: escapes are to be expected",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSample:
    """What the agent saw of the device; None where there is nothing to see."""

    is_throttled: bool | None = None
    is_out_of_memory: bool | None = None
    """Since the last sample a process of this module was ended for want of memory."""
    runner_rss_mb: float | None = None
    """Of the live model's runner."""
    judge_rss_mb: float | None = None
    gpu_memory_mb: float | None = None
    gpu_share: float | None = None
    """Busy, 0..1."""


class InputDrift:
    """The images of this station: it outlives models, since they see the same parts."""

    def __init__(self, settings: DriftSettings) -> None:
        self._tests = {name: PageTest(settings) for name in ("mean", "contrast", "sharpness")}

    @property
    def is_steady(self) -> bool:
        """Return True while the images are known and are what they were."""
        return not any(test.is_learning or test.is_drifted for test in self._tests.values())

    def add(self, facts: ImageFacts) -> Breach | None:
        """Take the facts of one image in; return the alarm that they complete."""
        values = {"mean": facts.mean, "contrast": facts.contrast, "sharpness": facts.sharpness}
        found = {name: test.add(values[name]) for name, test in self._tests.items()}
        said = [_SAYS[name, sign] for name, sign in found.items() if sign]
        if not said:
            return None
        return Breach(
            guardrail=Guardrail.RESOURCE_OR_DRIFT,
            message=", ".join(said),
            figures=self.figures(),
            cause=Cause.ENVIRONMENT,
        )

    def figures(self) -> dict[str, float]:
        """Return the shifts from the beginning, in standard deviations, signed."""
        return {f"{name}Shift": round(test.level, 3) for name, test in self._tests.items()}


class ScoreDrift:
    """The scores of one model, held against its own first ones."""

    def __init__(self, settings: DriftSettings) -> None:
        self._settings = settings
        self._test = PageTest(settings)
        self._index = StabilityIndex(settings)
        self._parts = 0

    def add(self, score: float, *, are_images_steady: bool) -> Breach | None:
        """Take one score in; return the breach that it completes."""
        self._parts += 1
        sign = self._test.add(score)
        is_other = self._index.add(score)
        if not sign and not is_other:
            return None
        is_new = self._parts <= self._settings.model_parts
        said = _SAYS["score", sign] if sign else "scores are distributed otherwise"
        return Breach(
            guardrail=Guardrail.RESOURCE_OR_DRIFT,
            message=said if are_images_steady else f"{said} (the images have changed, too)",
            figures=self.figures(),
            cause=Cause.MODEL if is_new and are_images_steady else Cause.ENVIRONMENT,
        )

    def figures(self) -> dict[str, float]:
        """Return the shift from the beginning, in standard deviations, and the PSI."""
        return {"scoreShift": round(self._test.level, 3), "scorePsi": round(self._index.last, 4)}


class ResourceWatch:
    """Samples of the device, one after the other; each complaint is made once until it has gone."""

    def __init__(self, settings: ResourceSettings) -> None:
        self._settings = settings
        self._complaints: frozenset[str] = frozenset()
        self._busy = 0
        self._newest = ResourceSample()
        self._runner: deque[float] = deque(maxlen=settings.rss_samples)
        self._judge: deque[float] = deque(maxlen=settings.rss_samples)

    def add(self, sample: ResourceSample) -> Breach | None:
        """Take one sample in; return the breach that it completes."""
        settings, self._newest = self._settings, sample
        is_busy = (sample.gpu_share or 0.0) > settings.gpu_share
        self._busy = self._busy + 1 if is_busy else 0
        complaints = {
            "the device throttles": bool(sample.is_throttled),
            "out of memory": bool(sample.is_out_of_memory),
            f"GPU memory beyond {settings.gpu_memory_mb:.0f} MB": (sample.gpu_memory_mb or 0.0)
            > settings.gpu_memory_mb,
            f"GPU busy beyond {settings.gpu_share:.0%}": self._busy >= settings.gpu_samples,
            "the runner's memory rises": self._rises(self._runner, sample.runner_rss_mb),
        }
        of_ours = {"the judge's memory rises": self._rises(self._judge, sample.judge_rss_mb)}
        present = frozenset(said for said, holds in (complaints | of_ours).items() if holds)
        fresh, self._complaints = sorted(present - self._complaints), present
        if not fresh:
            return None
        return Breach(
            guardrail=Guardrail.RESOURCE_OR_DRIFT,
            message=", ".join(fresh),
            figures=_figures(sample),
            cause=Cause.ENVIRONMENT if set(fresh) <= set(of_ours) else Cause.MODEL,
        )

    def figures(self) -> dict[str, float]:
        """Return the newest sample, as far as the device tells."""
        return _figures(self._newest)

    def _rises(self, seen: deque[float], rss_mb: float | None) -> bool:
        """Tell whether memory rose by more than is allowed, third by third of the samples.

        Medians of thirds: one big allocation is no slope, whether it is given back or kept.
        """
        if rss_mb is None:
            return False
        seen.append(rss_mb)
        if len(seen) < self._settings.rss_samples:
            return False
        third = len(seen) // 3
        values = list(seen)
        first, second, last = (
            median_low(values[at : at + third]) for at in (0, third, len(values) - third)
        )
        return first < second < last and last - first > self._settings.rss_growth_mb


def _figures(sample: ResourceSample) -> dict[str, float]:
    known = {
        "throttled": sample.is_throttled,
        "outOfMemory": sample.is_out_of_memory,
        "runnerRssMb": sample.runner_rss_mb,
        "judgeRssMb": sample.judge_rss_mb,
        "gpuMemoryMb": sample.gpu_memory_mb,
        "gpuShare": sample.gpu_share,
    }
    return {name: float(value) for name, value in known.items() if value is not None}
