"""What every peer is to the bench."""

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""[512, 512] grey or [512, 512, 3]."""


class PeerAbsentError(Exception):
    """A peer cannot be had on this machine: to be reported, never left out in silence."""


class PeerError(Exception):
    """A peer that was up has failed at a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTiming:
    """One request, in nanoseconds of the monotonic clock.

    Attributes:
        total_ns: From the frame in the client's memory to the score in the client's memory.
        encode_ns: Part of it: making the request's body.
        run_ns: Part of it: `session.run` (of the article's service: what it reports itself).
    """

    total_ns: int
    encode_ns: int
    run_ns: int
    score: float

    @property
    def beyond_run_ns(self) -> int:
        """Return what the request took besides the run."""
        return self.total_ns - self.run_ns


class Peer(Protocol):
    """A server that is up, and its client."""

    @property
    def name(self) -> str:
        """Return which one it is."""

    def request(self, frame: Frame) -> PeerTiming:
        """Have *frame* judged.

        Raises:
            PeerError: There was no score.
        """

    def close(self) -> None:
        """End server and client."""

    def __enter__(self) -> Self:
        """Return the peer itself."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
