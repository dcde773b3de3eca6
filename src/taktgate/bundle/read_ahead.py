"""Pieces that another thread reads while their taker is busy with the ones before.

Reading and hashing, reading and writing take about as long as each other, and each leaves the
other's part of the machine idle. The thread has its starter's priority: a stager's stays idle.
"""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor


def read_ahead(pieces: Iterator[bytes]) -> Generator[bytes]:
    """Yield what *pieces* yields, which is at most one piece ahead.

    Who may stop early closes the generator before what *pieces* reads from is closed.

    Raises:
        Exception: what *pieces* raises, in its place.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as pool:
        coming = pool.submit(next, pieces, None)
        while (piece := coming.result()) is not None:
            coming = pool.submit(next, pieces, None)
            yield piece
