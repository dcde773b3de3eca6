"""From the station's setting `camera.correlation` to the strategy."""

from typing import Literal

from taktgate.inspection.judge.correlation.numbered import (
    FRAME_COUNTER,
    TRIGGER_COUNTER,
    NumberedCorrelation,
)
from taktgate.inspection.judge.correlation.port import Correlation
from taktgate.inspection.judge.correlation.software_trigger import SoftwareTriggerCorrelation

Strategy = Literal["counter", "software_trigger", "frame_trigger_id"]


def choose_correlation(strategy: Strategy, *, window_ns: int) -> Correlation:
    """Return a fresh correlation by *strategy*."""
    if strategy == "software_trigger":
        return SoftwareTriggerCorrelation(window_ns=window_ns)
    numbering = TRIGGER_COUNTER if strategy == "frame_trigger_id" else FRAME_COUNTER
    return NumberedCorrelation(numbering, window_ns=window_ns)
