"""Pieces that are read ahead come whole, in order, one ahead at most, and end with their taker."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from taktgate.bundle.read_ahead import read_ahead


def test_pieces_come_whole_and_in_their_order() -> None:
    pieces = [bytes([number]) * 100 for number in range(50)]

    assert list(read_ahead(iter(pieces))) == pieces


def test_no_pieces_are_none() -> None:
    assert list(read_ahead(iter(()))) == []


def test_an_empty_piece_is_not_the_end() -> None:
    assert list(read_ahead(iter((b"a", b"", b"b")))) == [b"a", b"", b"b"]


def test_at_most_one_piece_is_read_ahead() -> None:
    read = []

    def pieces() -> Iterator[bytes]:
        for number in range(5):
            read.append(number)
            yield b"."

    for taken, _ in enumerate(read_ahead(pieces()), start=1):
        assert len(read) <= taken + 1


def test_what_the_reading_raises_comes_after_what_was_read() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"good"
        raise OSError("the disk does not give it back")

    taken: list[bytes] = []
    with pytest.raises(OSError, match="does not give it back"):
        taken.extend(read_ahead(pieces()))

    # extend has taken what came before
    assert taken == [b"good"]


def test_who_stops_early_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())

    with closing(read_ahead(iter([b"1", b"2", b"3"]))) as pieces:
        next(pieces)

    assert set(threading.enumerate()) <= before
