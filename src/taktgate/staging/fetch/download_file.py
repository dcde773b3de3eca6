"""The file of a download, and how much of it a power cut leaves for sure.

Bytes are synced at each multiple of CHUNK_BYTES before the next one is written, and hashed in
another thread meanwhile: `digest.py`. One thread writes and syncs. So the length alone
says what is good: everything but the chunk that was begun last. A journaling file system may show
that one in full length and with zeros in it (it may extend a file before its data is on the disk),
so it is thrown away; a kill or a power cut costs one chunk.

When a connection breaks, or the station holds, the process lives and can do better: it syncs what
it has, and notes the length in a second file, the mark. Without that, a link or a stop of the line
that never carries a whole chunk would never carry a bundle.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from taktgate.edge.files import discard, write_whole
from taktgate.staging.fetch.digest import DigestBeside
from taktgate.staging.slots.disk import Disk

CHUNK_BYTES: Final = 8 << 20
"""Synced so often, a disk of 1.2 GB/s keeps about eight tenths of its rate; a slower one more."""
MARK_SUFFIX: Final = ".mark"
_PIECE_BYTES: Final = 1 << 20
_MARK_CHARACTERS: Final = 15
_MODE: Final = 0o640


class DownloadFile:
    """The file *path*, which grows from `size_bytes` on. Each method may raise OSError."""

    def __init__(self, path: Path, *, disk: Disk) -> None:
        self._path = path
        self._mark = path.with_name(path.name + MARK_SUFFIX)
        self._disk = disk
        self._descriptor: int | None = None
        self._digest = DigestBeside()
        self._marked_bytes = 0
        self.size_bytes = 0
        """So much is there, and in the digest."""

    @property
    def sha256(self) -> str:
        """The digest of what is there, in hex."""
        return self._digest.hexdigest()

    def take_up(self, offered_bytes: int, sha256: str) -> Iterator[int]:
        """Hash what is good of an earlier download; yield 0 after each piece of it.

        A file of *offered_bytes* that has the digest *sha256* is good to its end. One that the disk
        does not give back is worth nothing: it is thrown away.
        """
        try:
            yield from self._take_up(offered_bytes, sha256)
        except OSError:
            self.discard()

    def _take_up(self, offered_bytes: int, sha256: str) -> Iterator[int]:
        length = self._path.stat().st_size if self._path.exists() else 0
        if not 0 < length <= offered_bytes:
            return
        self._marked_bytes = self._read_mark(length)
        good_bytes = max((length - 1) // CHUNK_BYTES * CHUNK_BYTES, self._marked_bytes)
        digest = hashlib.sha256()
        with self._path.open("rb") as file:
            while piece := file.read(min(_PIECE_BYTES, good_bytes - self.size_bytes)):
                digest.update(piece)
                self.size_bytes += len(piece)
                yield 0
            if length == offered_bytes:
                whole = digest.copy()
                whole.update(file.read(length - self.size_bytes))
                if whole.hexdigest() == sha256:
                    digest, self.size_bytes = whole, length
        self._digest = DigestBeside(digest)

    def open(self) -> None:
        """Cut away what is not good, and be ready to write; nothing good: begin a new file."""
        files = self._disk.files
        if self.size_bytes:
            self._descriptor = files.extend(self._path, size_bytes=self.size_bytes)
            return
        self.discard()
        self._descriptor = files.create(self._path, mode=_MODE)
        files.sync_folder(self._path.parent)

    def write(self, piece: bytes) -> None:
        """Append *piece*; sync at the end of each chunk."""
        rest = memoryview(piece)
        while rest:
            room = CHUNK_BYTES - self.size_bytes % CHUNK_BYTES
            self._append(rest[:room])
            rest = rest[room:]
            if self.size_bytes % CHUNK_BYTES == 0:
                self._digest.start()
                self._sync()

    def mark(self) -> None:
        """Let a download that goes on later lose nothing of what is there."""
        if self.size_bytes != self._marked_bytes:
            self._sync()
            self._disk.publish(self._mark, str(self.size_bytes).encode())
            self._marked_bytes = self.size_bytes

    def close(self) -> None:
        """Give the file back, and end the other thread."""
        self._digest.close()
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            self._disk.files.close(descriptor)

    def finish(self) -> None:
        """Make a complete file durable; its mark has served."""
        self._digest.start()
        self._sync()
        self.close()
        discard(self._mark, files=self._disk.files)

    def discard(self) -> None:
        """Take the file away, and its mark before it: a mark without a file says nothing."""
        self.close()
        discard(self._mark, files=self._disk.files)
        discard(self._path, files=self._disk.files)
        self._digest, self.size_bytes, self._marked_bytes = DigestBeside(), 0, 0

    def _append(self, data: memoryview) -> None:
        assert self._descriptor is not None
        write_whole(self._descriptor, data, files=self._disk.files)
        self._digest.add(data)
        self.size_bytes += len(data)

    def _sync(self) -> None:
        if self._descriptor is not None:
            self._disk.files.sync(self._descriptor)

    def _read_mark(self, length: int) -> int:
        """Return the length that was marked as synced, 0 without a mark that makes sense."""
        try:
            with self._mark.open("rb") as file:
                text = file.read(_MARK_CHARACTERS)
        except FileNotFoundError:
            return 0
        size_bytes = int(text) if text.isdigit() else 0
        return size_bytes if size_bytes <= length else 0
