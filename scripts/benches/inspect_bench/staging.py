"""The process of the stager: the real one, wired as on a station, with orders from the bench."""

import shutil
import sys
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Final

from benches.hub_bench.process import serve
from benches.inspect_bench.ballast import NAME, VERSION
from opentelemetry.metrics import NoOpMeter

from taktgate.contracts.twins import StagingPhase
from taktgate.edge.process import take_idle_priority_as_a_whole
from taktgate.staging.activation import ACTIVATION_FILE, ActivationFile
from taktgate.staging.fetch.web import UrlFetcher
from taktgate.staging.instruments import Instruments
from taktgate.staging.journal import Journal
from taktgate.staging.orders import OrderDesk
from taktgate.staging.registry.client import TRUSTED_ROOT_FILE, TufRegistry
from taktgate.staging.slots.disk import Disk
from taktgate.staging.slots.gate import StationGate
from taktgate.staging.slots.slots import Slots
from taktgate.staging.stager import Stager

_MOST_STEPS: Final = 1000


class _Counting(Instruments):
    """Counts bytes, beside the instruments of a station."""

    def __init__(self) -> None:
        super().__init__(NoOpMeter("bench"), phase=lambda: StagingPhase.IDLE)
        self.fetched_bytes = 0

    def fetched(self, size_bytes: int) -> None:
        """Count *size_bytes*."""
        self.fetched_bytes += size_bytes
        super().fetched(size_bytes)


class Staging:
    """Stages the large bundle again and again, in a thread: questions come in another."""

    def __init__(self) -> None:
        self._instruments = _Counting()
        self._stagings = 0

    def open(self, folder: str, config: str, repository: str) -> None:
        """Say where things are."""
        self._folder, self._config = Path(folder), Path(config)
        self._repository = repository

    def begin(self) -> None:
        """Step behind everything else, as the stager does where a model judges, and go."""
        take_idle_priority_as_a_whole()
        Thread(target=self._stage_for_ever, daemon=True).start()

    def done(self) -> tuple[int, int]:
        """Return how many bundles were announced, and how many bytes fetched."""
        return self._stagings, self._instruments.fetched_bytes

    def _stage_for_ever(self) -> None:
        for number in count():
            root = self._folder / str(number)
            root.mkdir(parents=True)
            self._stage(root)
            shutil.rmtree(root)
            self._stagings += 1

    def _stage(self, root: Path) -> None:
        """Stage into *root* as a stager does that has just started.

        Raises:
            RuntimeError: the bundle was refused, or it never ends.
        """
        disk = Disk()
        journal = Journal(root, disk=disk)
        activation = ActivationFile(path=root / ACTIVATION_FILE)
        gate = StationGate(config=self._config, device_class="cpu")
        stager = Stager(
            journal=journal,
            slots=Slots(root, disk=disk, gate=gate),
            disk=disk,
            registry=TufRegistry(
                root / "trust",
                trusted_root=self._config / TRUSTED_ROOT_FILE,
                fetcher=UrlFetcher(),
                disk=disk,
                device_class="cpu",
            ),
            activation=activation,
            waived_hil=True,
            instruments=self._instruments,
        )
        desk = OrderDesk(journal=journal, stager=stager, activation=activation, code="bench")
        model = {"name": NAME, "version": VERSION, "order": "o1"}
        desk.take({"model": model, "repository": self._repository})
        for _ in range(_MOST_STEPS):
            desk.work(lambda: None)
            if journal.record.phase is StagingPhase.STAGED:
                return
            if journal.record.phase in (StagingPhase.FAILED, StagingPhase.BLOCKED):
                break
        raise RuntimeError(f"not staged: {journal.record}")


if __name__ == "__main__":
    serve(Staging())
    sys.exit(0)
