"""What the slots volume promises beyond whole files."""

import ctypes
import mmap
import os
from pathlib import Path

from taktgate.staging.slots.disk import Disk

SIZE = 4 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def bytes_in_memory(path: Path) -> int:
    """Return how much of *path* would be read without the disk; looking brings nothing in."""
    private = mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, *private) as mapped:
        pages = (ctypes.c_ubyte * (len(mapped) // mmap.PAGESIZE))()
        start = (ctypes.c_char * len(mapped)).from_buffer(mapped)
        failed = _libc.mincore(start, ctypes.c_size_t(len(mapped)), pages)
        del start
    assert not failed, os.strerror(ctypes.get_errno())
    return sum(page & 1 for page in pages) * mmap.PAGESIZE


def test_who_reads_a_written_file_reads_the_disk(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(bytes(SIZE))
    assert bytes_in_memory(tmp_path / "plain") == SIZE
    content = os.urandom(SIZE)
    Disk().write(tmp_path / "f", [content[: SIZE // 2], content[SIZE // 2 :]])
    assert bytes_in_memory(tmp_path / "f") < SIZE / 10
    assert (tmp_path / "f").read_bytes() == content
