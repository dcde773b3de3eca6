"""Whether a measured image is fit to be judged by this station's limits. Pure."""

from taktgate.edge.settings import ImageGateSettings
from taktgate.inspection.doorbell import RunFault
from taktgate.inspection.image_facts import ImageFacts


def fault_of(facts: ImageFacts, limits: ImageGateSettings) -> RunFault | None:
    """Return what is wrong with the image, None when nothing is.

    Looked at in this order, the plainest cause first: without light an image is dull and without
    detail as well. Every comparison is written so that what is not within a limit is a fault.
    """
    if not _is_at_most(facts.dark_share, limits.dark_share_max):
        return RunFault.IMAGE_DARK
    if not _is_at_most(facts.saturated_share, limits.saturated_share_max):
        return RunFault.IMAGE_SATURATED
    if not (_is_at_least(facts.mean, limits.mean_min) and _is_at_most(facts.mean, limits.mean_max)):
        return RunFault.IMAGE_EXPOSURE
    if not _is_at_least(facts.sharpness, limits.sharpness_min):
        return RunFault.IMAGE_BLURRED
    return None


def _is_at_most(value: float, limit: float | None) -> bool:
    return limit is None or value <= limit


def _is_at_least(value: float, limit: float | None) -> bool:
    return limit is None or value >= limit
