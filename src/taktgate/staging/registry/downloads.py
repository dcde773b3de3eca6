"""Metadata as python-tuf asks for it, through our fetcher and within our limits."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote

from tuf.api.exceptions import DownloadError, DownloadHTTPError
from tuf.ngclient.fetcher import FetcherInterface

from taktgate.staging.errors import (
    DeniedError,
    DistrustError,
    NotFoundError,
    StagingError,
    TooLargeError,
)
from taktgate.staging.fetch.repository import place_in
from taktgate.staging.fetch.web import Fetcher
from taktgate.staging.registry.limits import RegistryLimits
from taktgate.staging.registry.reasons import Distrust

METADATA: Final = "metadata"
METADATA_URL: Final = "metadata:/"
"""python-tuf builds URLs by appending; ours may end in a query, so only the name is taken."""
_NAME: Final = re.compile(r"(?:\d+\.)?(?P<role>.+)\.json")


class MetadataDownloads(FetcherInterface):
    """The downloads of one refresh.

    Attributes:
        role: Whose metadata was asked for last: what python-tuf refuses next, is that.
        content: What came of it.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        repository: str,
        *,
        limits: RegistryLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetcher = fetcher
        self._repository = repository
        self._limits = limits
        self._clock = clock
        self._end_s = clock() + limits.refresh_s
        self.role = ""
        self.content = b""

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.removeprefix(METADATA_URL)
        match = _NAME.fullmatch(name)
        self.role = unquote(match["role"]) if match else name
        self.content = b""
        try:
            for piece in self._pieces(name):
                self.content += piece
                yield piece
        except NotFoundError as error:
            raise DownloadHTTPError(str(error), 404) from error
        except DeniedError as error:
            raise DownloadHTTPError(str(error), 403) from error
        except StagingError as error:
            raise DownloadError(str(error)) from error

    def _pieces(self, name: str) -> Iterator[bytes]:
        """Yield the file *name*. python-tuf stops it at its signed length, where there is one."""
        end_s = min(self._clock() + self._limits.request_s, self._end_s)
        limit = self._limits.bytes_of(self.role)
        try:
            place = place_in(self._repository, f"{METADATA}/{name}")
            for piece in self._fetcher.fetch(place, limit_bytes=limit):
                yield piece
                if self._clock() > end_s:
                    raise DistrustError(
                        Distrust.SLOW_RETRIEVAL,
                        f"{name}: {len(self.content)} bytes came, and no end of it in time",
                    )
        except TooLargeError as error:
            raise DistrustError(
                Distrust.ENDLESS_DATA, f"{name}: role {self.role} may have {limit} bytes: {error}"
            ) from error
