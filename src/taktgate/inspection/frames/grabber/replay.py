"""Parts that a station has recorded, shown again in their order and at their pace.

Only parts whose image was kept can be shown (station.yaml `records.images`); the others are passed
over and counted. An image that does not have the digest of its record is refused: a replay that
shows something else than was judged would prove nothing.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from taktgate.edge.camera_settings import ReplayCameraSettings
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.errors import ImageRefusedError
from taktgate.inspection.frames.grabber.exposures import Exposures, InStep, OnCommand
from taktgate.inspection.frames.grabber.folder import read_image_file
from taktgate.inspection.frames.grabber.port import CameraLostError, Grabbed, Pixels
from taktgate.inspection.records.journal import read_records
from taktgate.inspection.records.record import IMAGES, KeptImage, PartRecord

log = logging.getLogger(__name__)

USUAL_PAUSE_NS: Final = 1 * SECOND
"""Between parts whose distance is not known: the station was booted in between."""
LONGEST_PAUSE_NS: Final = 10 * SECOND
"""A break of the line is not sat through."""
SHORTEST_PAUSE_NS: Final = 1 * MILLISECOND


class ReplayGrabber:
    """The grabber of `camera.kind: replay`."""

    def __init__(self, settings: ReplayCameraSettings) -> None:
        self._folder = Path(settings.path)
        self._speed = settings.speed
        is_paced = settings.correlation == "counter"
        self._exposures: Exposures = InStep(USUAL_PAUSE_NS) if is_paced else OnCommand()
        self._records: Iterator[PartRecord] | None = None
        self._part: PartRecord | None = None
        self._following: PartRecord | None = None
        self._ahead: Pixels | ImageRefusedError | None = None
        """The image of `_part`, read before it is due."""
        self._counters: Counter[str] = Counter(damaged=0, without_image=0)

    def open(self) -> None:
        """Look for the first part.

        Raises:
            CameraLostError: there is none, or all have been shown.
        """
        if self._records is None:
            if not self._folder.is_dir():
                raise CameraLostError(f"{self._folder}: no such folder")
            records = self._with_image()
            self._part, self._following = next(records, None), next(records, None)
            if self._part is None:
                raise CameraLostError(f"{self._folder}: no record of a part whose image was kept")
            self._records = records
        self._require_part()
        self._exposures.restart()

    def grab(self, timeout_s: float) -> Grabbed | None:
        """Return the next part's image, None when it is not due in time or is damaged.

        Raises:
            CameraLostError: all parts have been shown.
        """
        part = self._require_part()
        if self._ahead is None:
            self._ahead = self._read(part)
        exposure = self._exposures.next(timeout_s, then_ns=self._pause_ns(part))
        if exposure is None:
            return None
        image, self._ahead = self._ahead, None
        assert self._records is not None
        self._part, self._following = self._following, next(self._records, None)
        if isinstance(image, ImageRefusedError):
            self._counters["damaged"] += 1
            return None
        return exposure.shows(image)

    def trigger(self, trigger_id: int) -> None:
        """Show the next recorded image, for this part."""
        self._exposures.trigger(trigger_id)

    def counters(self) -> dict[str, int]:
        """Return how often what went wrong."""
        return {**self._counters, "missed": self._exposures.missed}

    def close(self) -> None:
        """Do nothing: the place in the records is kept for the next opening."""

    def _require_part(self) -> PartRecord:
        if self._part is None:
            raise CameraLostError(f"{self._folder}: all recorded parts have been shown")
        return self._part

    def _with_image(self) -> Iterator[PartRecord]:
        for record in read_records(self._folder):
            if record.image is None or record.image.file is None:
                self._counters["without_image"] += 1
            else:
                yield record

    def _read(self, part: PartRecord) -> Pixels | ImageRefusedError:
        assert part.image is not None
        try:
            return _read_kept(self._folder / IMAGES, part.image)
        except ImageRefusedError as error:
            facts = {"trigger_id": part.envelope.trigger_id, "error": str(error)}
            log.warning("recorded image refused", extra=facts)
            return error

    def _pause_ns(self, part: PartRecord) -> int:
        """Return how long after this part the following one is due."""
        if self._following is None:
            return USUAL_PAUSE_NS
        this, that = part.envelope, self._following.envelope
        if this.kernel_boot_id != that.kernel_boot_id:
            return USUAL_PAUSE_NS
        pause_ns = round((that.trigger_ns - this.trigger_ns) / self._speed)
        return max(SHORTEST_PAUSE_NS, min(pause_ns, LONGEST_PAUSE_NS))


def _read_kept(folder: Path, image: KeptImage) -> Pixels:
    """Return the pixels of a recorded image.

    Raises:
        ImageRefusedError: it is not there, damaged, or not the one that was recorded.
    """
    assert image.file is not None
    if Path(image.file).name != image.file:
        raise ImageRefusedError("DAMAGED", f"{image.file!r} is no file name")
    pixels = read_image_file(folder / image.file)
    if f"sha256:{hashlib.sha256(pixels.tobytes()).hexdigest()}" != image.digest:
        raise ImageRefusedError("DAMAGED", f"{image.file} is not the image that was recorded")
    return pixels
