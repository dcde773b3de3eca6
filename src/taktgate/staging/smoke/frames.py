"""The frames that every model is shown: nothing of a part is on them, so any score is right."""

from typing import Final

import numpy as np

from taktgate.bundle.manifest import Preprocessing
from taktgate.bundle.preprocessing import Pixels

_SEED: Final = 20_150_618


def plain_frames(spec: Preprocessing) -> dict[str, Pixels]:
    """Return a black, a white and a noisy frame by name, uint8 [height, width]; always the same."""
    shape = (spec.height, spec.width)
    noise = np.random.default_rng(_SEED).integers(0, 256, shape, np.uint8)
    return {"black": np.zeros(shape, np.uint8), "white": np.full(shape, 255, np.uint8)} | {
        "noise": noise
    }
