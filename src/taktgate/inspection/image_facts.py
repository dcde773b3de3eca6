"""What can be said of an image without a model: brightness, spread, sharpness, clipping. Pure."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT, Finite

Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """Measured on a frame before inference. Grey values are 0..255."""

    __pydantic_config__ = STRICT_DOCUMENT

    mean: Finite
    contrast: Finite
    """Standard deviation of the grey values."""
    sharpness: Finite
    """Variance of the Laplacian of the grey values: falls with blur, rises with noise."""
    dark_share: Share
    saturated_share: Share
    fingerprint: Annotated[int, Field(ge=0, lt=1 << 64)]
    """Equal for equal pixels; a live sensor's noise never repeats."""
