"""The registry by python-tuf: metadata is fetched, verified, and then kept durably.

python-tuf keeps its files with a rename, but without fsync. So it works on a copy in a folder of
its own, and what it accepted is published file by file, root first: each file alone can only move
trust forward, so a power cut between two of them does no harm.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, Root, TargetFile, Timestamp
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from taktgate.bundle.archive import LIMIT_BYTES
from taktgate.bundle.errors import FactsError
from taktgate.bundle.targets import BundleFacts, bundle_path
from taktgate.contracts.twins import RegistryTrust
from taktgate.staging.errors import (
    DeniedError,
    DistrustError,
    NotFoundError,
    StagingError,
    TooLargeError,
)
from taktgate.staging.fetch.repository import place_in
from taktgate.staging.fetch.web import Fetcher
from taktgate.staging.registry.offers import Offer
from taktgate.staging.slots.disk import Disk
from taktgate.staging.states import Request

TRUSTED_ROOT_FILE: Final = "trusted_root.json"
"""In the config folder: the first root metadata, put there by hand."""
METADATA: Final = "metadata"
TARGETS: Final = "targets"
_METADATA_LIMIT_BYTES: Final = 5_000_000
_ARCHIVE_LIMIT_BYTES: Final = LIMIT_BYTES + (1 << 20)
"""A bundle's limit, and room for the archive's own records."""


class TufRegistry:
    """A TUF repository behind a URL."""

    def __init__(
        self, folder: Path, *, trusted_root: Path, fetcher: Fetcher, disk: Disk, device_class: str
    ) -> None:
        """Keep trusted metadata in *folder*; trust *trusted_root* to begin with."""
        self._folder = folder
        self._trusted_root = trusted_root
        self._fetcher = fetcher
        self._disk = disk
        self._device_class = device_class

    def offer(self, request: Request) -> Offer:
        """Return what the registry has for *request*, by metadata that is verified and fresh.

        Raises:
            RefusedError: it has no such bundle for this device class.
            RetriedError: it cannot be had now, or what it says cannot be trusted.
        """
        path = bundle_path(request.model.name, request.model.version, self._device_class)
        target = self._look_up(request.repository, path)
        if target is None:
            raise NotFoundError(f"{path}: the signed registry has no such bundle")
        return _offer(target, request.repository)

    def fetch(self, offer: Offer, *, start: int) -> Iterator[bytes]:
        """Yield the archive of *offer* from byte *start* on, never more than it may have.

        Raises:
            RefusedError: the bytes are refused.
            RetriedError: they cannot be had now.
        """
        return self._fetcher.fetch(offer.url, limit_bytes=offer.size_bytes, start=start)

    def trust(self) -> RegistryTrust | None:
        """Return what metadata is trusted now, None before the first contact."""
        try:
            root = Metadata[Root].from_file(str(self._folder / "root.json")).signed
            timestamp = Metadata[Timestamp].from_file(str(self._folder / "timestamp.json")).signed
        except (RepositoryError, OSError):
            return None
        return RegistryTrust(
            root=root.version, timestamp=timestamp.version, expires=timestamp.expires.isoformat()
        )

    def _look_up(self, repository: str, path: str) -> TargetFile | None:
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work) / METADATA
            if self._folder.exists():
                shutil.copytree(self._folder, folder, symlinks=True)
            else:
                folder.mkdir()
            try:
                updater = Updater(
                    str(folder),
                    _METADATA_URL,
                    fetcher=_TufFetcher(self._fetcher, repository),
                    bootstrap=self._trusted_root.read_bytes(),
                )
                updater.refresh()
                target = updater.get_targetinfo(path)
            except ExpiredMetadataError as error:
                raise DistrustError("EXPIRED", str(error)) from error
            except RepositoryError as error:
                raise DistrustError("DISTRUST", str(error)) from error
            except DownloadError as error:
                if isinstance(error.__cause__, StagingError):
                    raise error.__cause__ from error
                raise DistrustError("DISTRUST", str(error)) from error
            self._keep(folder)
        return target

    def _keep(self, accepted: Path) -> None:
        if not self._folder.exists():
            self._disk.make_folder(self._folder)
            self._disk.sync_folder(self._folder.parent)
        for name in sorted(path.name for path in accepted.glob("*.json")):
            content = (accepted / name).read_bytes()
            kept = self._folder / name
            if not kept.exists() or kept.read_bytes() != content:
                self._disk.publish(kept, content)


_METADATA_URL: Final = "metadata:/"
"""python-tuf builds URLs by appending; ours may end in a query, so only the name is taken."""


class _TufFetcher(FetcherInterface):
    """Our fetcher, as python-tuf wants one."""

    def __init__(self, fetcher: Fetcher, repository: str) -> None:
        self._fetcher = fetcher
        self._repository = repository

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix(_METADATA_URL)
        place = place_in(self._repository, f"{METADATA}/{name}")
        try:
            yield from self._fetcher.fetch(place, limit_bytes=_METADATA_LIMIT_BYTES)
        except NotFoundError as error:
            raise DownloadHTTPError(str(error), 404) from error
        except DeniedError as error:
            raise DownloadHTTPError(str(error), 403) from error
        except StagingError as error:
            raise DownloadError(str(error)) from error


def _offer(target: TargetFile, repository: str) -> Offer:
    digest = target.hashes.get("sha256")
    if digest is None:
        raise DistrustError("DISTRUST", f"{target.path}: signed without a SHA-256")
    if target.length > _ARCHIVE_LIMIT_BYTES:
        raise TooLargeError(f"{target.path}: {target.length} bytes")
    try:
        facts = BundleFacts.from_custom(target.custom)
    except FactsError as error:
        raise DistrustError(error.reason, f"{target.path}: {error}") from error
    folder, _, name = target.path.rpartition("/")
    return Offer(
        path=target.path,
        size_bytes=target.length,
        sha256=digest,
        url=place_in(repository, f"{TARGETS}/{folder}/{digest}.{name}"),
        facts=facts,
    )
