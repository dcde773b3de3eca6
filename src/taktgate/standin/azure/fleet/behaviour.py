"""What a light module is: events in, effects out, and a report that follows from its state."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from taktgate.contracts.activation import Activation
from taktgate.contracts.staged import StagedModel
from taktgate.standin.azure.json_types import JsonObject

Message: TypeAlias = StagedModel | Activation
"""What modules of one device tell each other: by edgeHub, or by a file on a shared volume."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The whole desired properties, read or changed."""

    document: JsonObject
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Another module of the device tells something."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Elapsed:
    """The time of a `Wait` is over."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Come back with `Elapsed` after *seconds* of the world."""

    seconds: float
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Tell another module of the device."""

    module: str
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Let exactly these modules run."""

    modules: frozenset[str]


Event: TypeAlias = Desired | Heard | Elapsed
Effect: TypeAlias = Wait | Tell | Run
Effects: TypeAlias = tuple[Effect, ...]


class LightModule(Protocol):
    """One module's behaviour. Each call returns what is to be done; the report may have changed."""

    def resume(self, reported: JsonObject) -> Effects:
        """Start, going on from what was reported before the last end."""

    def on(self, event: Event) -> Effects:
        """Take an event."""

    def reported(self) -> JsonObject:
        """Return all that the module reports now."""


class Waits:
    """Numbers a module's waits: only the newest one counts."""

    def __init__(self) -> None:
        self._number = 0

    def begin(self, seconds: float) -> Effects:
        """Return the wait that replaces the one before it."""
        self._number += 1
        return (Wait(seconds=seconds, number=self._number),)

    def forget(self) -> None:
        """Let no wait count any more."""
        self._number += 1

    def is_over(self, elapsed: Elapsed) -> bool:
        """Tell whether *elapsed* ends the newest wait."""
        return elapsed.number == self._number
