"""The images of parts, as PNG files in a ring of so many bytes."""

import io
from pathlib import Path
from typing import Final

from PIL import Image

from taktgate.inspection.control import FrameNote
from taktgate.inspection.records.bounded_folder import BoundedFolder, Bounds

PATTERN: Final = "*.png"
_FASTEST: Final = 1
"""zlib level: a camera's noise does not get much smaller by more work."""


class ImageRing:
    """Keeps images until newer ones need their room."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        """Take up what an earlier process has left.

        Raises:
            OSError: the folder is not usable.
        """
        self._files = BoundedFolder(folder, PATTERN, bounds)
        self._bounds = bounds

    @property
    def size_bytes(self) -> int:
        """Return how much the images take on the disk."""
        return self._files.size_bytes

    def keep(self, name: str, pixels: bytes, frame: FrameNote) -> str | None:
        """Write the image as *name* (without suffix); return the file's name, None if too large.

        Names must rise: the ring removes from the front of their order. No fsync: an image lost in
        a power cut is a gap that the record's digest shows.

        Raises:
            OSError: the disk refused; no half file stays.
        """
        mode = "L" if frame.channels == 1 else "RGB"
        image = Image.frombytes(mode, (frame.width, frame.height), pixels)
        data = io.BytesIO()
        image.save(data, "PNG", compress_level=_FASTEST)
        content = data.getvalue()
        if not self._files.room_for(len(content)):
            return None
        file = f"{name}.png"
        path = self._files.folder / file
        try:
            path.write_bytes(content)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self._files.add(file, len(content))
        return file
