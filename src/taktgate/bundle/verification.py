"""The gate before loading: signature, digests and compatibility of a bundle in a directory.

Nothing here loads a model or an image, and importing it is cheap.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from taktgate.bundle import layout
from taktgate.bundle.compatibility import DeviceFacts, check
from taktgate.bundle.errors import ArchiveError, DigestMismatchError
from taktgate.bundle.manifest import MANIFEST_LIMIT_BYTES, Manifest, digest_of
from taktgate.bundle.signing import TrustedKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBundle:
    """A bundle that passed `verify_directory`.

    Attributes:
        directory: Where it lies unpacked.
        manifest: What it says.
        digest: "sha256:" and the digest of manifest.json: the bundle's identity.
    """

    directory: Path
    manifest: Manifest
    digest: str

    @property
    def model_path(self) -> Path:
        """Return the path of the model file."""
        return self.directory / layout.MODEL


def verify_directory(directory: Path, keys: TrustedKeys, device: DeviceFacts) -> VerifiedBundle:
    """Return the bundle in *directory* once it is signed, complete, unchanged and fit for *device*.

    Raises:
        ArchiveError: A file is missing, too many, or no plain file.
        SignatureError: No trusted key signed the manifest.
        ManifestError: The manifest breaks a rule.
        DigestMismatchError: A file is not the one that the manifest lists.
        IncompatibleError: This device cannot run it.
    """
    found = _files(directory)
    for name in (layout.MANIFEST, layout.SIGNATURE):
        if name not in found:
            raise ArchiveError(f"{name} is missing")
    data = _read_small(directory, layout.MANIFEST)
    keys.verify(data, _read_small(directory, layout.SIGNATURE))
    manifest = Manifest.parse(data)
    _require_files(directory, manifest, found - {layout.MANIFEST, layout.SIGNATURE})
    check(manifest, device)
    return VerifiedBundle(directory=directory, manifest=manifest, digest=digest_of(data))


def _files(directory: Path) -> frozenset[str]:
    """Return the names of all files below *directory*; anything but plain files is refused."""
    try:
        names = _names(directory)
        if layout.GOLDEN in names:
            golden = {f"{layout.GOLDEN}/{name}" for name in _names(directory / layout.GOLDEN)}
            names = names - {layout.GOLDEN} | golden
    except OSError as error:
        raise ArchiveError(f"{directory} cannot be listed: {error.strerror}") from error
    for name in names:
        if not layout.is_member(name):
            raise ArchiveError(f"{name[:80]!r} is no file of a bundle")
    return frozenset(names)


def _names(directory: Path) -> set[str]:
    with os.scandir(directory) as entries:
        return {_member(entry) for entry in entries}


def _member(entry: os.DirEntry[str]) -> str:
    mode = entry.stat(follow_symlinks=False).st_mode
    if not (stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and entry.name == layout.GOLDEN)):
        raise ArchiveError(f"{entry.name[:80]!r} must be a plain file")
    return entry.name


def _require_files(directory: Path, manifest: Manifest, found: frozenset[str]) -> None:
    listed = {its.path: its for its in manifest.files}
    if found != listed.keys():
        odd = sorted(found ^ listed.keys())
        raise ArchiveError(f"files must be those that the manifest lists; they differ in {odd}")
    for path, its in listed.items():
        size, digest = _measure(directory / path)
        if size != its.size_bytes:
            raise DigestMismatchError(f"{path} must have {its.size_bytes} bytes, got {size}")
        if digest != its.sha256:
            raise DigestMismatchError(f"{path} must have digest {its.sha256}, got {digest}")


def _measure(path: Path) -> tuple[int, str]:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return file.tell(), f"sha256:{digest}"
    except OSError as error:
        raise DigestMismatchError(f"{path.name} cannot be read: {error.strerror}") from error


def _read_small(directory: Path, name: str) -> bytes:
    limit = layout.limit_bytes_of(name, MANIFEST_LIMIT_BYTES)
    try:
        with (directory / name).open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ArchiveError(f"{name} cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise ArchiveError(f"{name} must be at most {limit} bytes")
    return data
