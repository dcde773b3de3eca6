"""Clients that take long: what they have begun with may be replaced when they ask for the rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from tests.registry_client import ReferenceClient
from tests.unit.registry.conftest import Shop
from tuf.api.exceptions import DownloadHTTPError

from taktgate.registry.delivery.copies import FolderFetcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a client has read by *at*; what else it needs it asks for later."""

    at: datetime
    root: int
    timestamp: bytes

    def begun(self) -> datetime:
        """Return the time by which such a client judges."""
        return self.at


class SlowFetcher(FolderFetcher):
    """Hands over the files as they are now, but roots and timestamp as of a *reading*."""

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        self.reading = reading

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.rpartition("/")[2]
        if name == "timestamp.json":
            yield self.reading.timestamp
        elif name == f"{self.reading.root + 1}.root.json":
            raise DownloadHTTPError("not there yet", 404)
        else:
            yield from super()._fetch(url)


def read_now(shop: Shop) -> Reading:
    files = shop.publisher.files
    timestamp = (shop.folder / "metadata/timestamp.json").read_bytes()
    return Reading(at=files.clock(), root=files.version("root"), timestamp=timestamp)


class SlowClients:
    """Clients of *shop* that have begun, and ask for the rest later."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.readings: list[Reading] = []
        self._numbers = count()

    def begin(self) -> None:
        """Let one read the roots and the timestamp."""
        files = self.shop.publisher.files
        timestamp = (self.shop.folder / "metadata/timestamp.json").read_bytes()
        self.readings.append(
            Reading(at=files.clock(), root=files.version("root"), timestamp=timestamp)
        )

    def go_on(self, *versions: str) -> int:
        """Let those that began within a day get the rest; return how many they are.

        Raises what python-tuf raises where a file is missing.
        """
        since = self.shop.publisher.files.clock() - timedelta(hours=24)
        recent = {(its.root, its.timestamp): its for its in self.readings if its.at >= since}
        for reading in recent.values():
            client = ReferenceClient(
                self.shop.folder,
                self.shop.root / f"slow-{next(self._numbers)}",
                fetcher=SlowFetcher(reading),
                clock=reading.begun,
            )
            client.states_of(*versions)
        return len(recent)
