"""The digest that another thread computes: it is the right one, and no thread outlives its use."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.waiting import WITHIN_S

from taktgate.staging.fetch.digest import DigestBeside
from taktgate.staging.fetch.download_file import CHUNK_BYTES, DownloadFile
from taktgate.staging.slots.disk import Disk
from taktgate.standin.faulty_files import Fault, FaultyFileSystem, PowerCutError


def hashing_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("digest")]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert hashing_threads() == []


class SlowHash:
    """Hashes no more than it is let to; knows which threads did it."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.threads: set[str] = set()
        self.taken: list[bytes] = []

    def update(self, data: memoryview, /) -> None:
        assert self.may_go_on.wait(WITHIN_S)
        self.threads.add(threading.current_thread().name)
        self.taken.append(bytes(data))

    def hexdigest(self) -> str:
        return b"".join(self.taken).decode()


class BrokenHash(SlowHash):
    """Fails."""

    def update(self, data: memoryview, /) -> None:
        raise MemoryError


@given(st.lists(st.one_of(st.binary(max_size=9000), st.none()), max_size=20), st.binary())
@settings(deadline=None, max_examples=50)
def test_it_is_the_digest_of_all_that_was_added_wherever_it_was_started(
    steps: list[bytes | None], beginning: bytes
) -> None:
    with closing(DigestBeside(hashlib.sha256(beginning))) as digest:
        for step in steps:
            if step is None:
                digest.start()
            else:
                digest.add(memoryview(step))
    content = beginning + b"".join(step for step in steps if step is not None)
    assert digest.hexdigest() == hashlib.sha256(content).hexdigest()


def test_its_owner_does_not_wait_while_it_is_hashed() -> None:
    slow = SlowHash()
    with closing(DigestBeside(slow)) as digest:
        digest.add(memoryview(b"a"))
        digest.start()
        digest.add(memoryview(b"b"))
        assert slow.taken == []
        slow.may_go_on.set()
        assert digest.hexdigest() == "ab"
    assert any(name.startswith("digest") for name in slow.threads)


def test_two_chunks_are_never_hashed_at_once() -> None:
    slow = SlowHash()
    with closing(DigestBeside(slow)) as digest:
        digest.add(memoryview(b"a"))
        digest.start()
        digest.add(memoryview(b"b"))
        threading.Timer(0.05, slow.may_go_on.set).start()
        digest.start()
        assert slow.taken[0] == b"a", "it was waited for"
        assert digest.hexdigest() == "ab"


def test_a_hash_that_failed_gives_no_digest_ever() -> None:
    with closing(DigestBeside(BrokenHash())) as digest:
        digest.add(memoryview(b"a"))
        digest.start()
        for _ in range(2):
            with pytest.raises(MemoryError):
                digest.start()
            with pytest.raises(MemoryError):
                digest.hexdigest()


@pytest.mark.parametrize("fault", [Fault.POWER_CUT, Fault.NO_SPACE, Fault.IO_ERROR])
@pytest.mark.parametrize("at", range(6))
def test_no_thread_outlives_a_download_that_the_disk_ends(
    tmp_path: Path, fault: Fault, at: int
) -> None:
    files = FaultyFileSystem(fault=fault, at=at)
    with pytest.raises((OSError, PowerCutError)):
        download_three_chunks(tmp_path / "d", files)
    assert hashing_threads() == []


def download_three_chunks(path: Path, files: FaultyFileSystem) -> None:
    with closing(DownloadFile(path, disk=Disk(files))) as download:
        download.open()
        for _ in range(3):
            download.write(bytes(CHUNK_BYTES))
        download.finish()


def test_a_chunk_is_hashed_beside_the_download_and_not_kept_for_its_end(tmp_path: Path) -> None:
    with closing(DownloadFile(tmp_path / "d", disk=Disk())) as download:
        download.open()
        download.write(bytes(CHUNK_BYTES - 1))
        assert hashing_threads() == []
        download.write(bytes(1))
        assert len(hashing_threads()) == 1
