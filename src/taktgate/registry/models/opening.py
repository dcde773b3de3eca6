"""A bundle opened for a look, and whether it may be believed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taktgate.bundle import layout
from taktgate.bundle.archive import unpack
from taktgate.bundle.errors import BundleError, SignatureError
from taktgate.bundle.manifest import MANIFEST_LIMIT_BYTES, Manifest, digest_of
from taktgate.bundle.reading import read_small
from taktgate.bundle.signing import SIGNATURE_LIMIT_BYTES, TrustedKeys, signer_of
from taktgate.bundle.verification import VerifiedBundle, verify_content


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedBundle:
    """A bundle that can be read.

    Attributes:
        directory: Where it lies unpacked, for as long as it is open.
        size_bytes: Of the archive, or of all files of a directory.
        key_id: The key that it says has signed it.
        verified: None if it is not to be believed; `doubt` says why.
    """

    path: Path
    directory: Path
    size_bytes: int
    digest: str
    key_id: str
    manifest: Manifest
    verified: VerifiedBundle | None
    doubt: BundleError | None


@contextmanager
def open_bundle(path: Path, keys: TrustedKeys | None) -> Iterator[OpenedBundle]:
    """Open the archive or directory *path*; without *keys* nothing in it is verified.

    Raises:
        BundleError: It cannot even be read: no archive of ours, or its manifest breaks a rule.
        OSError: There is no room to unpack it.
    """
    if path.is_dir():
        size = sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
        yield _opened(path, path, size, keys)
        return
    with tempfile.TemporaryDirectory(prefix="taktgate-bundle-") as folder:
        unpack(path, Path(folder))
        yield _opened(path, Path(folder), path.stat().st_size, keys)


def _opened(path: Path, directory: Path, size: int, keys: TrustedKeys | None) -> OpenedBundle:
    data = read_small(directory / layout.MANIFEST, limit_bytes=MANIFEST_LIMIT_BYTES)
    signature = read_small(directory / layout.SIGNATURE, limit_bytes=SIGNATURE_LIMIT_BYTES)
    verified, doubt = _verified(directory, keys)
    return OpenedBundle(
        path=path,
        directory=directory,
        size_bytes=size,
        digest=digest_of(data),
        key_id=signer_of(signature),
        manifest=Manifest.parse(data),
        verified=verified,
        doubt=doubt,
    )


def _verified(
    directory: Path, keys: TrustedKeys | None
) -> tuple[VerifiedBundle | None, BundleError | None]:
    if keys is None:
        return None, SignatureError("no trusted keys were given to verify it with")
    try:
        return verify_content(directory, keys), None
    except BundleError as error:
        return None, error
