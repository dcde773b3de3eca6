"""The members of a bundle: the same names in the archive and in an unpacked directory."""

from __future__ import annotations

import re
from typing import Final

from taktgate.bundle.manifest import FILE_PATTERN, MANIFEST_LIMIT_BYTES
from taktgate.bundle.signing import SIGNATURE_LIMIT_BYTES

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
MODEL: Final = "model.onnx"
GOLDEN: Final = "golden"
MEMBERS_LIMIT: Final = 1026

_FIRST: Final = (MANIFEST, SIGNATURE, MODEL)
_FILE: Final = re.compile(FILE_PATTERN.removesuffix("$") + r"\Z")


def is_member(name: str) -> bool:
    """Tell whether a bundle may have a file *name*: an allow-list, so no path leads elsewhere."""
    return name in _FIRST or _FILE.match(name) is not None


def in_order(names: list[str]) -> list[str]:
    """Return *names* in the order of the archive: manifest, signature, model, golden by name."""
    return sorted(names, key=lambda name: (_rank(name), name))


def limit_bytes_of(name: str, limit_bytes: int) -> int:
    """Return how large the member *name* may be, *limit_bytes* where it has no limit of its own."""
    own = {MANIFEST: MANIFEST_LIMIT_BYTES, SIGNATURE: SIGNATURE_LIMIT_BYTES}
    return min(limit_bytes, own.get(name, limit_bytes))


def _rank(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)
