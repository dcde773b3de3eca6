"""A camera that repeats its last image: a live sensor's noise never gives the same pixels twice."""


class FrozenWatch:
    """Compares each frame with the one before it. Bounded: it keeps one fingerprint."""

    def __init__(self, limit: int | None) -> None:
        """Call an image frozen when it is the *limit*-th equal one in a row; None: never."""
        self._limit = limit
        self._last: int | None = None
        self._equal = 0

    def is_frozen(self, fingerprint: int) -> bool:
        """Take the next frame in, and tell whether the camera has been repeating itself."""
        self._equal = self._equal + 1 if fingerprint == self._last else 1
        self._last = fingerprint
        return self._limit is not None and self._equal >= self._limit
