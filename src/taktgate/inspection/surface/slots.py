"""The slots volume as the surface sees it: what lies there, found by name, never by path.

A request's text is compared with what manifests say; no path is ever made of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taktgate.bundle import layout
from taktgate.bundle.compatibility import this_device
from taktgate.bundle.errors import BundleError
from taktgate.bundle.manifest import MANIFEST_LIMIT_BYTES, Manifest, digest_of
from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.verification import verify_directory
from taktgate.contracts.model import ModelRef
from taktgate.inspection.surface.board import label_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotBundle:
    """What a slot's manifest says; `SlotCatalog.verify` tells whether it is true."""

    model: ModelRef
    slot: str
    manifest: Manifest


class SlotCatalog:
    """Reads the slots; `model_stager` alone writes them."""

    def __init__(self, slots: Path, *, trusted_keys: Path, device_class: str) -> None:
        self._slots = slots
        self._trusted_keys = trusted_keys
        self._device_class = device_class

    def read(self, slot: str) -> SlotBundle | None:
        """Return what lies in *slot*; None when no manifest can be read there."""
        try:
            with (self._slots / slot / layout.MANIFEST).open("rb") as file:
                data = file.read(MANIFEST_LIMIT_BYTES + 1)
            manifest = Manifest.parse(data)
        except (OSError, BundleError):
            return None
        model = ModelRef(name=manifest.name, version=manifest.version, digest=digest_of(data))
        return SlotBundle(model=model, slot=slot, manifest=manifest)

    def find(self, *, name: str | None = None, digest: str | None = None) -> tuple[SlotBundle, ...]:
        """Return all that answer to *digest*, or to *name* with or without its version."""
        return tuple(
            each
            for each in self._all()
            if each.model.digest == digest or name in (each.model.name, label_of(each.model))
        )

    def verify(self, found: SlotBundle) -> str | None:
        """Return why the bundle must not be loaded here, as `REASON: message`; None if it may."""
        try:
            bundle = verify_directory(
                self._slots / found.slot,
                TrustedKeys.load(self._trusted_keys),
                this_device(self._device_class),
            )
        except BundleError as error:
            return f"{error.reason}: {error}"
        return None if bundle.digest == found.model.digest else "DIGEST: it has just changed"

    def _all(self) -> Iterator[SlotBundle]:
        try:
            names = sorted(entry.name for entry in self._slots.iterdir() if entry.is_dir())
        except OSError:
            return
        for name in names:
            # What begins with a dot is being fetched, or has been put aside.
            found = None if name.startswith(".") else self.read(name)
            if found is not None:
                yield found
