"""What a station does with a registry: the real TUF client and fetcher, on a URL."""

import hashlib
from pathlib import Path

from tests.registry_client import NAME

from taktgate.contracts.twins import ModelOrder
from taktgate.staging.fetch.web import UrlFetcher
from taktgate.staging.registry.client import TufRegistry
from taktgate.staging.registry.offers import Offer
from taktgate.staging.slots.disk import Disk
from taktgate.staging.states import Request


class Station:
    def __init__(self, root: Path, *, trusted_root: Path) -> None:
        self.registry = TufRegistry(
            root / "trust",
            trusted_root=trusted_root,
            fetcher=UrlFetcher(),
            disk=Disk(),
            device_class="cpu",
        )

    def offer(self, repository: str, version: str) -> Offer:
        model = ModelOrder(name=NAME, version=version, order="o1")
        return self.registry.offer(Request(model=model, repository=repository))

    def stage(self, repository: str, version: str, *, cut_at: int = 0) -> Offer:
        """Fetch a bundle in two parts, the second from byte *cut_at* on; require its digest."""
        offer = self.offer(repository, version)
        first = b""
        for piece in self.registry.fetch(offer, start=0) if cut_at else ():
            first += piece
            if len(first) >= cut_at:
                break
        first = first[:cut_at]
        rest = b"".join(self.registry.fetch(offer, start=cut_at))
        assert len(rest) == offer.size_bytes - cut_at
        assert hashlib.sha256(first + rest).hexdigest() == offer.sha256
        return offer
