"""The gate before loading: signature, digests and compatibility of a bundle in a directory.

Nothing here loads a model or an image, and importing it is cheap. What is verified is what lies in
the directory at that moment: who loads the model afterwards takes `VerifiedBundle.read_model`,
which returns bytes that are verified themselves, and not the path.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from taktgate.bundle import layout
from taktgate.bundle.compatibility import DeviceFacts, check
from taktgate.bundle.errors import ArchiveError
from taktgate.bundle.manifest import MANIFEST_LIMIT_BYTES, Manifest, digest_of
from taktgate.bundle.reading import Heed, read_listed, read_small, require_listed
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

    def read_model(self) -> bytes:
        """Return the model: the very bytes that the manifest lists, whatever the path leads to now.

        Raises:
            ArchiveError: It is no plain file any more.
            DigestMismatchError: It has changed since, or cannot be read.
        """
        its = next(its for its in self.manifest.files if its.path == layout.MODEL)
        return read_listed(self.model_path, its)


def verify_directory(
    directory: Path, keys: TrustedKeys, device: DeviceFacts, *, heed: Heed | None = None
) -> VerifiedBundle:
    """Return the bundle in *directory* once it is signed, complete, unchanged and fit for *device*.

    *heed* is called between pieces of a large file.

    Raises:
        ArchiveError: A file is missing, too many, or no plain file.
        SignatureError: No trusted key signed the manifest.
        ManifestError: The manifest breaks a rule.
        DigestMismatchError: A file is not the one that the manifest lists.
        IncompatibleError: This device cannot run it.
    """
    bundle = verify_content(directory, keys, heed=heed)
    check(bundle.manifest, device)
    return bundle


def verify_content(
    directory: Path, keys: TrustedKeys, *, heed: Heed | None = None
) -> VerifiedBundle:
    """Return the bundle in *directory* once it is signed, complete and unchanged.

    Raises:
        ArchiveError: A file is missing, too many, or no plain file.
        SignatureError: No trusted key signed the manifest.
        ManifestError: The manifest breaks a rule.
        DigestMismatchError: A file is not the one that the manifest lists.
    """
    found = _files(directory)
    for name in (layout.MANIFEST, layout.SIGNATURE):
        if name not in found:
            raise ArchiveError(f"{name} is missing")
    data = _read_small(directory, layout.MANIFEST)
    keys.verify(data, _read_small(directory, layout.SIGNATURE))
    manifest = Manifest.parse(data)
    _require_files(directory, manifest, found - {layout.MANIFEST, layout.SIGNATURE}, heed)
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
        names = {_member(entry) for entry in islice(entries, layout.MEMBERS_LIMIT + 1)}
    if len(names) > layout.MEMBERS_LIMIT:
        raise ArchiveError(f"a bundle must have at most {layout.MEMBERS_LIMIT} files")
    return names


def _member(entry: os.DirEntry[str]) -> str:
    mode = entry.stat(follow_symlinks=False).st_mode
    if not (stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and entry.name == layout.GOLDEN)):
        raise ArchiveError(f"{entry.name[:80]!r} must be a plain file")
    return entry.name


def _require_files(
    directory: Path, manifest: Manifest, found: frozenset[str], heed: Heed | None
) -> None:
    listed = {its.path: its for its in manifest.files}
    if found != listed.keys():
        odd = sorted(found ^ listed.keys())
        raise ArchiveError(f"files must be those that the manifest lists; they differ in {odd}")
    for path, its in listed.items():
        require_listed(directory / path, its, heed=heed)


def _read_small(directory: Path, name: str) -> bytes:
    limit = layout.limit_bytes_of(name, MANIFEST_LIMIT_BYTES)
    return read_small(directory / name, limit_bytes=limit)
