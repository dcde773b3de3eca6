"""A rollout, step by step until it ends: look, decide, save, act."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from taktgate.contracts.codec import ContractError, decode, encode
from taktgate.contracts.twins import ModelOrder
from taktgate.edge.files import publish
from taktgate.rollout.analysis import Station
from taktgate.rollout.controller import Action, Observed, Saved, Stage, Step, advance
from taktgate.rollout.errors import CloudChangedError, CloudUnreachableError, PlanError
from taktgate.rollout.layers import Layer, LayerState, layer_of
from taktgate.rollout.plan import Ring, RolloutPlan


class Cloud(Protocol):
    """What a rollout needs of IoT Hub. Each method raises CloudError."""

    def layer(self, layer_id: str) -> LayerState | None:
        """Return the layer with *layer_id*, or None."""

    def create(self, layer: Layer) -> None:
        """Create *layer*."""

    def retarget(self, layer: LayerState, target: str) -> None:
        """Give *layer* another target condition, if it is still what it was."""

    def delete(self, layer: LayerState) -> None:
        """Delete *layer*, if it is still what it was."""

    def stations(self, rings: tuple[Ring, ...], model: ModelOrder) -> tuple[Station, ...]:
        """Return what the stations of *rings* report about *model*."""


class StateFile:
    """The saved state of one rollout."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, layer_id: str) -> Saved | None:
        """Return the saved state, or None when there is none yet.

        Raises:
            PlanError: the file is unreadable or belongs to another rollout.
        """
        try:
            saved = decode(Saved, self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ContractError) as error:
            raise PlanError(f"{self.path}: {error}") from error
        if saved.layer_id != layer_id:
            raise PlanError(f"{self.path}: is of another rollout, {saved.layer_id}")
        return saved

    def write(self, saved: Saved) -> None:
        """Save *saved* durably.

        Raises:
            PlanError: the file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            publish(self.path, encode(saved))
        except OSError as error:
            raise PlanError(f"{self.path}: {error.strerror}") from error


class Driver:
    """Carries a plan out. *now* is wall time, *sleep* waits."""

    def __init__(
        self,
        *,
        plan: RolloutPlan,
        cloud: Cloud,
        state: StateFile,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._plan = plan
        self._cloud = cloud
        self._state = state
        self._now = now
        self._sleep = sleep
        self.trouble: str | None = None
        """Why the last look or action failed; None when it did not."""
        self.observed = Observed(now_s=now())

    def look(self, saved: Saved) -> Observed:
        """Return what the hub shows now; an unreachable hub is a failed measurement.

        Raises:
            CloudError: the hub refuses us; asking again would not help.
        """
        trouble, self.trouble = self.trouble, None
        try:
            layer = self._cloud.layer(self._plan.layer_id)
            stations = self._stations(saved)
        except CloudUnreachableError as error:
            self.trouble = str(error)
            self.observed = Observed(now_s=self._now(), error=self.trouble)
        else:
            self.observed = Observed(
                now_s=self._now(), layer=layer, stations=stations, error=trouble
            )
        return self.observed

    def step(self, saved: Saved) -> Step:
        """Take one step from *saved*, save what follows, and act on it.

        Raises:
            CloudError: the hub refuses us; asking again would not help.
            PlanError: the state cannot be saved.
        """
        observed = self.look(saved)
        step = advance(self._plan, saved, observed)
        if step.saved != saved:
            self._state.write(step.saved)
        try:
            self._act(step, observed.layer)
        except (CloudUnreachableError, CloudChangedError) as error:
            self.trouble = str(error)
        return step

    def run(
        self, saved: Saved, *, until_s: float | None, on_step: Callable[[Step, Observed], None]
    ) -> Saved:
        """Take steps until the rollout ends, or until the time *until_s* is over.

        Raises:
            CloudError: the hub refuses us; asking again would not help.
            PlanError: the state cannot be saved.
        """
        while True:
            step = self.step(saved)
            saved = step.saved
            on_step(step, self.observed)
            if step.action is Action.STOP or (until_s is not None and self._now() >= until_s):
                return saved
            if step.action is Action.WAIT or self.trouble is not None:
                self._sleep(self._plan.rings.poll_s)

    def _stations(self, saved: Saved) -> tuple[Station, ...]:
        if saved.stage is Stage.WITHDRAWING:
            return ()
        rings = self._plan.rings.rings[: saved.ring + 1]
        return self._cloud.stations(rings, self._plan.model)

    def _act(self, step: Step, layer: LayerState | None) -> None:
        if step.action is Action.CREATE:
            self._cloud.create(layer_of(self._plan, step.saved.ring))
        elif step.action is Action.RETARGET and layer is not None:
            self._cloud.retarget(layer, self._plan.target(step.saved.ring))
        elif step.action is Action.DELETE and layer is not None:
            self._cloud.delete(layer)
