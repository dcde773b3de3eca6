"""A judge with a camera in a process of its own, and a test in place of PLC writer and agent."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from tests.integration.judge_station import JudgeStation
from tests.integration.tiny_bundles import Tiny

from taktgate.contracts.verdict import VerdictEnvelope


class SourceStation(JudgeStation):
    """A station whose judge exposes on command."""

    def __init__(self, folder: Path, camera: str, *, window_ms: int = 600) -> None:
        super().__init__(folder)
        self.camera.close()
        (folder / "station.yaml").write_text(
            "station: VIS01\ndevice_class: cpu\nplc: {address: 127.0.0.1}\n"
            f"camera: {{{camera}, frame_window_ms: {window_ms}, correlation: software_trigger}}\n"
        )
        self.install_tiny(Tiny(), "slot-a", confirmed=True)

    def start(self) -> None:
        with (self.folder / "judge.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "taktgate.inspection.judge.process"],
                env=os.environ | self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def camera_process(self) -> psutil.Process:
        """Return the process that the camera runs in."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if "taktgate.inspection.frames.grabber.process" in child.cmdline():
                return child
        raise AssertionError("the camera has no process")

    def next_part(self) -> VerdictEnvelope:
        """Let one part come, for which the judge exposes; return its verdict."""
        return self.judged(None)


@contextmanager
def source_station(folder: Path, camera: str) -> Iterator[SourceStation]:
    """Give a station whose judge is ended afterwards, whatever happened."""
    station = SourceStation(folder, camera)
    try:
        yield station
    finally:
        station.close()
