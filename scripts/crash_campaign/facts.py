"""What a station holds to be done, and which rows of the state tables it went through."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from taktgate.contracts.activation import Activation
from taktgate.contracts.staged import StagedModel
from taktgate.staging.journal import Journal
from taktgate.staging.slots.disk import Disk
from taktgate.staging.states import Event, Record, Request, next_phase

Desired = Mapping[str, Any]
"""The twin document that the stager is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the station holds to be done at one moment.

    Attributes:
        desired: The twin document that it was given last.
        record: The stager's.
        announced: The stager's.
        activation: The agent's.
        trust: Versions of the registry's metadata that were accepted.
        live: The digest that judges.
        proven: Digests that have earned the station's trust on the line.
        staging_row: The row of the stager's transitions that is being entered, or was last.
        activation_row: The same of the agent's.
    """

    desired: Desired
    record: Record
    announced: StagedModel | None
    activation: Activation
    trust: Mapping[str, int]
    live: str | None
    proven: frozenset[str]
    staging_row: str
    activation_row: str


class Rows(logging.Handler):
    """Reads from the agent's log which transition of an activation it made last.

    `entered` is called at each.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.last = "start"
        self.seen: set[str] = set()
        self.entered: Callable[[], None] = lambda: None

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a transition."""
        if record.msg == "activation":
            self.last = f"{getattr(record, 'from')} - {record.__dict__['event']}"
            self.seen.add(self.last)
            self.entered()


class RowJournal(Journal):
    """The journal, which also says which row of the table it enters."""

    last = "start"

    def __init__(self, root: Path, *, disk: Disk, wall: Callable[[], datetime]) -> None:
        super().__init__(root, disk=disk, wall=wall)
        self.seen: set[str] = set()

    def resume(self, *, fetched_chunks: int = 0) -> None:
        """Go on after a restart."""
        self._enter(f"resume {self.record.phase}")
        super().resume(fetched_chunks=fetched_chunks)

    def order(self, request: Request | None) -> None:
        """Take *request* as the order."""
        event = Event.WITHDRAWN if request is None else Event.ORDERED
        self._enter(f"{self.record.phase} - {event}")
        super().order(request)

    def advance(self, event: Event, **facts: Any) -> None:
        """Go where *event* leads."""
        next_phase(self.record.phase, event)
        self._enter(f"{self.record.phase} - {event}")
        super().advance(event, **facts)

    def _enter(self, row: str) -> None:
        self.last = row
        self.seen.add(row)


def trusted_versions(folder: Path) -> dict[str, int]:
    """Return the version of each metadata file kept in *folder*; 0 of one that is no metadata."""
    versions = {}
    for path in sorted(folder.rglob("*.json")):
        try:
            versions[path.relative_to(folder).as_posix()] = int(
                json.loads(path.read_bytes())["signed"]["version"]
            )
        except (ValueError, KeyError, TypeError):
            versions[path.relative_to(folder).as_posix()] = 0
    return versions
