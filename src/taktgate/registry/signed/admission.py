"""What is let into the registry: a bundle that is whole and signed by a key the plant trusts."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taktgate.bundle import layout
from taktgate.bundle.archive import LIMIT_BYTES, unpack
from taktgate.bundle.errors import ArchiveError, DigestMismatchError
from taktgate.bundle.manifest import BundleFile, Manifest, digest_of
from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.source import SourceModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A bundle that may go into the registry.

    Attributes:
        archive: A copy that nobody else writes: what was verified is what is added.
        digest: The bundle's identity: the digest of its manifest.json.
    """

    archive: Path
    manifest: Manifest
    digest: str


@contextmanager
def admitted(archive: Path, keys: TrustedKeys) -> Iterator[Admitted]:
    """Verify a copy of *archive* and hand it over; it is gone after the block.

    Raises:
        BundleError: it is no bundle, not whole, or not signed by one of *keys*.
        OSError: it cannot be read, or not copied.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / archive.name
        if archive.stat().st_size > 2 * LIMIT_BYTES:
            raise ArchiveError(f"{archive.name}: a bundle must be at most {LIMIT_BYTES} bytes")
        shutil.copyfile(archive, copy)
        found = _Members()
        unpack(copy, Path(folder) / "unpacked", write=found.take)
        manifest_bytes = found.small[layout.MANIFEST]
        keys.verify(manifest_bytes, found.small[layout.SIGNATURE])
        manifest = Manifest.parse(manifest_bytes)
        _require_listed(manifest, found.files)
        yield Admitted(archive=copy, manifest=manifest, digest=digest_of(manifest_bytes))


class _Members:
    """The members of an archive as they are read: the small ones whole, of the others a digest."""

    def __init__(self) -> None:
        self.small: dict[str, bytes] = {}
        self.files: dict[str, BundleFile] = {}

    def take(self, path: Path, chunks: Iterable[bytes]) -> None:
        if path.name in (layout.MANIFEST, layout.SIGNATURE):
            self.small[path.name] = b"".join(chunks)
            return
        digest, size = hashlib.sha256(), 0
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
        name = f"{layout.GOLDEN}/{path.name}" if path.parent.name == layout.GOLDEN else path.name
        self.files[name] = BundleFile(
            path=name, size_bytes=size, sha256=f"sha256:{digest.hexdigest()}"
        )


def _require_listed(manifest: Manifest, found: dict[str, BundleFile]) -> None:
    listed = {its.path: its for its in manifest.files}
    odd = sorted(path for path in {*listed, *found} if listed.get(path) != found.get(path))
    if odd:
        raise DigestMismatchError(
            f"files must be those that the manifest lists; they differ in {odd}"
        )


def require_source(source: SourceModel, onnx: Path) -> bytes:
    """Return the ONNX file of *source*.

    Raises:
        ArchiveError: it is too large.
        DigestMismatchError: it is another file than *source* describes.
        OSError: it cannot be read.
    """
    with onnx.open("rb") as file:
        model = file.read(LIMIT_BYTES + 1)
    if len(model) > LIMIT_BYTES:
        raise ArchiveError(f"{onnx.name}: a model must be at most {LIMIT_BYTES} bytes")
    if digest_of(model) != source.digest:
        raise DigestMismatchError(
            f"{onnx.name} must have the digest {source.digest}, got {digest_of(model)}"
        )
    return model
