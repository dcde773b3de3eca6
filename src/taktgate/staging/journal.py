"""The stager's two documents on the slots volume: where an order stands, and what is announced."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from taktgate.contracts.codec import ContractError, decode, encode, is_compatible
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import TypedError
from taktgate.staging.course import extended
from taktgate.staging.hold_point import utc_now
from taktgate.staging.slots.disk import Disk
from taktgate.staging.states import Event, Record, Request, after, ordered, resumed

log = logging.getLogger(__name__)

RECORD_FILE: Final = "staging.json"
ANNOUNCED_FILE: Final = "announced.json"

D = TypeVar("D", Record, StagedModel)


class Journal:
    """Keeps both documents: saved durably first, then true in memory."""

    def __init__(self, root: Path, *, disk: Disk, wall: Callable[[], datetime] = utc_now) -> None:
        """Read both from the folder *root*; *wall*, in UTC, labels when a phase began."""
        self._root = root
        self._wall = wall
        self._disk = disk
        self.record = _read(root / RECORD_FILE, Record) or Record()
        self.announced = _read(root / ANNOUNCED_FILE, StagedModel)

    def resume(self, *, fetched_chunks: int = 0) -> None:
        """Go on after a restart, which finds *fetched_chunks* of a download.

        Raises:
            OSError: the disk refused; nothing changed.
        """
        self._save(resumed(self.record, fetched_chunks=fetched_chunks))

    def order(self, request: Request | None) -> None:
        """Take *request* as the order from now on.

        Raises:
            OSError: the disk refused; nothing changed.
        """
        self._save(ordered(self.record, request))

    def advance(
        self, event: Event, *, error: TypedError | None = None, barred: str | None = None
    ) -> None:
        """Go where *event* leads; *barred* is the digest that a BARRED is about.

        Raises:
            IllegalTransitionError: the phase does not know *event*: a bug in the caller.
            OSError: the disk refused; nothing changed.
        """
        self._save(after(self.record, event, error=error, barred=barred))

    def announce(self, staged: StagedModel) -> None:
        """Name *staged* to everybody who reads `announced.json`; the same one again is renewed.

        Raises:
            OSError: the disk refused; the former announcement stands.
        """
        before = self.announced
        if before is not None and (before.model, before.order) == (staged.model, staged.order):
            staged = replace(staged, renewed=before.renewed + 1)
        self._disk.publish(self._root / ANNOUNCED_FILE, encode(staged))
        self.announced = staged

    def _save(self, record: Record) -> None:
        if record == self.record:
            return
        course = extended(record.course, record.phase, self._wall())
        record = replace(record, course=course)
        self._disk.publish(self._root / RECORD_FILE, encode(record))
        self.record = record


def _read(path: Path, document: type[D]) -> D | None:
    """Return the *document* in *path*; a broken one is as good as none: the twin comes again.

    Raises:
        OSError: the file is there, and the disk does not hand it over.
    """
    try:
        found = decode(document, path.read_bytes())
    except FileNotFoundError:
        return None
    except ContractError as error:
        log.warning("a document of ours is unreadable", extra={"error": str(error)})
        return None
    return found if is_compatible(found.contract) else None
