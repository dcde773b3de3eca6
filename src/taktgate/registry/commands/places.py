"""Where a command finds keys and what opens them, by the environment."""

import os
from pathlib import Path
from typing import Final

KEYS_VARIABLE: Final = "TAKTGATE_REGISTRY_KEYS"
PASSPHRASES_VARIABLE: Final = "TAKTGATE_REGISTRY_PASSPHRASE_FILE"


def default_keys() -> list[Path]:
    """Return the folders of private keys that the environment names."""
    return _paths(os.environ.get(KEYS_VARIABLE) or "registry-keys")


def default_passphrases() -> list[Path]:
    """Return the files of passphrases that the environment names."""
    return _paths(os.environ.get(PASSPHRASES_VARIABLE, ""))


def _paths(named: str) -> list[Path]:
    return [Path(path) for path in named.split(os.pathsep) if path]
