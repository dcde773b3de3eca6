"""Makes a rollback durable and tells of it, now or when the disk allows."""

import logging
from collections.abc import Callable

from taktgate.contracts.activation import Rollback
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.ledger import Ledger

log = logging.getLogger(__name__)


class RollbackDesk:
    """Holds the rollback that the disk has refused so far."""

    def __init__(self, ledger: Ledger, audit: Callable[[Rollback], None]) -> None:
        self._ledger = ledger
        self._audit = audit
        self._unsaved: Rollback | None = None

    @property
    def is_settled(self) -> bool:
        """Return True when every rollback is on the disk."""
        return self._unsaved is None

    def take(self, rollback: Rollback) -> None:
        """Block what *rollback* names."""
        log.error("rolling back", extra={"digest": rollback.digest, "reason": rollback.reason})
        self._unsaved = rollback
        self.save()

    def save(self) -> None:
        """Try again; until it is durable a power cut boots last-known-good all the same."""
        rollback = self._unsaved
        if rollback is None:
            return
        if self._ledger.save(table.roll_back(self._ledger.activation, rollback)):
            self._unsaved = None
            self._audit(rollback)
