"""A station under attack, and beside it a judge: python-tuf's own client, with its own fetcher."""

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.faults.registry_attacks.cut_files import CutFiles
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

from taktgate.bundle.targets import bundle_path
from taktgate.contracts.twins import ModelOrder
from taktgate.staging.errors import NotFoundError, StagingError
from taktgate.staging.fetch.web import Fetcher, UrlFetcher
from taktgate.staging.registry.client import TRUSTED_ROOT_FILE, TufRegistry, wall_clock
from taktgate.staging.registry.limits import RegistryLimits
from taktgate.staging.registry.offers import Offer
from taktgate.staging.slots.disk import Disk
from taktgate.staging.states import Request
from taktgate.standin.hostile_registry.server import HostileServer

DEVICE_CLASS = "cpu"
FETCHER = UrlFetcher()
JUDGES_FETCHER = Urllib3Fetcher()
"""python-tuf's default one, made once: it loads the system's certificates each time."""


class AttackedStation:
    """A slots volume with a live model, and a client that asks one registry for version 1.0.0."""

    def __init__(self, folder: Path, server: HostileServer) -> None:
        self.server = server
        self.volume, self.config = folder / "slots", folder / "config"
        self.config.mkdir()
        (self.volume / "slot-1").mkdir(parents=True)
        (self.volume / "slot-1/model.onnx").write_bytes(b"what judges")
        (self.volume / "announced.json").write_bytes(b"slot-1")
        self.trust = self.volume / "trust"
        (self.config / TRUSTED_ROOT_FILE).write_bytes(server.registry.roots[1])
        self.judge = folder / "judge"
        self.judge.mkdir()
        self.fetched_bytes: dict[str, int] = {}
        self.client = self.started()

    def started(
        self,
        *,
        limits: RegistryLimits | None = None,
        disk: Disk | None = None,
        fetcher: Fetcher | None = None,
        now: Callable[[], datetime] = wall_clock,
    ) -> TufRegistry:
        """Return the client as it is after a start."""
        self.client = TufRegistry(
            self.trust,
            trusted_root=self.config / TRUSTED_ROOT_FILE,
            fetcher=_Counting(fetcher or FETCHER, self.server.url, self.fetched_bytes),
            disk=disk or Disk(CutFiles()),
            device_class=DEVICE_CLASS,
            limits=limits,
            now=now,
        )
        return self.client

    def offer(self, version: str = "1.0.0") -> Offer:
        """Ask for *version*."""
        order = ModelOrder(name="weld-seam", version=version, order="o1")
        return self.client.offer(Request(model=order, repository=self.server.url))

    def accepts(self, version: str = "1.0.0") -> Offer:
        """Ask, and expect an offer; the judge agrees."""
        offer = self.offer(version)
        target = self.judged(version)
        assert target is not None
        return offer

    def judged(self, version: str = "1.0.0") -> object:
        """Return what python-tuf's plain client finds."""
        bootstrap = (self.config / TRUSTED_ROOT_FILE).read_bytes()
        updater = Updater(
            str(self.judge),
            f"{self.server.url}/metadata/",
            fetcher=JUDGES_FETCHER,
            bootstrap=bootstrap,
        )
        updater.refresh()
        return updater.get_targetinfo(bundle_path("weld-seam", version, DEVICE_CLASS))

    def lacks(self, version: str = "1.0.0") -> None:
        """Ask, and expect to hear that a trusted registry has no such bundle; the judge agrees."""
        with pytest.raises(NotFoundError):
            self.offer(version)
        assert self.judged(version) is None

    def refuses(
        self, reason: str, *says: str, moved: tuple[str, ...] = (), judge: bool = True
    ) -> StagingError:
        """Ask, and expect a refusal; the judge refuses too.

        Args:
            reason: the refusal's.
            says: what its message names: role, version got, version wanted.
            moved: the trusted files that genuine metadata before the lie has changed; no other did.
            judge: False where python-tuf by itself has no such limit; the test says why.
        """
        before = self.files()
        with pytest.raises(StagingError) as refusal:
            self.offer()
        assert refusal.value.reason == reason, refusal.value
        for word in says:
            assert word in str(refusal.value), refusal.value
        after = self.files()
        changed = {name for name in before | after if before.get(name) != after.get(name)}
        assert sorted(changed) == sorted(f"trust/{name}" for name in moved)
        if judge:
            self.judge_refuses()
        return refusal.value

    def judge_refuses(self) -> None:
        """Expect that python-tuf's plain client refuses."""
        with pytest.raises((RepositoryError, DownloadError)):
            self.judged()

    def files(self) -> dict[str, bytes]:
        """Return all files of the slots volume, by path, but for the clock's mark."""
        return {
            str(path.relative_to(self.volume)): path.read_bytes()
            for path in sorted(self.volume.rglob("*"))
            if path.is_file() and path.name != "clock.json"
        }

    def version(self, file: str) -> int:
        """Return the version of the trusted *file*."""
        version: int = Metadata.from_file(str(self.trust / file)).signed.version
        return version

    def roots(self) -> set[int]:
        """Return the versions of the trusted roots."""
        return {int(path.name.partition(".")[0]) for path in self.trust.glob("root_history/[1-9]*")}

    def is_without_first_root(self) -> None:
        """Take the first root out of the config folder."""
        (self.config / TRUSTED_ROOT_FILE).unlink()

    def trusts_first(self, content: bytes) -> None:
        """Put *content* into the config folder as the first root."""
        (self.config / TRUSTED_ROOT_FILE).write_bytes(content)

    def is_as_in(self, copy: Path, *, first_time: bool) -> None:
        """Bring the trusted files to the state in *copy*, which is made the first time."""
        if first_time:
            copy.mkdir()
            if self.trust.exists():
                shutil.copytree(self.trust, copy / "trust")
        shutil.rmtree(self.trust, ignore_errors=True)
        if (copy / "trust").exists():
            shutil.copytree(copy / "trust", self.trust)

    def waits_until(self, moment: datetime) -> None:
        """Let real time pass: python-tuf looks at no other clock."""
        time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


class _Counting:
    """A fetcher that counts the bytes it hands over, by path."""

    def __init__(self, fetcher: Fetcher, url: str, counts: dict[str, int]) -> None:
        self._fetcher, self._url, self._counts = fetcher, url, counts

    def fetch(self, url: str, *, limit_bytes: int, start: int = 0) -> Iterator[bytes]:
        """Yield what the fetcher yields."""
        path = url.removeprefix(f"{self._url}/")
        for piece in self._fetcher.fetch(url, limit_bytes=limit_bytes, start=start):
            self._counts[path] = self._counts.get(path, 0) + len(piece)
            yield piece
