"""What reaches out of the stager and the agent, in this process: small, slow or not there."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from crash_campaign.facts import trusted_versions
from crash_campaign.judge_here import HereJudge, try_loading_again
from taktgate.bundle.verification import VerifiedBundle
from taktgate.contracts.twins import RegistryTrust
from taktgate.edge.hub import Deliver, MethodResult
from taktgate.inspection.control import Load
from taktgate.staging import stager
from taktgate.staging.errors import SmokeError
from taktgate.staging.fetch import download_file
from taktgate.staging.fetch.web import UrlFetcher
from taktgate.staging.registry.client import TufRegistry
from taktgate.staging.registry.offers import Offer
from taktgate.staging.states import Request

_CHUNK_BYTES: Final = 4096
"""A download is synced as often: a bundle of ours has some of these chunks too."""
PIECE_BYTES: Final = 2048
"""Archives come in pieces of this size, so that a small one has several."""


@contextmanager
def small_and_silent() -> Iterator[None]:
    """Let downloads have small chunks, and the station's code log nothing but the worst."""
    log, chunk_bytes = logging.getLogger("taktgate"), download_file.CHUNK_BYTES
    level = log.level
    log.setLevel(logging.CRITICAL)
    for module in (download_file, stager):
        vars(module)["CHUNK_BYTES"] = _CHUNK_BYTES
    try:
        yield
    finally:
        log.setLevel(level)
        for module in (download_file, stager):
            vars(module)["CHUNK_BYTES"] = chunk_bytes


class PiecewiseFetcher(UrlFetcher):
    """Hands bytes over in small pieces, as a slow network does."""

    def fetch(self, url: str, *, limit_bytes: int, start: int = 0) -> Iterator[bytes]:
        """Yield the content of *url* from byte *start* on."""
        for chunk in super().fetch(url, limit_bytes=limit_bytes, start=start):
            for place in range(0, len(chunk), PIECE_BYTES):
                yield chunk[place : place + PIECE_BYTES]


class NotedRegistry:
    """The registry, which also says what was trusted when it last gave an answer."""

    def __init__(self, registry: TufRegistry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        self._accepted: dict[str, int] | None = None

    @property
    def accepted(self) -> dict[str, int]:
        """Return the versions that were trusted at the start, or at the last answer."""
        if self._accepted is None:
            self._accepted = trusted_versions(self._folder)
        return self._accepted

    def offer(self, request: Request) -> Offer:
        """Return what there is for *request*."""
        _ = self.accepted
        offer = self._registry.offer(request)
        self._accepted = None
        return offer

    def recall(self, request: Request) -> Offer | None:
        """Return what is known of *request* without asking."""
        return self._registry.recall(request)

    def fetch(self, offer: Offer, *, start: int) -> Iterator[bytes]:
        """Yield the archive."""
        return self._registry.fetch(offer, start=start)

    def trust(self) -> RegistryTrust | None:
        """Return what is trusted."""
        return self._registry.trust()


class HereSmokeTest:
    """The smoke test without its sandbox: loads and proves the model as its runner would.

    A process for each would make a campaign take hours; the sandbox has tests of its own.
    """

    def __init__(self, judge: HereJudge) -> None:
        self._judge = judge

    def run(self, bundle: VerifiedBundle, check: Callable[[], None]) -> None:
        """Return once the model of *bundle* has run."""
        check()
        load = Load(slot=bundle.directory.name, digest=bundle.digest, golden=True)
        _, refused = try_loading_again(self._judge.assignment(load, None))
        if refused is not None:
            raise SmokeError(f"{refused.reason}: {refused.message}")


class Nobody:
    """A hub, a PLC writer, a monitor and a recorder that are not there."""

    def counters(self) -> Mapping[str, int]:
        """Return no counts."""
        return {}

    def start(self, deliver: Deliver) -> None:
        """Connect to nothing."""

    def stop(self) -> None:
        """Hang up."""

    def send(self, *_: object, **__: object) -> bool:
        """Lose it."""
        return True

    def report(self, patch: Mapping[str, object]) -> None:
        """Lose it."""

    def invoke(
        self, module: str, method: str, payload: object, *, timeout_s: float
    ) -> MethodResult:
        """Answer that nobody is there."""
        return MethodResult(status=404, payload=None)

    def verdict(self, *_: object) -> None:
        """Lose it."""

    def note(self, *_: object) -> None:
        """Lose it."""

    def happening(self, *_: object) -> None:
        """Lose it."""

    def state(self, *_: object) -> None:
        """Lose it."""

    def tick(self) -> None:
        """Have nothing to do."""


@dataclass(slots=True)
class Clock:
    """Time that passes as told."""

    now_s: float = 1000.0

    def seconds(self) -> float:
        """Return it in seconds."""
        return self.now_s

    def wall(self) -> datetime:
        """Return the same as a time of day."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now_s)

    def nanoseconds(self) -> int:
        """Return it in ns."""
        return int(self.now_s * 1e9)
