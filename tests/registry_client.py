"""The reference client, python-tuf's own, on a registry in a folder; it keeps what it trusts."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from taktgate.bundle.targets import BundleFacts, ReleaseState, bundle_path
from taktgate.edge.file_system import LocalFileSystem
from taktgate.registry.delivery.copies import FolderFetcher

NAME = "weld-seam"


class UnsyncedFileSystem(LocalFileSystem):
    """The real one without its waits, for tests that cut no power."""

    def sync(self, descriptor: int) -> None:
        pass

    def sync_folder(self, path: Path) -> None:
        pass


class ReferenceClient:
    def __init__(
        self,
        registry: Path,
        trust: Path,
        *,
        fetcher: FetcherInterface | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.registry = registry
        self.trust = trust
        self.fetcher = fetcher or FolderFetcher()
        self.clock = clock
        trust.mkdir()
        self.root = (registry / "metadata/1.root.json").read_bytes()

    def refresh(self) -> Updater:
        """Refuses as python-tuf does: rollback, wrong signature, expiry."""
        updater = Updater(
            str(self.trust),
            f"{self.registry.as_uri()}/metadata",
            fetcher=self.fetcher,
            bootstrap=self.root,
        )
        if self.clock is not None:
            updater._trusted_set.reference_time = self.clock()
        updater.refresh()
        return updater

    def state_of(self, version: str, device_class: str = "cpu") -> ReleaseState | None:
        return self.states_of(version, device_class=device_class)[version]

    def states_of(
        self, *versions: str, device_class: str = "cpu"
    ) -> dict[str, ReleaseState | None]:
        """Return the states of the bundles *versions*, after a look at their bytes."""
        updater = self.refresh()
        return {
            version: self._state(updater, bundle_path(NAME, version, device_class))
            for version in versions
        }

    def _state(self, updater: Updater, path: str) -> ReleaseState | None:
        target = updater.get_targetinfo(path)
        if target is None:
            return None
        folder, _, name = target.path.rpartition("/")
        place = self.registry / "targets" / folder / f"{target.hashes['sha256']}.{name}"
        target.verify_length_and_hashes(place.read_bytes())
        return BundleFacts.from_custom(target.custom).state
