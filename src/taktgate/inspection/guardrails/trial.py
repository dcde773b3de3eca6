"""When a model on trial is sent back: decided here, on the station, without the cloud.

OVER_REJECT is Wald's sequential probability ratio test on the trial's parts: does the model reject
like the station's own baseline (H0) or like `factor` times that (H1, at most 0.9)? The trial goes
back as soon as the log ratio crosses the upper line, and at its last part if H1 is the likelier
and the baseline alone would hardly reject so many. There is no early acceptance: a model earns
trust by all parts of its trial.

With the defaults (exact, by enumeration; checked by simulation in the tests):

    baseline                         5 %     7.5 %   10 %     15 %
    five times that is found in      99.1 %  99.9 %  99.98 %  100 %   of trials of 60 parts
      on average after               31      21      15       9       parts
    the baseline itself goes back    0.99 %  0.19 %  0.05 %   0.04 %  (false alarms)

Below 5 % sixty parts hold too few rejects for such a power (3 %: 90 %); a trial can be longer.

INFERENCE_FAILURE: several parts in a row without a usable answer. Pure: envelopes in, breaches out.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, Field

from taktgate.contracts.activation import Baseline, Trial
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.settings import STRICT, load_yaml

FILE: Final = "guardrails.yaml"
MAX_H1: Final = 0.9
MAX_BASELINE: Final = 0.75
MIN_BASELINE: Final = 0.01
BASELINE_MEMORY: Final = 2000
"""Beyond so many parts old ones are forgotten by halves: a baseline describes the present line."""

FAILURES: Final = frozenset({Reason.MODEL_ERROR, Reason.TIMEOUT, Reason.NON_FINITE})
MODEL_REJECTS: Final = FAILURES | {Reason.UNCERTAIN}
"""Reasons of NO_DECISION that are the model's doing; the others say nothing about it."""


class Guardrail(StrEnum):
    """The typed rollback triggers."""

    OVER_REJECT = "OVER_REJECT"
    INFERENCE_FAILURE = "INFERENCE_FAILURE"


class OverRejectSettings(BaseModel):
    """The sequential test."""

    model_config = STRICT

    factor: Annotated[float, Field(gt=1.0, le=20.0)] = 5.0
    false_alarm: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.001
    """Wald's alpha and, below, beta: where the upper line lies."""
    missed: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.01
    final_false_alarm: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.01
    """The same at the last part: the share of trials at the baseline that reject so many."""
    default_baseline: Annotated[float, Field(gt=0.0, le=0.5)] = 0.05
    min_baseline_parts: Annotated[int, Field(ge=1)] = 20


class InferenceFailureSettings(BaseModel):
    """Answers that fail to come."""

    model_config = STRICT

    consecutive: Annotated[int, Field(ge=1, le=100)] = 3


class GuardrailSettings(BaseModel):
    """config/guardrails.yaml."""

    model_config = STRICT

    trial_parts: Annotated[int, Field(ge=10, le=100_000)] = 60
    over_reject: OverRejectSettings = OverRejectSettings()
    inference_failure: InferenceFailureSettings = InferenceFailureSettings()


def load_guardrails(config: Path) -> GuardrailSettings:
    """Return the guardrails that the plant has set.

    Raises:
        SettingsError: names the file, the field and the rule.
    """
    return load_yaml(config / FILE, GuardrailSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A guardrail has fired."""

    guardrail: Guardrail
    message: str


def counts_for_model(verdict: Verdict, reason: Reason) -> bool | None:
    """Return whether a part counts as rejected by its model; None when it says nothing about it."""
    if verdict is Verdict.PASS:
        return False
    if verdict is Verdict.FAIL or reason in MODEL_REJECTS:
        return True
    return None


def baseline_rate(baseline: Baseline, settings: OverRejectSettings) -> float:
    """Return the reject rate to hold a trial against.

    The share is smoothed by two parts of the default, so that a station without a single reject
    does not take the first one for a breach.
    """
    if baseline.parts < settings.min_baseline_parts:
        rate = settings.default_baseline
    else:
        rate = (baseline.rejects + 2 * settings.default_baseline) / (baseline.parts + 2)
    return min(max(rate, MIN_BASELINE), MAX_BASELINE)


def add_part(baseline: Baseline, *, is_reject: bool) -> Baseline:
    """Return *baseline* with one more part of the confirmed model."""
    parts, rejects = baseline.parts + 1, baseline.rejects + is_reject
    if parts > BASELINE_MEMORY:
        parts, rejects = parts // 2, rejects // 2
    return Baseline(parts=parts, rejects=rejects)


def rejects_beyond(parts: int, rate: float, probability: float) -> int:
    """Return the fewest rejects that *rate* brings about with at most *probability*."""
    at_least = 1.0
    for rejects in range(parts + 1):
        if at_least <= probability:
            return rejects
        log_share = (
            math.lgamma(parts + 1)
            - math.lgamma(rejects + 1)
            - math.lgamma(parts - rejects + 1)
            + rejects * math.log(rate)
            + (parts - rejects) * math.log1p(-rate)
        )
        at_least -= math.exp(log_share)
    return parts


class TrialWatch:
    """Follows one trial part by part, from what *so_far* has recorded of it on."""

    def __init__(
        self, settings: GuardrailSettings, baseline: Baseline, so_far: Trial | None = None
    ) -> None:
        over_reject = settings.over_reject
        self._settings = settings
        self._rate = baseline_rate(baseline, over_reject)
        self._suspect = min(over_reject.factor * self._rate, MAX_H1)
        self._on_reject = math.log(self._suspect / self._rate)
        self._on_accept = math.log((1 - self._suspect) / (1 - self._rate))
        self._limit = math.log((1 - over_reject.missed) / over_reject.false_alarm)
        self._too_many = rejects_beyond(
            settings.trial_parts, self._rate, over_reject.final_false_alarm
        )
        self.parts = 0 if so_far is None else so_far.parts
        self.rejects = 0 if so_far is None else so_far.rejects
        self.failures = 0 if so_far is None else so_far.consecutive_failures
        """Parts in a row without a usable answer, up to now."""

    @property
    def _evidence(self) -> float:
        """Return the log ratio: a sum over parts, so that the counts are all there is to keep."""
        passes = self.parts - self.rejects
        return self.rejects * self._on_reject + passes * self._on_accept

    @property
    def is_over(self) -> bool:
        """Return True when all parts of the trial are in."""
        return self.parts >= self._settings.trial_parts

    def observe(self, verdict: Verdict, reason: Reason) -> Breach | None:
        """Take one verdict of the model on trial in; return the breach that it completes."""
        is_reject = counts_for_model(verdict, reason)
        if is_reject is None:
            return None
        self.parts += 1
        self.rejects += is_reject
        self.failures = self.failures + 1 if reason in FAILURES else 0
        if self.failures >= self._settings.inference_failure.consecutive:
            return Breach(
                guardrail=Guardrail.INFERENCE_FAILURE,
                message=f"{self.failures} parts in a row without a usable answer",
            )
        is_bad_in_the_end = self._evidence > 0 and self.rejects >= self._too_many
        if self._evidence >= self._limit or (self.is_over and is_bad_in_the_end):
            return Breach(
                guardrail=Guardrail.OVER_REJECT,
                message=f"{self.rejects} of {self.parts} parts rejected, "
                f"the station's baseline is {self._rate:.1%}",
            )
        return None

    def figures(self) -> dict[str, float]:
        """Return the figures of the trial so far, as they are reported."""
        return {
            "parts": float(self.parts),
            "rejects": float(self.rejects),
            "trialParts": float(self._settings.trial_parts),
            "baselineRate": round(self._rate, 4),
            "suspectRate": round(self._suspect, 4),
            "logRatio": round(self._evidence, 3),
            "limit": round(self._limit, 3),
            "consecutiveFailures": float(self.failures),
        }


def counts_of(watch: TrialWatch | None) -> dict[str, float]:
    """Return the figures of *watch*, none without one."""
    return {} if watch is None else watch.figures()
