"""A target's file, under its digest: whole and durable before any metadata names it."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tuf.api.metadata import TargetFile

from taktgate.edge.file_system import FileSystem
from taktgate.edge.files import discard, write_through
from taktgate.registry.signed.disk import make_folders, writing


def place(folder: Path, path: str, content: Iterable[bytes], *, files: FileSystem) -> TargetFile:
    """Write the target *path* below *folder*; return its entry.

    Raises:
        DiskError: the folder cannot be written.
    """
    parent, _, name = path.rpartition("/")
    coming = folder / parent / f".{name}.tmp"
    measure = _Measure()
    with writing(folder / path):
        make_folders(coming.parent, files=files)
        discard(coming, files=files)
        write_through(coming, measure.passing(content), mode=0o644, files=files)
        try:
            files.rename(coming, coming.with_name(f"{measure.sha256}.{name}"))
        except OSError:
            discard(coming, files=files)
            raise
        files.sync_folder(coming.parent)
    return TargetFile(measure.size_bytes, {"sha256": measure.sha256}, path)


class _Measure:
    """Counts and hashes what passes."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def passing(self, content: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in content:
            self._digest.update(chunk)
            self.size_bytes += len(chunk)
            yield chunk
