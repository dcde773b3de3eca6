"""Whether the places that the agent writes to can be written to."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

MIN_FREE_BYTES: Final = 16 * 1024 * 1024


class Stores:
    """Looks at each place when asked; it writes nothing itself."""

    def __init__(self, places: Mapping[str, Path]) -> None:
        self._places = places

    def faults(self) -> dict[str, str]:
        """Return by name what is wrong with each place; empty text: nothing."""
        return {name: _fault(path) for name, path in self._places.items()}


def _fault(path: Path) -> str:
    """Look at *path*, or at where it will be made: records have no folder before the first part."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        free_bytes = shutil.disk_usage(path).free
    except OSError as error:
        return f"{error.strerror}"
    if not os.access(path, os.W_OK):
        return "not writable"
    if free_bytes < MIN_FREE_BYTES:
        return f"{free_bytes} bytes are free, {MIN_FREE_BYTES} are needed"
    return ""
