"""What OpenCV opens: an RTSP stream, a video file, a V4L2 device.

For watching, and for trying out: a stream neither numbers its exposures nor says when they were.
Frames are counted as they arrive, so one that was lost on the way leaves no gap; and the exposure
is a bound, not a measurement (`stream_time.py`). A line that judges parts takes a camera that is
triggered.
"""

import os
import re
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from taktgate.edge.camera_settings import OpenCvCameraSettings
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.frames.grabber.exposures import InStep
from taktgate.inspection.frames.grabber.port import (
    CameraLostError,
    CameraMissingLibraryError,
    Grabbed,
    Pixels,
)
from taktgate.inspection.frames.grabber.stream_time import StreamTime

OPEN_LIMIT_MS: Final = 5000
READ_LIMIT_MS: Final = 1000
"""A stream that sends nothing for so long is lost; the judge's patience is twice that."""
USUAL_FPS: Final = 25.0
"""Of a file that does not say."""
_MAX_FPS: Final = 240.0
_DEVICE: Final = re.compile(r"(?:/dev/video)?(\d+)")
_USER: Final = re.compile(r"(?<=://)[^/@]*@")
_STREAM_OPTIONS: Final = "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay"
"""TCP: over UDP a lost packet is a smeared image that looks whole."""
_ENVIRONMENT: Final = {
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    "OPENCV_LOG_LEVEL": "ERROR",
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "1",
}
"""Read by OpenCV when it is loaded or opens something; what is set already holds."""


class OpenCvGrabber:
    """The grabber of `camera.kind: opencv`."""

    def __init__(self, settings: OpenCvCameraSettings) -> None:
        self._settings = settings
        self._name = _USER.sub("", settings.url)  # a password belongs into no log
        self._is_file = "://" not in settings.url and not _DEVICE.fullmatch(settings.url)
        self._cv2: Any = None
        self._capture: Any = None
        """OpenCV's; None while closed."""
        self._time = StreamTime(latency_ns=settings.latency_ms * MILLISECOND)
        self._steps = InStep(round(SECOND / USUAL_FPS))
        self._has_ended = False
        self._at_end = f"{self._name}: the file is at its end (loop: {settings.loop})"
        self._frame_id = 0
        self._counters: Counter[str] = Counter(opened=0)

    def open(self) -> None:
        """Connect.

        Raises:
            CameraLostError: it is not there, or is a file that has been shown.
            CameraMissingLibraryError: OpenCV cannot be loaded.
        """
        if self._has_ended:
            raise CameraLostError(self._at_end)
        if self._is_file and not Path(self._settings.url).is_file():
            raise CameraLostError(f"{self._name}: no such file")
        self._cv2 = _load_opencv()
        if not self._is_file:  # they would cost a file its last image
            os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", _STREAM_OPTIONS)
        self._capture = _open(self._cv2, self._settings.url)
        if not self._capture.isOpened():
            raise CameraLostError(f"{self._name}: OpenCV cannot open it")
        self._counters["opened"] += 1
        self._time.restart()
        if self._is_file:
            fps = self._capture.get(self._cv2.CAP_PROP_FPS)
            self._steps = InStep(round(SECOND / (fps if 0 < fps <= _MAX_FPS else USUAL_FPS)))

    def grab(self, timeout_s: float) -> Grabbed | None:
        """Return the next frame; waits for one up to READ_LIMIT_MS.

        Raises:
            CameraLostError: none came.
        """
        return self._from_file(timeout_s) if self._is_file else self._from_stream()

    def trigger(self, trigger_id: int) -> None:
        """Do nothing: the stream runs free."""

    def counters(self) -> dict[str, int]:
        """Return how often what happened."""
        return {**self._counters, "missed": self._steps.missed}

    def close(self) -> None:
        """Close the stream."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def _from_stream(self) -> Grabbed:
        pixels = self._read()
        if pixels is None:
            raise CameraLostError(f"{self._name}: no image within {READ_LIMIT_MS} ms")
        arrived_ns = time.monotonic_ns()
        stream_ns = round(self._capture.get(self._cv2.CAP_PROP_POS_MSEC) * MILLISECOND)
        self._frame_id += 1
        exposure_ns = self._time.exposure_ns(stream_ns, arrived_ns)
        return Grabbed(pixels=pixels, frame_id=self._frame_id, exposure_ns=exposure_ns)

    def _from_file(self, timeout_s: float) -> Grabbed | None:
        exposure = self._steps.next(timeout_s)
        if exposure is None:
            return None
        pixels = self._read()
        if pixels is None and self._settings.loop:
            self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, 0)
            pixels = self._read()
        if pixels is None:
            self._has_ended = not self._settings.loop
            raise CameraLostError(self._at_end)
        return Grabbed(pixels=pixels, frame_id=exposure.frame_id, exposure_ns=exposure.at_ns)

    def _read(self) -> Pixels | None:
        is_read, image = self._capture.read()
        if not is_read:
            return None
        is_grey = self._settings.channels == 1
        code = self._cv2.COLOR_BGR2GRAY if is_grey else self._cv2.COLOR_BGR2RGB
        pixels: Pixels = self._cv2.cvtColor(image, code)
        return pixels


def _load_opencv() -> ModuleType:
    """Return OpenCV's module.

    Raises:
        CameraMissingLibraryError: it cannot be loaded.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import cv2
    except ImportError as error:
        raise CameraMissingLibraryError(
            f"OpenCV cannot be loaded ({error}): pip install opencv-python-headless"
        ) from None
    cv2.setNumThreads(1)  # the cores are the judge's and the model's
    return cv2


def _open(cv2: ModuleType, url: str) -> Any:
    device = _DEVICE.fullmatch(url)
    if device is not None:
        return cv2.VideoCapture(int(device[1]), cv2.CAP_V4L2)
    limits = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_LIMIT_MS,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_LIMIT_MS,
        cv2.CAP_PROP_N_THREADS, 1,
    ]  # fmt: skip
    return cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)
