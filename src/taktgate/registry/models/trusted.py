"""A registry as python-tuf verifies it: only what it accepted is returned.

The client workflow is that of the TUF specification, section 5. It keeps what it verified in a
folder of its own, and the delegated roles are read from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from taktgate.bundle.targets import SOURCES_ROLE, bundle_path, class_role, source_path
from taktgate.registry.models.errors import TraceError
from taktgate.registry.signed.repository import METADATA, TARGETS

_CLASS_PREFIX: Final = class_role("")
_FIRST_ROOT: Final = "1.root.json"
_PIECE_BYTES: Final = 1 << 16


class TrustedRegistry:
    """A registry in a folder or behind a URL, trusted from a root of one's own on."""

    def __init__(self, place: str, *, root: bytes | None, work: Path) -> None:
        """Verify the metadata of the registry at *place*, a folder or a URL, from *root* on.

        Without *root* a folder's own first root is taken: then it shows that the registry is whole,
        and not whose it is. *work* is an empty folder.

        Raises:
            TraceError: It cannot be read, or its metadata is not to be trusted.
        """
        self._work = work
        is_url = "://" in place
        if is_url and "?" in place:
            raise TraceError(
                f"{place.partition('?')[0]}: a URL with a query, as a SAS is, cannot be traced; "
                "trace the folder that is pushed there"
            )
        self.is_own_root = root is None
        if root is None:
            if is_url:
                raise TraceError(f"{place}: a URL needs --trusted-root, the first root metadata")
            root = _own_root(Path(place))
        base = place.rstrip("/") if is_url else "folder:"
        fetcher = None if is_url else _FolderFetcher(Path(place))
        (work / "files").mkdir()
        try:
            self._updater = Updater(
                str(work),
                f"{base}/{METADATA}/",
                target_dir=str(work / "files"),
                target_base_url=f"{base}/{TARGETS}/",
                fetcher=fetcher,
                bootstrap=root,
            )
            self._updater.refresh()
            self._roles = self._delegated()
        except (RepositoryError, DownloadError, OSError) as error:
            raise TraceError(f"{place}: {_refusal(error)}") from error

    @property
    def device_classes(self) -> tuple[str, ...]:
        """Return the device classes that have a role of their own."""
        return tuple(
            role.removeprefix(_CLASS_PREFIX)
            for role in self._roles
            if role.startswith(_CLASS_PREFIX)
        )

    def bundles(self, device_class: str) -> Mapping[str, TargetFile]:
        """Return the targets of *device_class* by path, as its role has signed them.

        Raises:
            TraceError: The role's metadata is not to be trusted.
        """
        return self._targets(class_role(device_class), bundle_path("-", "-", device_class))

    def sources(self) -> Mapping[str, TargetFile]:
        """Return the targets of the source models by path.

        Raises:
            TraceError: The role's metadata is not to be trusted.
        """
        if SOURCES_ROLE not in self._roles:
            return {}
        return self._targets(SOURCES_ROLE, source_path("-", "-", "source.json"))

    def read(self, target: TargetFile) -> bytes:
        """Return the bytes of *target*, which are those that were signed.

        Raises:
            TraceError: They cannot be had, or are others.
        """
        try:
            return Path(self._updater.download_target(target)).read_bytes()
        except (RepositoryError, DownloadError, OSError) as error:
            raise TraceError(f"{target.path}: {error}") from error

    def _targets(self, role: str, any_path: str) -> Mapping[str, TargetFile]:
        try:
            self._updater.get_targetinfo(any_path)  # so that the role's metadata is verified
            return self._verified(role).targets
        except (RepositoryError, DownloadError, OSError) as error:
            raise TraceError(f"role {role}: cannot be trusted: {error}") from error

    def _delegated(self) -> tuple[str, ...]:
        delegations = self._verified(Targets.type).delegations
        return tuple(sorted(delegations.roles)) if delegations and delegations.roles else ()

    def _verified(self, role: str) -> Targets:
        file = self._work / f"{quote(role, '')}.json"
        return Metadata[Targets].from_file(str(file)).signed


class _FolderFetcher(FetcherInterface):
    """Reads a registry's files from a folder, as others read them from a server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            with (self._folder / url.removeprefix("folder:/")).open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    yield piece
        except FileNotFoundError as error:
            raise DownloadHTTPError(str(error), 404) from error
        except OSError as error:
            raise DownloadError(str(error)) from error


def _refusal(error: Exception) -> str:
    """Return why there is nothing to trust: it does not come, or it is not as it must be."""
    is_absent = isinstance(error, DownloadError | OSError)
    words = "cannot be read" if is_absent else "cannot be trusted"
    return f"{words}: {str(error) or error.__cause__ or type(error).__name__}"


def _own_root(folder: Path) -> bytes:
    try:
        return (folder / METADATA / _FIRST_ROOT).read_bytes()
    except OSError as error:
        raise TraceError(f"{folder}: holds no registry: {error.strerror}") from error
