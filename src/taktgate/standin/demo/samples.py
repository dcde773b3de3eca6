"""The sample bundles that come with the local world, and the folders they need around them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import taktgate

SAMPLES: Final = Path(taktgate.__file__).parent / "standin" / "samples"
REPOSITORY_ROOT: Final = Path(taktgate.__file__).parents[2]
DEVICE_CLASS: Final = "cpu"


class SampleMissingError(RuntimeError):
    """A file that belongs to the demo is not there."""


class SampleDamagedError(RuntimeError):
    """The registry of the demo does not take a bundle of this checkout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLine:
    """An image set and the bundles that were trained on its other images."""

    images: str
    """Name of the image set that the camera shows."""
    model: str
    first: str
    """Version that the stations start with."""
    successor: str
    """Version that is as good."""
    overrejecting: str
    """Version that passes its golden subset and rejects far too much of the line's parts."""
    min_agreement: float
    """Of the line's parts that first version and successor must judge alike. On the solar cells
    they agree on 97 % of them; to ask for more would be to ask for the same model."""

    def bundle(self, version: str) -> Path:
        """Return the bundle of *version*.

        Raises:
            SampleMissingError: it is not in this checkout.
        """
        path = SAMPLES / self.model / f"{self.model}-{version}.bundle"
        if not path.is_file():
            raise SampleMissingError(f"sample bundle {path} is missing: is the checkout complete?")
        return path


SOLAR_CELLS: Final = SampleLine(
    images="elpv",
    model="elpv-cells",
    first="1.0.0",
    successor="1.1.0",
    overrejecting="1.2.0-overreject",
    min_agreement=0.95,
)
WELD_SEAMS: Final = SampleLine(
    images="weld",
    model="weld-seam",
    first="1.0.0",
    successor="1.1.0",
    overrejecting="1.2.0-overreject",
    min_agreement=0.99,
)
