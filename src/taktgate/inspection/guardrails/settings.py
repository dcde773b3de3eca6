"""config/guardrails.yaml: when a model is sent back. Every figure has a default."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, Field

from taktgate.contracts.codec import Name
from taktgate.edge.settings import STRICT, load_yaml

FILE: Final = "guardrails.yaml"

Probability = Annotated[float, Field(gt=0.0, lt=0.5)]
Parts = Annotated[int, Field(ge=1, le=100_000)]


class SequentialSettings(BaseModel):
    """How sure a test is that decides part by part."""

    model_config = STRICT

    false_alarm: Probability = 0.001
    """Wald's alpha and, below, beta: where the upper line lies."""
    missed: Probability = 0.01
    final_false_alarm: Probability = 0.01
    """At the last part: the share of sound models that show so much by chance."""


class LatencySettings(SequentialSettings):
    """Parts that take too long from their frame to their verdict."""

    budget_ms: Annotated[float, Field(gt=0.0, le=10_000.0)] | None = None
    """From the frame in memory to the verdict; null takes `budget_share`."""
    budget_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.4
    """Of the time that the PLC grants from trigger to acknowledgement (DeadlineMs)."""
    window: Annotated[int, Field(ge=100, le=100_000)] = 1000
    over_budget_share: Probability = 0.01
    """More than this share over the budget: the 99th percentile is."""
    windows_running: Annotated[int, Field(ge=1, le=10)] = 2
    trial_share: Annotated[float, Field(gt=0.01, le=0.9)] = 0.2
    """A model on trial is sent back when so large a share is over the budget."""
    probe_limit_ms: Annotated[float, Field(gt=0.0, le=60_000.0)] | None = 250.0
    """A candidate's probe run may take so long at most (idle priority, so with room)."""


class InferenceFailureSettings(SequentialSettings):
    """Answers that fail to come, or cannot be used."""

    consecutive: Annotated[int, Field(ge=1, le=100)] = 3
    window: Annotated[int, Field(ge=100, le=100_000)] = 1000
    max_share: Probability = 0.001
    early_false_alarm: Probability = 1e-6
    """A window ends early at a count that `max_share` brings about no more often than that."""
    trial_share: Annotated[float, Field(gt=0.01, le=0.9)] = 0.1


class OverRejectSettings(SequentialSettings):
    """More rejects than this station's last confirmed model."""

    factor: Annotated[float, Field(gt=1.0, le=20.0)] = 5.0
    """The trial asks: does it reject like the baseline, or like so many times that?"""
    default_baseline: Annotated[float, Field(gt=0.0, le=0.5)] = 0.05
    min_baseline_parts: Annotated[int, Field(ge=1)] = 20
    min_parts: Annotated[int, Field(ge=50, le=100_000)] = 500
    sigmas: Annotated[float, Field(ge=1.0, le=10.0)] = 3.0
    ratio: Annotated[float, Field(ge=1.0, le=20.0)] = 1.5


class DisagreementSettings(SequentialSettings):
    """Defects that pass, and answers that differ from those of the confirmed model."""

    min_parts: Annotated[int, Field(ge=50, le=100_000)] = 500
    fall: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """Rejects fall by more than this share of the baseline: defects may be passing."""
    critical_classes: tuple[Name, ...] | None = None
    """Defect classes whose confirmed escape sends the model back; null means each of them."""
    escapes: Annotated[int, Field(ge=1, le=100)] = 1
    min_agreement: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.99
    """Of the parts that live model and shadow have both judged."""
    suspect_factor: Annotated[float, Field(gt=1.0, le=20.0)] = 5.0
    """The sequential test asks: so much disagreement as allowed, or so many times that?"""


class ResourceSettings(BaseModel):
    """What the device must bear. The agent samples at even intervals."""

    model_config = STRICT

    gpu_memory_mb: Annotated[float, Field(gt=0.0)] = 3072.0
    gpu_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    gpu_samples: Annotated[int, Field(ge=1, le=10_000)] = 12
    """Busy beyond `gpu_share` in so many samples running."""
    rss_samples: Annotated[int, Field(ge=9, le=100_000)] = 120
    rss_growth_mb: Annotated[float, Field(gt=0.0)] = 64.0
    """Rise of the runner's memory over `rss_samples`, without going back in between."""


class DriftSettings(BaseModel):
    """Slow change of what the camera sees and of what the model says."""

    model_config = STRICT

    learn_parts: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """The first parts of a station or model, which all later ones are held against."""
    batch_parts: Annotated[int, Field(ge=1, le=100)] = 10
    """Means of so many parts are tested: single scores are far too skewed for sigmas."""
    allowance: Annotated[float, Field(gt=0.0, le=3.0)] = 0.5
    """In standard deviations of such means: a lasting shift below this is let go."""
    limit: Annotated[float, Field(gt=0.0, le=1000.0)] = 20.0
    """The same, summed over batches beyond the allowance."""
    clip: Annotated[float, Field(gt=0.0, le=100.0)] = 6.0
    """One batch counts for no more than this, whatever it shows."""
    psi_parts: Annotated[int, Field(ge=200, le=100_000)] = 500
    psi_limit: Annotated[float, Field(gt=0.0, le=10.0)] = 0.25
    psi_windows_running: Annotated[int, Field(ge=1, le=10)] = 2
    model_parts: Annotated[int, Field(ge=0, le=1_000_000)] = 5000
    """Scores that drift alone so soon after a swap are the model's doing."""


class GuardrailSettings(BaseModel):
    """The whole file."""

    model_config = STRICT

    trial_parts: Annotated[int, Field(ge=10, le=100_000)] = 60
    shadow_parts: Annotated[int, Field(ge=0, le=100_000)] = 40
    """Parts that a candidate judges beside the live model before its trial; 0 skips that."""
    shadow_silent_parts: Annotated[int, Field(ge=3, le=10_000)] = 10
    """So many parts without an answer in time, and hardly one with, and a shadow is given up."""
    cool_down_parts: Annotated[int, Field(ge=0, le=10_000)] = 20
    """After a swap or a return: such parts are counted by no test of the live model."""
    rearm_parts: Annotated[int, Field(ge=1, le=1_000_000)] = 2000
    """A guardrail that has fired is silent until it would not have fired for so many parts."""
    environment_parts: Annotated[int, Field(ge=0, le=1_000_000)] = 2000
    """A breach of the model that was returned to, within so many parts, is the environment's."""
    latency: LatencySettings = LatencySettings()
    inference_failure: InferenceFailureSettings = InferenceFailureSettings()
    over_reject: OverRejectSettings = OverRejectSettings()
    escape_or_disagreement: DisagreementSettings = DisagreementSettings()
    resource: ResourceSettings = ResourceSettings()
    drift: DriftSettings = DriftSettings()


def load_guardrails(config: Path) -> GuardrailSettings:
    """Return the guardrails that the plant has set.

    Raises:
        SettingsError: names the file, the field and the rule.
    """
    return load_yaml(config / FILE, GuardrailSettings)
