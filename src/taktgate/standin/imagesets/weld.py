"""Synthetic weld seams: grey frames of 512x512 pixels, drawn from a seed and an index.

Every frame has a plate with texture, a rippled seam that wanders, and a light that drifts; good
frames carry harmless marks too. A defective frame shows pores, spatter, an undercut or a gap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from taktgate.standin.imagesets.port import Label, LabelledImage, Split

SIZE: Final = 512
LICENCE: Final = "MIT"
TEXTURE_SIZE: Final = 1024
_SPLIT_STREAM: Final = {Split.TRAIN: 1, Split.TUNE: 2, Split.LINE: 3}

Floats = NDArray[np.float32]


class WeldSeams:
    """Weld seams without end or file: item *i* depends on seed, split and *i* alone."""

    name = "weld-seam"
    licence = LICENCE
    classes = ("pore", "spatter", "undercut", "gap")
    split_method = "each split draws from a random stream of its own; no frame is drawn in two"

    def __init__(
        self, split: Split, *, seed: int = 0, size: int = 4000, defective_share: float = 0.5
    ) -> None:
        """Open *size* frames, of which about *defective_share* are defective."""
        self._stream = (seed, _SPLIT_STREAM[split])
        self._split = split
        self._size = size
        labels = np.random.default_rng([*self._stream, 0])
        self._is_defective = labels.random(size) < defective_share
        self._defects = labels.integers(len(self.classes), size=size)
        self._texture = _texture(np.random.default_rng([*self._stream, 1]))

    def __len__(self) -> int:
        """Return the number of frames."""
        return self._size

    def label(self, index: int) -> Label:
        """Return the label that the frame is drawn with."""
        return "defective" if self._is_defective[index] else "ok"

    def item(self, index: int) -> LabelledImage:
        """Return a frame, [512, 512] grey."""
        defect = self.classes[self._defects[index]] if self._is_defective[index] else None
        return LabelledImage(
            id=f"{self.name}-{self._stream[0]}-{self._split}-{index:06d}",
            label=self.label(index),
            pixels=self._draw(np.random.default_rng([*self._stream, 2, index]), index, defect),
            defect=defect,
        )

    def _draw(self, rng: np.random.Generator, index: int, defect: str | None) -> NDArray[np.uint8]:
        seam = _Seam(rng)
        frame = self._plate(rng)
        seam.lay(frame, gap=_gap(rng) if defect == "gap" else None)
        _harmless_marks(frame, rng)
        if defect in _DEFECTS:
            _DEFECTS[defect](frame, seam, rng)
        _light(frame, rng, index)
        return np.clip(frame, 0, 255, out=frame).astype(np.uint8)

    def _plate(self, rng: np.random.Generator) -> Floats:
        top, left = rng.integers(TEXTURE_SIZE - SIZE, size=2)
        piece = self._texture[top : top + SIZE, left : left + SIZE]
        if rng.random() < 0.5:
            piece = piece[:, ::-1]
        return piece * np.float32(rng.uniform(0.7, 1.3)) + np.float32(rng.uniform(95, 135))


class _Seam:
    """Where the seam runs and how it is rippled."""

    def __init__(self, rng: np.random.Generator) -> None:
        x = np.arange(SIZE, dtype=np.float32)
        wander = rng.uniform(2, 12) * np.sin(x / rng.uniform(60, 160) + rng.uniform(0, 6.3))
        self.centre: Floats = (
            rng.uniform(190, 320) + rng.uniform(-0.06, 0.06) * x + wander
        ).astype(np.float32)
        breath = rng.uniform(1, 4) * np.sin(x / rng.uniform(30, 90) + rng.uniform(0, 6.3))
        self.half_width: Floats = (rng.uniform(38, 58) + breath).astype(np.float32)
        self.period = np.float32(rng.uniform(9, 16))
        self.bow = np.float32(rng.uniform(0.15, 0.4))
        self.ripple = np.float32(rng.uniform(10, 24))
        self.gleam = np.float32(rng.uniform(25, 55))

    def lay(self, frame: Floats, *, gap: tuple[int, int] | None) -> None:
        """Draw the seam over *frame*; in the columns of *gap* the plates meet without a weld."""
        top = max(0, int((self.centre - self.half_width).min()) - 6)
        bottom = min(SIZE, int((self.centre + self.half_width).max()) + 7)
        y = np.arange(top, bottom, dtype=np.float32)[:, None]
        across = (y - self.centre) / self.half_width
        inside = np.clip((np.float32(1.0) - np.abs(across)) * np.float32(9), 0, 1)
        phase = np.arange(SIZE, dtype=np.float32) + self.bow * across * across * self.half_width
        weld = self.ripple * np.sin(phase * (np.float32(6.2832) / self.period))
        weld += self.gleam * (np.float32(0.6) - across * across)
        if gap is not None:
            inside[:, gap[0] : gap[1]] *= np.float32(0.1)
            joint = np.abs(y - self.centre[gap[0] : gap[1]]) < 4
            frame[top:bottom, gap[0] : gap[1]] -= np.float32(60) * joint
        frame[top:bottom] += inside * weld


def _texture(rng: np.random.Generator) -> Floats:
    """Return rolled sheet: fine grain and long streaks along x."""
    grain = rng.standard_normal((TEXTURE_SIZE, TEXTURE_SIZE), dtype=np.float32)
    streaks = rng.standard_normal((TEXTURE_SIZE, TEXTURE_SIZE // 32), dtype=np.float32)
    return np.float32(5) * grain + np.float32(4) * np.repeat(streaks, 32, axis=1)


def _spot(frame: Floats, x: float, y: float, radius: float, depth: float) -> None:
    """Add a soft round spot; *depth* is negative for a dark one."""
    reach = int(radius * 2) + 2
    left, right = max(0, int(x) - reach), min(SIZE, int(x) + reach + 1)
    top, bottom = max(0, int(y) - reach), min(SIZE, int(y) + reach + 1)
    if left >= right or top >= bottom:
        return
    dy = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(y)
    dx = np.arange(left, right, dtype=np.float32) - np.float32(x)
    falloff = (dx * dx + dy * dy) / np.float32(radius * radius)
    frame[top:bottom, left:right] += np.float32(depth) * np.exp(-falloff * falloff)


def _harmless_marks(frame: Floats, rng: np.random.Generator) -> None:
    """Add specks of dust: smaller and fainter than any defect."""
    for _ in range(rng.integers(0, 10)):
        x, y = rng.uniform(0, SIZE, 2)
        _spot(frame, x, y, rng.uniform(0.8, 1.8), rng.uniform(-45, 45))


def _pores(frame: Floats, seam: _Seam, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 5)):
        x = rng.uniform(20, SIZE - 20)
        y = seam.centre[int(x)] + rng.uniform(-0.6, 0.6) * seam.half_width[int(x)]
        radius = rng.uniform(4, 9)
        _spot(frame, x, y, radius * 1.4, rng.uniform(8, 25))
        _spot(frame, x, y, radius, rng.uniform(-120, -65))


def _spatter(frame: Floats, seam: _Seam, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(3, 9)):
        x = rng.uniform(20, SIZE - 20)
        side = rng.choice((-1.0, 1.0))
        y = seam.centre[int(x)] + side * (seam.half_width[int(x)] + rng.uniform(12, 110))
        radius = rng.uniform(3.5, 8)
        _spot(frame, x + 2, y + 3, radius, rng.uniform(-50, -25))
        _spot(frame, x, y, radius * 0.8, rng.uniform(60, 110))


def _undercut(frame: Floats, seam: _Seam, rng: np.random.Generator) -> None:
    start = int(rng.integers(10, 350))
    length, side = int(rng.integers(60, 150)), rng.choice((-1.0, 1.0))
    depth, width = rng.uniform(-95, -50), rng.uniform(4, 8)
    for x in range(start, min(SIZE - 4, start + length), 4):
        y = seam.centre[x] + side * seam.half_width[x]
        _spot(frame, x, y + rng.uniform(-1, 1), width, depth * 0.3)


def _gap(rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(20, 420))
    return start, start + int(rng.integers(18, 60))


def _light(frame: Floats, rng: np.random.Generator, index: int) -> None:
    """Drift the lamp slowly with *index*, and tilt its light a little at random."""
    drift = 1.0 + 0.12 * np.sin(index / 180.0)
    tilt = rng.uniform(-0.18, 0.18, size=2)
    ramp = np.linspace(-1, 1, SIZE, dtype=np.float32)
    gain = np.float32(drift * rng.uniform(0.85, 1.15))
    frame *= gain * (np.float32(1) + np.float32(tilt[0]) * ramp)
    frame *= np.float32(1) + np.float32(tilt[1]) * ramp[:, None]


_DEFECTS: Final[dict[str, Callable[[Floats, _Seam, np.random.Generator], None]]] = {
    "pore": _pores,
    "spatter": _spatter,
    "undercut": _undercut,
}
