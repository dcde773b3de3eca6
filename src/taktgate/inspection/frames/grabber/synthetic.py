"""Frames that are drawn: a round part on a grey ground under a sensor's noise, no two alike.

Each frame carries its number in a block of black and white cells at its upper left corner, so that
whoever gets a frame can tell which one it is (`read_number`), after any number of copies.
"""

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from taktgate.edge.camera_settings import SyntheticCameraSettings
from taktgate.inspection.frames.grabber.exposures import exposures
from taktgate.inspection.frames.grabber.port import Grabbed, Pixels

COLUMNS: Final = 8
ROWS: Final = 8
"""Cells of the number: 64 bits, the highest first."""
_MAX_CELL: Final = 4
_GROUND, _PART, _DEFECT = 60, 150, 15
_NOISE: Final = 4.0
"""Standard deviation of a pixel, in grey values."""


class SyntheticGrabber:
    """The grabber of `camera.kind: synthetic`."""

    def __init__(self, settings: SyntheticCameraSettings) -> None:
        self._channels = settings.channels
        self._defect_share = settings.defect_share
        self._chance = np.random.default_rng(settings.seed)
        self._scene = _draw_part(settings.width, settings.height)
        # Drawn once, with a margin: another cut of it for each frame is cheap and never the same.
        margin = (settings.height + 64, settings.width + 64)
        self._noise = np.round(self._chance.normal(0.0, _NOISE, margin)).astype(np.int16)
        self._exposures = exposures(settings.fps)
        self._counters: Counter[str] = Counter(defects=0)

    def open(self) -> None:
        """Begin."""
        self._exposures.restart()

    def grab(self, timeout_s: float) -> Grabbed | None:
        """Return the next frame, None when it is not due in time."""
        exposure = self._exposures.next(timeout_s)
        if exposure is None:
            return None
        return exposure.shows(self._draw(exposure.frame_id))

    def trigger(self, trigger_id: int) -> None:
        """Draw the next frame, for this part."""
        self._exposures.trigger(trigger_id)

    def counters(self) -> dict[str, int]:
        """Return how often what happened."""
        return {**self._counters, "missed": self._exposures.missed}

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def _draw(self, frame_id: int) -> Pixels:
        scene = self._scene
        if self._chance.random() < self._defect_share:
            self._counters["defects"] += 1
            scene = _scratch(scene, self._chance)
        height, width = scene.shape
        top, left = self._chance.integers(0, 65, 2)
        noisy = scene + self._noise[top : top + height, left : left + width]
        pixels: Pixels = np.clip(noisy, 0, 255).astype(np.uint8)
        _write_number(pixels, frame_id)
        if self._channels == 1:
            return pixels
        return np.ascontiguousarray(np.broadcast_to(pixels[:, :, None], (height, width, 3)))


def read_number(pixels: Pixels) -> int:
    """Return the number that a frame carries."""
    grey = pixels if pixels.ndim == 2 else pixels[:, :, 0]
    cell = _cell(grey)
    number = 0
    for row in range(ROWS):
        for column in range(COLUMNS):
            is_set = grey[row * cell + cell // 2, column * cell + cell // 2] > 127
            number = number << 1 | int(is_set)
    return number


def _write_number(grey: Pixels, number: int) -> None:
    cell = _cell(grey)
    bits = np.frombuffer(f"{number:064b}".encode(), np.uint8).reshape(ROWS, COLUMNS) - ord("0")
    grey[: ROWS * cell, : COLUMNS * cell] = np.kron(bits, np.full((cell, cell), 255, np.uint8))


def _cell(grey: Pixels) -> int:
    """Return the side of one cell in pixels: the block takes a quarter of the side at most."""
    return int(min(_MAX_CELL, max(1, min(grey.shape) // (4 * COLUMNS))))


def _draw_part(width: int, height: int) -> NDArray[np.int16]:
    """Return the scene without noise: a disc, a little brighter towards its upper left."""
    y, x = np.ogrid[:height, :width]
    radius = np.hypot((x - width / 2) / width, (y - height / 2) / height)
    shade = 20.0 * (1.0 - (x / width + y / height) / 2)
    return np.where(radius < 0.35, _PART + shade, _GROUND + shade / 2).astype(np.int16)


def _scratch(scene: NDArray[np.int16], chance: np.random.Generator) -> NDArray[np.int16]:
    """Return the scene with a dark scratch across the part."""
    height, width = scene.shape
    y, x = np.ogrid[:height, :width]
    angle = chance.uniform(0.0, np.pi)
    across = (x - width / 2) * np.sin(angle) - (y - height / 2) * np.cos(angle)
    along = (x - width / 2) * np.cos(angle) + (y - height / 2) * np.sin(angle)
    side = min(width, height)
    is_scratched = (np.abs(across) < side / 60 + 1) & (np.abs(along) < side / 4)
    return np.where(is_scratched, np.int16(_DEFECT), scene)
