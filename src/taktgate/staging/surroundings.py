"""What is reported beside the order: inference's record, the registry's trust, the disk."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from taktgate.contracts.activation import Activation, SlotRef
from taktgate.contracts.model import ModelRef
from taktgate.contracts.twins import RegistryTrust, SlotsDisk
from taktgate.staging.activation import ActivationFile
from taktgate.staging.errors import ActivationUnknownError
from taktgate.staging.slots.quota import Quota, Usage

LOOK_S: Final = 0.5
"""While a download runs, it is not looked more often."""


class Trusting(Protocol):
    """The part of `registry.offers.Registry` that is needed here."""

    def trust(self) -> RegistryTrust | None:
        """Return what metadata is trusted now, None before the first contact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look. What could not be seen is None."""

    live: ModelRef | None = None
    candidate: ModelRef | None = None
    last_known_good: ModelRef | None = None
    previous: ModelRef | None = None
    registry: RegistryTrust | None = None
    disk: SlotsDisk | None = None


class Surroundings:
    """Looks around, and keeps what it saw for a moment."""

    def __init__(
        self,
        *,
        activation: ActivationFile,
        registry: Trusting,
        quota: Quota,
        usage: Callable[[], Usage],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._activation = activation
        self._registry = registry
        self._quota = quota
        self._usage = usage
        self._clock = clock
        self._view = View()
        self._stale_at_s = float("-inf")

    def forget(self) -> None:
        """Look again next time: something has happened."""
        self._stale_at_s = float("-inf")

    def view(self) -> View:
        """Return what is the case, or was half a second ago."""
        now_s = self._clock()
        if now_s >= self._stale_at_s:
            self._view, self._stale_at_s = self._look(), now_s + LOOK_S
        return self._view

    def _look(self) -> View:
        activation, disk = None, None
        with suppress(ActivationUnknownError):
            activation = self._activation.read() or Activation(contract="", generation=0)
        with suppress(OSError):
            disk = self._quota.told(self._usage())
        registry = self._registry.trust()
        if activation is None:
            return View(registry=registry, disk=disk)
        good, trial = activation.last_known_good, activation.trial
        candidate = trial.candidate if trial is not None else None
        judging = candidate or (good if activation.halt is None else None)
        return View(
            live=_model(judging),
            candidate=_model(candidate),
            last_known_good=_model(good),
            previous=_model(activation.previous_good),
            registry=registry,
            disk=disk,
        )


def _model(ref: SlotRef | None) -> ModelRef | None:
    return None if ref is None else ref.model
