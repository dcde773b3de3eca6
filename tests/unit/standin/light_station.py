"""A light station without network and clock: stager, inference, and what they wait for."""

import heapq
import itertools
from typing import Any

from taktgate.contracts.codec import parse
from taktgate.contracts.routes import INFERENCE, MODEL_STAGER
from taktgate.contracts.twins import InspectionReported, ModelOrder, StagerReported
from taktgate.rollout.analysis import Station, read_station
from taktgate.standin.azure.fleet.behaviour import (
    Desired,
    Effects,
    Elapsed,
    Event,
    Heard,
    LightModule,
    Tell,
    Wait,
)
from taktgate.standin.azure.fleet.faults import Fault, Faults
from taktgate.standin.azure.fleet.inference import LightInference
from taktgate.standin.azure.fleet.pace import Pace
from taktgate.standin.azure.fleet.stager import LightStager

NAME = "station-1"
LONG_S = 100_000.0


class LightStation:
    """A station's two modules in simulated time; `seen` holds the phases that they reported."""

    def __init__(
        self, *faults: Fault, reported: dict[str, Any] | None = None, seed: int = 1
    ) -> None:
        self.now_s = 0.0
        self.seen: dict[str, list[str]] = {MODEL_STAGER: [], INFERENCE: []}
        self._version = 0
        self._numbers = itertools.count()
        self._waits: list[tuple[float, int, str, Elapsed]] = []
        rules = Faults(faults, seed=seed)
        self.modules: dict[str, LightModule] = {
            MODEL_STAGER: LightStager(NAME, pace=Pace(), faults=rules, seed=seed),
            INFERENCE: LightInference(
                NAME, pace=Pace(), faults=rules, seed=seed, date=lambda: "2026-11-22T00:00:00Z"
            ),
        }
        for name, module in self.modules.items():
            self._act_on(name, module.resume((reported or {}).get(name, {})))

    def order(self, version: str, order: str, **more: Any) -> None:
        """Let the twin ask for a model."""
        model = {"name": "weld-seam", "version": version, "order": order, **more}
        self.desire({"model": model, "repository": "https://models.example"})

    def desire(self, document: dict[str, Any]) -> None:
        self._version += 1
        self._take(MODEL_STAGER, Desired(document=document, version=self._version))

    def wait(self, seconds: float = LONG_S) -> None:
        """Let time pass."""
        end_s = self.now_s + seconds
        while self._waits and self._waits[0][0] <= end_s:
            self.now_s, _, name, elapsed = heapq.heappop(self._waits)
            self._take(name, elapsed)
        self.now_s = end_s

    def reports(self) -> dict[str, Any]:
        return {name: module.reported() for name, module in self.modules.items()}

    @property
    def stager(self) -> StagerReported:
        return parse(StagerReported, self.reports()[MODEL_STAGER]["stager"])

    @property
    def inspection(self) -> InspectionReported:
        return parse(InspectionReported, self.reports()[INFERENCE]["inspection"])

    @property
    def live(self) -> str | None:
        return None if self.inspection.live is None else self.inspection.live.version

    def as_rollout_reads(self, version: str, order: str) -> Station:
        reports = self.reports()
        return read_station(
            NAME,
            "ring",
            ModelOrder(name="weld-seam", version=version, order=order),
            inspection=reports[INFERENCE]["inspection"],
            stager=reports[MODEL_STAGER]["stager"],
        )

    def _take(self, name: str, event: Event) -> None:
        self._act_on(name, self.modules[name].on(event))

    def _act_on(self, name: str, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Wait(seconds=seconds, number=number):
                    due = (self.now_s + seconds, next(self._numbers), name, Elapsed(number=number))
                    heapq.heappush(self._waits, due)
                case Tell(module=other, message=message):
                    self._take(other, Heard(message=message))
        phase = self.stager.phase if name == MODEL_STAGER else self.inspection.phase
        if self.seen[name][-1:] != [phase]:
            self.seen[name].append(phase)
