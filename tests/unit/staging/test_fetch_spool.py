"""A download on the disk: what kills, power cuts and broken connections cost, counted."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import ANY

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.staging.web_server import ranges, web_server, whole

from taktgate.bundle.targets import BundleFacts
from taktgate.contracts.twins import RegistryTrust
from taktgate.edge.file_system import LocalFileSystem
from taktgate.staging.errors import (
    StagingError,
    TargetChangedError,
    TooSlowError,
    UnreachableError,
)
from taktgate.staging.fetch import download_file
from taktgate.staging.fetch.download_file import CHUNK_BYTES, DownloadFile
from taktgate.staging.fetch.pace import Pace
from taktgate.staging.fetch.spool import WORTHWHILE_BYTES, Spool
from taktgate.staging.fetch.web import UrlFetcher
from taktgate.staging.judge_sight import JudgeSight, JudgeSign
from taktgate.staging.registry.offers import Offer
from taktgate.staging.slots.disk import Disk
from taktgate.staging.states import Request

FACTS: BundleFacts = ANY
PIECE = 300_000
CONTENT = bytes(os.urandom(1 << 16)) * 272  # 17 MiB: two chunks and an eighth
CUT = st.integers(0, len(CONTENT) + CHUNK_BYTES)
TAILS = st.sampled_from(["killed", "lost", "zeroed", "half lost"])


def offer(content: bytes = CONTENT, url: str = "") -> Offer:
    return Offer(
        path="m/1/cpu",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        url=url,
        facts=FACTS,
    )


class Registry:
    """Serves *content* in pieces, and counts what it served.

    Connection number n breaks with *errors[n]*, if there is one, after *after[n]* bytes.
    """

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content = content
        self.served = 0
        self.starts: list[int] = []
        self.breaks: list[tuple[int, StagingError]] = []
        self.before_piece: Callable[[], None] = lambda: None

    def fetch(self, offer: Offer, *, start: int) -> Iterator[bytes]:
        self.starts.append(start)
        limit, error = self.breaks.pop(0) if self.breaks else (len(self.content), None)
        end = min(start + limit, len(self.content))
        for place in range(start, end, PIECE):
            self.before_piece()
            piece = self.content[place : min(place + PIECE, end)]
            self.served += len(piece)
            yield piece
        if error is not None:
            raise error

    def offer(self, request: Request) -> Offer:
        raise NotImplementedError

    def trust(self) -> RegistryTrust | None:
        return None


class CutError(BaseException):
    """The process or the power is gone."""


class CuttableDisk(LocalFileSystem):
    """Cuts when *at* bytes are written; knows what a power cut takes away."""

    def __init__(self, at: int) -> None:
        self._left = at
        self.synced: dict[int, int] = {}
        """Length that is safe, by inode."""

    def write(self, descriptor: int, data: memoryview) -> int:
        if self._left <= 0:
            raise CutError
        taken = super().write(descriptor, data[: self._left])
        self._left -= taken
        return taken

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        status = os.fstat(descriptor)
        self.synced[status.st_ino] = status.st_size


def cut(path: Path, disk: CuttableDisk, tail: str, safe_before: int) -> int:
    """Do to the file what a power cut may do to what was not synced; return what is safe now."""
    if not path.exists():
        return 0
    length = path.stat().st_size
    if tail == "killed":
        return min(length, safe_before)
    safe = min(length, max(disk.synced.get(path.stat().st_ino, 0), safe_before))
    end = safe if tail == "lost" else safe + (length - safe) // 2 if tail == "half lost" else length
    with path.open("r+b") as file:
        file.truncate(end)
        file.seek(safe)
        file.write(b"\0" * (end - safe))
    return safe


def filled(
    path: Path, registry: Registry, *, disk: Disk | None = None, pace: Pace | None = None
) -> list[int]:
    spool = Spool(path, disk=disk or Disk(), pace=pace or Pace())
    return list(spool.fill(offer(), registry))


@given(st.lists(st.tuples(CUT, TAILS), min_size=1, max_size=4))
@settings(deadline=None, max_examples=12)
def test_any_number_of_kills_and_power_cuts_costs_at_most_one_chunk_each(
    cuts: list[tuple[int, str]],
) -> None:
    registry, safe = Registry(), 0
    with TemporaryDirectory() as folder:
        path = Path(folder) / "d"
        done = 0
        for at, tail in cuts:
            files = CuttableDisk(at)
            try:
                filled(path, registry, disk=Disk(files))
            except CutError:
                done += 1
            safe = cut(path, files, tail, safe)
        filled(path, registry)
        assert path.read_bytes() == CONTENT
    # What a cut takes from the wire and never reaches the disk is a piece, beyond the chunk.
    assert registry.served <= len(CONTENT) + done * (CHUNK_BYTES + PIECE)


def test_a_complete_download_is_found_complete_and_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(CONTENT)
    registry = Registry()
    assert sum(filled(tmp_path / "d", registry)) == 0
    assert registry.starts == []


def test_sizes_of_pieces_add_up_to_what_came(tmp_path: Path) -> None:
    assert sum(filled(tmp_path / "d", Registry())) == len(CONTENT)


class SyncsNoted(LocalFileSystem):
    """Notes how long a file is that is synced, and does not wait for the disk."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def sync(self, descriptor: int) -> None:
        self.lengths.append(os.fstat(descriptor).st_size)


def test_each_chunk_is_synced_before_the_next_is_begun(tmp_path: Path) -> None:
    files = SyncsNoted()
    filled(tmp_path / "d", Registry(), disk=Disk(files))
    assert files.lengths == [CHUNK_BYTES, 2 * CHUNK_BYTES, len(CONTENT)]


def test_what_a_mark_says_is_good_was_synced_before_it(tmp_path: Path) -> None:
    files, registry = SyncsNoted(), Registry()
    registry.breaks = [(PIECE, UnreachableError("gone"))]
    with pytest.raises(UnreachableError):
        filled(tmp_path / "d", registry, disk=Disk(files))
    assert files.lengths == [PIECE, len(str(PIECE))]


@pytest.mark.parametrize("came", [1, PIECE, WORTHWHILE_BYTES - 1])
def test_a_link_that_never_carries_a_chunk_carries_a_bundle_in_the_end(
    tmp_path: Path, came: int
) -> None:
    registry = Registry()
    registry.breaks = [(size, UnreachableError("gone")) for size in (came, came, came, 0)]
    for _ in range(4):
        with pytest.raises(UnreachableError):
            filled(tmp_path / "d", registry)
    filled(tmp_path / "d", registry)
    assert registry.served == len(CONTENT)
    assert os.listdir(tmp_path) == ["d"]


def test_a_connection_that_was_worth_it_is_followed_by_the_next_at_once(tmp_path: Path) -> None:
    registry = Registry()
    registry.breaks = [(WORTHWHILE_BYTES, UnreachableError("gone"))] * 5
    filled(tmp_path / "d", registry)
    assert registry.starts == [number * WORTHWHILE_BYTES for number in range(6)]


def test_a_connection_that_broke_during_our_pause_costs_nothing(tmp_path: Path) -> None:
    sights = [JudgeSight(sign=JudgeSign.HEARD, late=1)] + [JudgeSight(sign=JudgeSign.HEARD)] * 99
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(look=lambda: sights.pop(0), clock=lambda: now[0], sleep=sleep)
    registry = Registry()
    registry.breaks = [(PIECE, UnreachableError("gone"))]
    filled(tmp_path / "d", registry, pace=pace)
    assert registry.starts == [0, PIECE]


def test_a_server_that_is_too_slow_is_not_asked_again_at_once(tmp_path: Path) -> None:
    registry = Registry()
    registry.breaks = [(2 * WORTHWHILE_BYTES, TooSlowError("slow"))]
    with pytest.raises(TooSlowError):
        filled(tmp_path / "d", registry)


def test_a_torn_beginning_is_fetched_once_more_and_nobody_is_blamed(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b"\0" * (CHUNK_BYTES + 1))
    registry = Registry()
    filled(tmp_path / "d", registry)
    assert (tmp_path / "d").read_bytes() == CONTENT
    assert registry.starts == [CHUNK_BYTES, 0]


def test_a_chunk_that_was_lost_in_full_length_is_fetched_again_and_none_before_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "d").write_bytes(CONTENT[:CHUNK_BYTES] + b"\0" * CHUNK_BYTES)
    registry = Registry()
    filled(tmp_path / "d", registry)
    assert (tmp_path / "d").read_bytes() == CONTENT
    assert registry.starts == [CHUNK_BYTES]


@pytest.mark.parametrize("changed", [CONTENT[:-1] + b"?", CONTENT[:-1], b"?"])
def test_other_bytes_than_were_signed_are_thrown_away_at_once(
    tmp_path: Path, changed: bytes
) -> None:
    if changed == CONTENT:
        changed = CONTENT[:-1] + b"!"
    registry = Registry(changed)
    with pytest.raises(TargetChangedError):
        filled(tmp_path / "d", registry)
    assert registry.starts == [0]
    assert os.listdir(tmp_path) == []


def test_other_bytes_after_a_taken_up_beginning_begin_anew_once(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(CONTENT[: CHUNK_BYTES + 1])
    registry = Registry(CONTENT[:-1])
    with pytest.raises(TargetChangedError):
        filled(tmp_path / "d", registry)
    assert registry.starts == [CHUNK_BYTES, 0]


def test_a_file_that_is_too_long_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(CONTENT + b"x")
    filled(tmp_path / "d", Registry())
    assert (tmp_path / "d").read_bytes() == CONTENT


def test_a_beginning_that_the_disk_does_not_give_back_is_fetched_anew(tmp_path: Path) -> None:
    (tmp_path / "d").symlink_to(tmp_path / "loop")
    (tmp_path / "loop").symlink_to(tmp_path / "d")
    filled(tmp_path / "d", Registry())
    assert (tmp_path / "d").read_bytes() == CONTENT


@given(st.binary(max_size=20))
@settings(deadline=None)
def test_no_mark_whatever_is_in_it_makes_more_of_a_file_than_there_is(mark: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "d"
        path.write_bytes(CONTENT[:1000])
        path.with_name(path.name + download_file.MARK_SUFFIX).write_bytes(mark)
        download = DownloadFile(path, disk=Disk())
        list(download.take_up(len(CONTENT), "0" * 64))
        assert download.size_bytes <= 1000


@pytest.mark.parametrize("answer", [ranges(CONTENT), whole(CONTENT)], ids=["ranges", "none"])
def test_a_download_goes_on_over_real_tcp(tmp_path: Path, answer: Callable[..., None]) -> None:
    class Web(Registry):
        def fetch(self, offer: Offer, *, start: int) -> Iterator[bytes]:
            return UrlFetcher().fetch(offer.url, limit_bytes=offer.size_bytes, start=start)

    (tmp_path / "d").write_bytes(CONTENT[: 2 * CHUNK_BYTES + 5])
    with web_server(answer) as server:
        spool = Spool(tmp_path / "d", disk=Disk(), pace=Pace())
        came = list(spool.fill(offer(url=server.url), Web()))
        assert server.asked == [("/b", f"bytes={2 * CHUNK_BYTES}-")]
    assert (tmp_path / "d").read_bytes() == CONTENT
    assert sum(came) == len(CONTENT) - 2 * CHUNK_BYTES
