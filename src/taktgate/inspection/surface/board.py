"""What the surface knows of the station: written by the agent's thread, read by any other.

A reader takes the newest `Facts`, which nobody changes any more, so neither side waits for the
other.
"""

import threading
from dataclasses import dataclass

from taktgate.contracts.model import ModelRef
from taktgate.edge.clock import monotonic_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveModel:
    """The model that judges, and on what it runs."""

    model: ModelRef
    slot: str
    fingerprint: str
    provider: str
    is_fallback: bool

    @property
    def label(self) -> str:
        """Return name and version as one word, as the article's `active_model`."""
        return label_of(self.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The station at one turn of the agent's loop. Times are CLOCK_MONOTONIC in nanoseconds."""

    turned_ns: int
    """When the agent's loop turned."""
    phase: str = "starting"
    live: LiveModel | None = None
    is_judge_silent: bool = True
    is_ready: bool = False
    reason: str = "the judge has not spoken yet"
    """Why the judge is not ready; empty when it is."""
    is_enabled: bool | None = None
    """The line's Enable; None while no fresh line state says it: no PLC, or no writer."""
    last_good_ns: int | None = None
    """When the last part was decided by scores."""
    parts: int = 0
    """This and the next two: since the agent's start."""
    deadline_misses: int = 0
    undecided: int = 0
    error: str = ""
    """The gravest fault, as `REASON: message`."""
    write_fault: str = ""
    missing_rights: tuple[str, ...] = ()
    """What judge and live runner ask for and were not granted; they run on without it."""
    counters: tuple[tuple[str, int], ...] = ()


class StatusBoard:
    """One writer, the agent's thread; any number of readers."""

    def __init__(self) -> None:
        self.facts = Facts(turned_ns=monotonic_ns())
        """The newest facts."""
        self.has_judged = threading.Event()
        """Set once the station could judge a part."""

    def publish(self, facts: Facts) -> None:
        """Show *facts* from now on."""
        self.facts = facts
        if facts.is_ready:
            self.has_judged.set()


def label_of(model: ModelRef) -> str:
    """Return name and version as one word: what `/reload-model` takes as `model_name`."""
    return f"{model.name}-{model.version}"
