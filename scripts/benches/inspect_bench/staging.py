"""The process of the stager: the real one, wired as on a station, with orders from the bench."""

import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Final

from benches.hub_bench.process import serve
from benches.inspect_bench.ballast import NAME, VERSION
from opentelemetry.metrics import NoOpMeter

from taktgate.contracts.twins import StagingPhase
from taktgate.edge.places import Places, places_from
from taktgate.edge.process import take_idle_priority_as_a_whole
from taktgate.edge.settings import load_station
from taktgate.staging.station_stager import station_stager

_MOST_STEPS: Final = 1000
_LONGEST_PAUSE_S: Final = 0.05


class Staging:
    """Stages the large bundle again and again, in a thread: questions come in another."""

    def __init__(self) -> None:
        self._stagings = 0
        self._fetched_bytes = 0

    def open(self, folder: str, environment: Mapping[str, str], repository: str) -> None:
        """Say where things are: *environment* as the station's agent has it."""
        self._folder, self._repository = Path(folder), repository
        self._places = places_from(environment)
        self._station = load_station(self._places.station_file)

    def begin(self) -> None:
        """Step behind everything else, as the stager does where a model judges, and go."""
        take_idle_priority_as_a_whole()
        Thread(target=self._stage_for_ever, daemon=True).start()

    def done(self) -> tuple[int, int]:
        """Return how many bundles were announced, and how many bytes fetched."""
        return self._stagings, self._fetched_bytes

    def _stage_for_ever(self) -> None:
        for number in count():
            root = self._folder / str(number)
            root.mkdir(parents=True)
            self._stage(replace(self._places, slots=root), f"bench-{number}")
            shutil.rmtree(root)
            self._stagings += 1

    def _stage(self, places: Places, order: str) -> None:
        """Stage as a stager does that has just started.

        Raises:
            RuntimeError: the bundle was refused, or it never ends.
        """
        parts = station_stager(places, self._station, NoOpMeter("bench"))
        before = self._fetched_bytes

        def look() -> None:
            progress = parts.stager.progress
            if progress is not None:
                self._fetched_bytes = before + progress.fetchedBytes

        model = {"name": NAME, "version": VERSION, "order": order}
        parts.desk.take({"model": model, "repository": self._repository})
        for _ in range(_MOST_STEPS):
            time.sleep(min(parts.desk.work(look), _LONGEST_PAUSE_S))
            if parts.journal.record.phase is StagingPhase.STAGED:
                return
            if parts.journal.record.phase in (StagingPhase.FAILED, StagingPhase.BLOCKED):
                break
        raise RuntimeError(f"not staged: {parts.journal.record}")


if __name__ == "__main__":
    serve(Staging())
    sys.exit(0)
