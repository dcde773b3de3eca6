"""The registry by python-tuf: what is offered, by metadata that is verified and fresh.

One refresh for each attempt at staging, none more: a registry where nothing is new costs two small
requests, for the next root and the timestamp, and no write.

What a missing file means: python-tuf asks for the next root until there is none, so that is no
fault. Without a timestamp there is no registry under this URL (yet): the twin may be right and the
server not ready, so it is tried again. Any other file was named by signed metadata.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import (
    DownloadError,
    DownloadLengthMismatchError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, TargetFile, Timestamp
from tuf.ngclient import Updater

from taktgate.bundle.archive import LIMIT_BYTES
from taktgate.bundle.errors import BundleError
from taktgate.bundle.targets import BundleFacts, bundle_path, class_role
from taktgate.contracts.twins import RegistryTrust
from taktgate.staging.errors import (
    DistrustError,
    NoRepositoryError,
    NotFoundError,
    StagingError,
    TooLargeError,
    UnreachableError,
)
from taktgate.staging.fetch.repository import place_in, public_part
from taktgate.staging.fetch.web import Fetcher
from taktgate.staging.registry.diagnosis import Evidence, explain
from taktgate.staging.registry.downloads import METADATA_URL, MetadataDownloads
from taktgate.staging.registry.kept import TrustFolder, accepted_in
from taktgate.staging.registry.limits import MOST_VERSION, RegistryLimits
from taktgate.staging.registry.offers import Offer, require_about
from taktgate.staging.registry.reasons import Distrust
from taktgate.staging.registry.roots import RootChain
from taktgate.staging.slots.disk import Disk, disk_errors
from taktgate.staging.states import Request

TRUSTED_ROOT_FILE: Final = "trusted_root.json"
"""In the config folder: the first root metadata, put there by hand."""
TARGETS: Final = "targets"
_WORK: Final = "folder for temporary files"
_ARCHIVE_LIMIT_BYTES: Final = LIMIT_BYTES + (1 << 20)
"""A bundle's limit, and room for the archive's own records."""


def wall_clock() -> datetime:
    """Return this machine's time."""
    return datetime.now(UTC)


class TufRegistry:
    """A TUF repository behind a URL."""

    def __init__(
        self,
        folder: Path,
        *,
        trusted_root: Path,
        fetcher: Fetcher,
        disk: Disk,
        device_class: str,
        limits: RegistryLimits | None = None,
        now: Callable[[], datetime] = wall_clock,
    ) -> None:
        """Keep trusted metadata in *folder*; trust *trusted_root* to begin with.

        *now* is for reports and messages; what has expired, python-tuf sees by the real clock.
        """
        self._kept = TrustFolder(folder, first_root=trusted_root, disk=disk, now=now)
        self._fetcher = fetcher
        self._device_class = device_class
        self._limits = limits or RegistryLimits()
        self._now = now

    def offer(self, request: Request) -> Offer:
        """Return what the registry has for *request*, by metadata that is verified and fresh.

        Raises:
            RefusedError: it has no such bundle for this device class.
            FactsError: what it says of it breaks a rule.
            RetriedError: it cannot be had now, or what it says cannot be trusted.
        """
        path = bundle_path(request.model.name, request.model.version, self._device_class)
        target = self._look_up(request.repository, path)
        if target is None:
            raise NotFoundError(f"{path}: the signed registry has no such bundle")
        return _offer(target, request.repository)

    def recall(self, request: Request) -> Offer | None:
        """Return what the metadata that is trusted on the disk says of *request*, None if nothing.

        Nobody is asked, and no date matters: it is what was true when the registry was heard last.
        """
        path = bundle_path(request.model.name, request.model.version, self._device_class)
        target = self._kept.recall(path, role=class_role(self._device_class))
        if target is None:
            return None
        try:
            return _offer(target, request.repository)
        except (BundleError, StagingError):
            return None

    def fetch(self, offer: Offer, *, start: int) -> Iterator[bytes]:
        """Yield the archive of *offer* from byte *start* on, never more than it may have.

        Raises:
            RefusedError: the bytes are refused.
            RetriedError: they cannot be had now.
        """
        try:
            yield from self._fetcher.fetch(offer.url, limit_bytes=offer.size_bytes, start=start)
        except TooLargeError as error:
            raise DistrustError(
                Distrust.ENDLESS_DATA,
                f"{offer.path}: signed with {offer.size_bytes} bytes: {error}",
            ) from error
        except NotFoundError as error:
            raise DistrustError(
                Distrust.INCOMPLETE, f"{offer.path}: signed, but not there: {error}"
            ) from error

    def trust(self) -> RegistryTrust | None:
        """Return what metadata is trusted now, None before the first contact."""
        return self._kept.trust()

    def _look_up(self, repository: str, path: str) -> TargetFile | None:
        with _work_folder() as work:
            downloads = MetadataDownloads(self._fetcher, repository, limits=self._limits)
            with disk_errors(_WORK):
                roots = self._kept.lay_out(work)
                target, error = self._asked(downloads, path, work=work, root=roots.newest)
                accepted = accepted_in(work)
            excess = _excess(accepted, roots, self._limits)
            # What was accepted before a refusal stays, as the specification says: a mirror must not
            # be able to hide a rotation of keys by failing after it.
            self._kept.keep(work, only_roots=excess is not None)
            if isinstance(error, DownloadError):
                raise _of_download(error, downloads, repository) from error
            if excess is not None:
                raise excess from error
            if error is not None:
                raise explain(error, self._evidence(downloads, accepted)) from error
            snapshot = accepted[Snapshot.type]
            assert isinstance(snapshot, Snapshot), "a refresh has ended well"
            self._kept.drop_stale(snapshot)
        return target

    def _asked(
        self, downloads: MetadataDownloads, path: str, *, work: Path, root: bytes
    ) -> tuple[TargetFile | None, RepositoryError | DownloadError | None]:
        """Return what python-tuf finds of *path* after a refresh in *work*, and its refusal."""
        try:
            updater = Updater(
                str(work),
                METADATA_URL,
                fetcher=downloads,
                config=self._limits.for_updater(),
                bootstrap=root,
            )
            updater.refresh()
            return updater.get_targetinfo(path), None
        except (RepositoryError, DownloadError) as refusal:
            return None, refusal

    def _evidence(self, downloads: MetadataDownloads, accepted: dict[str, Signed]) -> Evidence:
        came: Metadata[Any] | None
        try:
            came = Metadata.from_bytes(downloads.content)
        except RepositoryError:
            came = None
        return Evidence(role=downloads.role, came=came, trusted=accepted, now=self._now())


@contextmanager
def _work_folder() -> Iterator[Path]:
    """Give a folder that is gone afterwards.

    Raises:
        DiskError: there is no place for temporary files, or no room.
    """
    with disk_errors(_WORK):
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with folder as name:
        yield Path(name)


def _excess(
    accepted: dict[str, Signed], roots: RootChain, limits: RegistryLimits
) -> DistrustError | None:
    """Return what is wrong with metadata that python-tuf accepts and we do not."""
    root = accepted[Root.type].version
    if root < roots.floor:
        return DistrustError(
            Distrust.ROLLBACK,
            f"role root: got version {root}, wanted {roots.floor}: a kept root is damaged here, "
            "and the registry does not show it again",
        )
    if root - roots.version >= limits.root_rotations:
        return DistrustError(
            Distrust.ROOT_CHAIN,
            f"role root: {limits.root_rotations} new ones at once, up to version {root}; "
            "the next try goes on from there",
        )
    timestamp = accepted.get(Timestamp.type)
    if isinstance(timestamp, Timestamp):
        newest = max(timestamp.version, timestamp.snapshot_meta.version)
        if newest > MOST_VERSION:
            return DistrustError(
                Distrust.FAST_FORWARD,
                f"role timestamp: got version {newest}, wanted {MOST_VERSION} at most",
            )
    return None


def _of_download(
    error: DownloadError, downloads: MetadataDownloads, repository: str
) -> StagingError:
    """Return what a failed download of metadata means."""
    cause = error.__cause__
    role = downloads.role
    if isinstance(error, DownloadLengthMismatchError):
        return DistrustError(Distrust.ENDLESS_DATA, f"role {role}: longer than signed: {error}")
    if isinstance(cause, NotFoundError) and role == Timestamp.type:
        place = public_part(repository)
        return NoRepositoryError(f"{place}: no signed registry there: {cause}")
    if isinstance(cause, NotFoundError):
        return DistrustError(Distrust.INCOMPLETE, f"role {role}: named, but not there: {cause}")
    if isinstance(cause, StagingError):
        return cause
    return UnreachableError(f"role {role}: {error}")


def _offer(target: TargetFile, repository: str) -> Offer:
    digest = target.hashes.get("sha256")
    if digest is None:
        raise DistrustError(Distrust.MALFORMED, f"{target.path}: signed without a SHA-256")
    if target.length > _ARCHIVE_LIMIT_BYTES:
        raise TooLargeError(f"{target.path}: {target.length} bytes")
    facts = BundleFacts.from_custom(target.custom)
    require_about(facts, target.path)
    folder, _, name = target.path.rpartition("/")
    return Offer(
        path=target.path,
        size_bytes=target.length,
        sha256=digest,
        url=place_in(repository, f"{TARGETS}/{folder}/{digest}.{name}"),
        facts=facts,
    )
