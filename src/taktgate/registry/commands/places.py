"""Where a command works, by the environment: the registry's folder and the folders of keys."""

import os
from pathlib import Path
from typing import Final

KEYS_VARIABLE: Final = "TAKTGATE_REGISTRY_KEYS"


def default_keys() -> list[Path]:
    """Return the folders of private keys that the environment names."""
    named = os.environ.get(KEYS_VARIABLE) or "registry-keys"
    return [Path(folder) for folder in named.split(os.pathsep) if folder]
