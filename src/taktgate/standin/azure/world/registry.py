"""The signed registry of a world: released samples to begin with, and keys to publish more."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import taktgate
from taktgate.staging.registry.client import TRUSTED_ROOT_FILE
from taktgate.standin.sample_registry import SampleRegistry

SAMPLE_MODEL: Final = "weld-seam"
SAMPLE_VERSION: Final = "1.0.0"
_SAMPLES: Final = Path(taktgate.__file__).parent / "standin" / "samples"
_TRUST: Final = "registry-trust"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldRegistry:
    """Where the parts of the registry lie: one is served, one is secret, one goes to stations."""

    directory: Path
    """Served as the model repository; `taktgate registry --registry` of a publisher."""
    keys: Path
    """The private keys."""
    trusted_root: Path
    """Copy it to `config/trusted_root.json` of each station."""


def open_registry(world: Path, directory: Path) -> WorldRegistry:
    """Return the registry of *world* in *directory*; one that is kept stays as it is.

    Raises:
        OSError: the disk refused.
    """
    keys, trust = world / "registry-keys", world / _TRUST
    places = WorldRegistry(directory=directory, keys=keys, trusted_root=trust / TRUSTED_ROOT_FILE)
    if places.trusted_root.exists():
        return places
    registry = SampleRegistry(directory, keys=keys)
    for bundle in sorted((_SAMPLES / SAMPLE_MODEL).glob("*.bundle")):
        registry.release(bundle)
    registry.trust_in(trust)  # last: it says that the others are whole
    return places
