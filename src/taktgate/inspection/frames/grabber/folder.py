"""Image files in the order of their names: a camera for trying out, and for taking up a station.

Each file is one exposure. One that cannot be read is a frame that came damaged: it is counted, its
frame id is left out, and the part that it was for gets no frame.
"""

import logging
from collections import Counter
from pathlib import Path

from taktgate.edge.camera_settings import FolderCameraSettings
from taktgate.inspection.errors import ImageRefusedError
from taktgate.inspection.frames.grabber.exposures import exposures
from taktgate.inspection.frames.grabber.port import CameraLostError, Grabbed, Pixels
from taktgate.inspection.frames.images import SUFFIXES, read_image
from taktgate.inspection.frames.ring import SLOT_BYTES

log = logging.getLogger(__name__)


class FolderGrabber:
    """The grabber of `camera.kind: folder`."""

    def __init__(self, settings: FolderCameraSettings) -> None:
        self._folder = Path(settings.path)
        self._is_loop = settings.loop
        self._exposures = exposures(settings.fps)
        self._files: list[Path] = []
        self._next = 0
        self._ahead: Pixels | ImageRefusedError | None = None
        """The image of the next exposure, read before it is asked for."""
        self._counters: Counter[str] = Counter(damaged=0)

    def open(self) -> None:
        """Look which files there are.

        Raises:
            CameraLostError: there is none, or all have been shown and that was to be all.
        """
        if self._files and self._next >= len(self._files):
            raise CameraLostError(f"{self._folder}: all images have been shown (loop: false)")
        try:
            found = sorted(self._folder.iterdir())
        except OSError as error:
            raise CameraLostError(f"{self._folder}: {error.strerror}") from None
        self._files = [path for path in found if path.suffix.lower() in SUFFIXES]
        if not self._files:
            raise CameraLostError(f"{self._folder}: no {', '.join(SUFFIXES)} file is in it")
        self._exposures.restart()

    def grab(self, timeout_s: float) -> Grabbed | None:
        """Return the next image, None when it is not due in time or cannot be read.

        Raises:
            CameraLostError: all images have been shown.
        """
        if self._ahead is None:
            self._ahead = self._read_next()
        exposure = self._exposures.next(timeout_s)
        if exposure is None:
            return None
        image, self._ahead = self._ahead, None
        if isinstance(image, ImageRefusedError):
            self._counters["damaged"] += 1
            return None
        return exposure.shows(image)

    def trigger(self, trigger_id: int) -> None:
        """Show the next image, for this part."""
        self._exposures.trigger(trigger_id)

    def counters(self) -> dict[str, int]:
        """Return how often what went wrong."""
        return {**self._counters, "missed": self._exposures.missed}

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _read_next(self) -> Pixels | ImageRefusedError:
        """Return the image of the next file, or why there is none.

        Raises:
            CameraLostError: all images have been shown.
        """
        if self._next >= len(self._files):
            if not self._is_loop:
                raise CameraLostError(f"{self._folder}: all images have been shown (loop: false)")
            self._next = 0
        path = self._files[self._next]
        self._next += 1
        try:
            return read_image_file(path)
        except ImageRefusedError as error:
            facts = {"file": str(path), "reason": error.reason, "error": str(error)}
            log.warning("image refused", extra=facts)
            return error


def read_image_file(path: Path) -> Pixels:
    """Return the pixels of the image file *path*.

    Raises:
        ImageRefusedError: it is none that we take, or cannot be read at all.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageRefusedError("DAMAGED", f"{path}: {error.strerror}") from None
    return read_image(data, limit_bytes=SLOT_BYTES)
