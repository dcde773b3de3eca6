"""Part records on the disk: segments of JSON lines, the oldest segment goes first.

A record is on the disk within SYNC_S of its part, and for good when its segment is closed. A power
cut may tear the last line: whoever reads passes over it.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

from taktgate.contracts.codec import ContractError, decode, encode
from taktgate.inspection.records.bounded_folder import BoundedFolder, Bounds
from taktgate.inspection.records.record import PartRecord

PATTERN: Final = f"parts-{'[0-9]' * 8}.jsonl"
"""What else lies in the folder, a copy that somebody made for example, is not ours to remove."""
SEGMENT_BYTES: Final = 4 * 1024 * 1024
SYNC_S: Final = 2.0


class Journal:
    """Appends part records. One writer."""

    def __init__(
        self,
        folder: Path,
        bounds: Bounds,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        clock_s: Callable[[], float] = time.monotonic,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """Begin a segment of its own: the last one may end in a torn line.

        Raises:
            OSError: the folder is not usable.
        """
        self._files = BoundedFolder(folder, PATTERN, bounds, wall_s=wall_s)
        self._segment_bytes = min(segment_bytes, max(1, bounds.max_bytes // 2))
        self._clock_s = clock_s
        self._file: IO[bytes] | None = None
        self._filled = 0
        self._synced_s = clock_s()

    @property
    def size_bytes(self) -> int:
        """Return how much the records take on the disk."""
        return self._files.size_bytes

    def append(self, record: PartRecord) -> None:
        """Write one record.

        Raises:
            OSError: the disk refused. The record is lost, the ones before are not; the next one
                begins a new segment.
        """
        line = encode(record) + b"\n"
        if self._file is not None and self._filled + len(line) > self._segment_bytes:
            self.close()
        has_room = self._files.room_for(len(line))
        self._leave_removed()
        if not has_room:
            raise OSError(f"a record of {len(line)} bytes is more than records.parts_mb holds")
        try:
            file = self._file or self._begin()
            _write_all(file, line)
        except OSError:
            self._drop()
            raise
        self._filled += len(line)
        self._files.grow(len(line))

    def tick(self) -> None:
        """Bring what was written onto the disk when it is time.

        Raises:
            OSError: the disk refused.
        """
        now_s = self._clock_s()
        if self._file is not None and now_s - self._synced_s >= SYNC_S:
            self._synced_s = now_s
            os.fdatasync(self._file.fileno())
        self._files.prune()
        self._leave_removed()

    def close(self) -> None:
        """End the segment.

        Raises:
            OSError: the disk refused.
        """
        file, self._file = self._file, None
        if file is not None:
            with file:
                os.fdatasync(file.fileno())

    def _begin(self) -> IO[bytes]:
        newest = self._files.newest
        number = 1 if newest is None else int(newest.removeprefix("parts-").split(".")[0]) + 1
        name = f"parts-{number:08d}.jsonl"
        self._file = (self._files.folder / name).open("xb", buffering=0)
        self._files.add(name, 0)
        self._filled = 0
        return self._file

    def _leave_removed(self) -> None:
        """Write no more into a segment that is gone: it was the newest, and too old as well."""
        if self._files.newest is None:
            self._drop()

    def _drop(self) -> None:
        """Let go a segment that cannot be written: half a line in it is its last."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()


def _write_all(file: IO[bytes], data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def find_part(folder: Path, trigger_id: int, *, by: str | None = None) -> PartRecord | None:
    """Return the newest record of *trigger_id*, which a PLC may use again; None: none is left.

    *by*: only a part that the model of this digest judged.

    Raises:
        OSError: the folder is not readable.
    """
    mark = f'"trigger_id":{trigger_id},'.encode()
    for path in sorted(folder.glob(PATTERN), reverse=True):
        try:
            lines = path.read_bytes().splitlines()
        except FileNotFoundError:
            continue  # its room was needed just now
        for line in reversed(lines):
            record = _decoded(line) if mark in line else None
            model = None if record is None else record.envelope.model
            if record is not None and (by is None or (model is not None and model.digest == by)):
                return record
    return None


def read_records(folder: Path) -> Iterator[PartRecord]:
    """Yield the records in *folder*, oldest first; what cannot be read is passed over.

    Raises:
        OSError: the folder is not there.
    """
    for path in sorted(folder.glob(PATTERN)):
        with path.open("rb") as file:
            for line in file:
                record = _decoded(line)
                if record is not None:
                    yield record


def _decoded(line: bytes) -> PartRecord | None:
    try:
        return decode(PartRecord, line)
    except ContractError:
        return None
