"""Writes the record of each part: a thread of the agent with a bounded queue, at idle priority.

The agent hands over and goes on; a slow or full disk costs records, which is counted and reported,
and nothing else.
"""

import hashlib
import logging
import os
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from taktgate.contracts.verdict import Verdict
from taktgate.edge.process import take_idle_priority
from taktgate.edge.settings import RecordSettings
from taktgate.inspection.control import PartNote
from taktgate.inspection.records.bounded_folder import DAY_S, Bounds
from taktgate.inspection.records.images import ImageRing
from taktgate.inspection.records.join import KnownPart
from taktgate.inspection.records.journal import Journal
from taktgate.inspection.records.record import (
    IMAGES,
    RECORD_VERSION,
    KeptImage,
    LaneTimes,
    PartRecord,
)

log = logging.getLogger(__name__)

QUEUE_CAPACITY: Final = 64
RESERVE_BYTES: Final = 64 * 1024 * 1024
"""Left free on the volume: activation.json shares it and matters more."""
_TICK_S: Final = 0.5
_REOPEN_S: Final = 10.0


class Evidence(Protocol):
    """Where the pixels of judged parts lie for a while."""

    def pixels(self, note: PartNote) -> bytes | None:
        """Return the raw pixels of *note*'s frame, None when they are not to be had any more."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


@dataclass(slots=True, kw_only=True)
class RecordCounters:
    """What became of the parts; each value has one writer and is read by others for a look."""

    written: int = 0
    dropped: int = 0
    """The queue was full."""
    refused: int = 0
    """The disk refused, or holds too little free room."""
    pixels_lost: int = 0
    """Overwritten by the judge before they were read."""
    images: int = 0


class Recorder:
    """The queue, and the loop of the thread behind it."""

    def __init__(
        self,
        folder: Path,
        settings: RecordSettings,
        evidence: Evidence,
        *,
        complain: Callable[[str | None], None],
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._evidence = evidence
        self._complain = complain
        self._reserve_bytes = reserve_bytes
        self._queue: queue.Queue[KnownPart | None] = queue.Queue(maxsize=QUEUE_CAPACITY)
        self._journal: Journal | None = None
        self._images: ImageRing | None = None
        self._reopen_s = 0.0
        self._why_closed = ""
        """What the disk said when the folder could not be opened."""
        self._fault: str | None = None
        self.counters = RecordCounters()

    @property
    def fault(self) -> str | None:
        """Return why nothing can be recorded at present; None while all is well."""
        return self._fault

    def put(self, part: KnownPart) -> None:
        """Hand a part over, from any thread; when the queue is full it is dropped and counted."""
        try:
            self._queue.put_nowait(part)
        except queue.Full:
            self.counters.dropped += 1

    def end(self) -> None:
        """Have `run` end after what is in the queue; a full queue ends by the process."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return

    def run(self) -> None:
        """Write until `end`. Runs in a thread of its own."""
        take_idle_priority()
        while True:
            try:
                part = self._queue.get(timeout=_TICK_S)
            except queue.Empty:
                self._guard(self._tick)
                continue
            if part is None:
                break
            self._record(part)
        if self._journal is not None:
            self._guard(self._journal.close)
        self._evidence.close()

    def _record(self, part: KnownPart) -> None:
        pixels = None if part.note is None else self._evidence.pixels(part.note)
        is_framed = part.note is not None and part.note.frame is not None
        if is_framed and pixels is None:
            self.counters.pixels_lost += 1
        if self._guard(lambda: self._write(part, pixels)):
            self.counters.written += 1
            self._report(None)
        else:
            self.counters.refused += 1

    def _write(self, part: KnownPart, pixels: bytes | None) -> None:
        journal, images = self._open()
        self._require_room()
        image = None
        if pixels is not None:
            digest = f"sha256:{hashlib.sha256(pixels).hexdigest()}"
            image = KeptImage(digest=digest, file=self._keep(images, part, pixels))
        journal.append(_record_of(part, image))
        journal.tick()

    def _keep(self, images: ImageRing, part: KnownPart, pixels: bytes) -> str | None:
        its, note = part.envelope, part.note
        is_wanted = self._settings.images == "all" or its.verdict is not Verdict.PASS
        if not is_wanted or not self._settings.images_mb or note is None or note.frame is None:
            return None
        at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        name = f"{at}-{its.trigger_id}-{its.verdict.value.lower()}"
        file = images.keep(name, pixels, note.frame)
        self.counters.images += file is not None
        return file

    def _open(self) -> tuple[Journal, ImageRing]:
        if self._journal is None or self._images is None:
            if time.monotonic() < self._reopen_s:
                raise OSError(self._why_closed)
            self._reopen_s = time.monotonic() + _REOPEN_S
            age_s = self._settings.days * DAY_S
            try:
                self._images = ImageRing(
                    self._folder / IMAGES, _bounds(max(1, self._settings.images_mb), age_s)
                )
                self._journal = Journal(self._folder, _bounds(self._settings.parts_mb, age_s))
            except OSError as error:
                self._why_closed = error.strerror or str(error)
                raise
        return self._journal, self._images

    def _require_room(self) -> None:
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        if free < self._reserve_bytes:
            raise OSError(f"{free >> 20} MB free, {self._reserve_bytes >> 20} MB are kept free")

    def _tick(self) -> None:
        if self._journal is not None:
            self._journal.tick()

    def _guard(self, work: Callable[[], None]) -> bool:
        """Do *work*; False when the disk refuses."""
        try:
            work()
        except OSError as error:
            self._report(f"{self._folder}: {error.strerror or error}")
            return False
        return True

    def _report(self, fault: str | None) -> None:
        """Say what is wrong once, and once when a record is written again."""
        if fault == self._fault:
            return
        self._fault = fault
        if fault is not None:
            log.error("parts are not recorded", extra={"error": fault})
        self._complain(fault)


def _bounds(megabytes: int, age_s: float) -> Bounds:
    return Bounds(max_bytes=megabytes << 20, max_age_s=age_s)


def _record_of(part: KnownPart, image: KeptImage | None) -> PartRecord:
    note = part.note
    return PartRecord(
        record=RECORD_VERSION,
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        envelope=part.envelope,
        lanes=LaneTimes(
            local_ns=None if note is None else note.sent_ns, edgehub_ns=part.edgehub_ns
        ),
        frame=None if note is None else note.frame,
        image=image,
        note_lost=note is None,
    )
