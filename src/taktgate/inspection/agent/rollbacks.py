"""Makes a rollback durable and tells of it, now or when the disk allows."""

import logging
from collections.abc import Callable
from functools import reduce

from taktgate.contracts.activation import Activation, Rollback
from taktgate.inspection.agent.ledger import Ledger

log = logging.getLogger(__name__)

Change = Callable[[Activation, Rollback], Activation]
"""`roll_back`, `fall_back` or `halt`: what the rollback means for the activation."""


class RollbackDesk:
    """Holds the rollbacks that the disk has refused so far: at most one for each trusted model."""

    def __init__(self, ledger: Ledger, audit: Callable[[Rollback], None]) -> None:
        self._ledger = ledger
        self._audit = audit
        self._unsaved: list[tuple[Rollback, Change]] = []

    @property
    def is_settled(self) -> bool:
        """Return True when every rollback is on the disk."""
        return not self._unsaved

    @property
    def outlook(self) -> Activation:
        """Return the activation as it will be once the disk takes it: the line goes by this."""
        return reduce(
            lambda before, each: each[1](before, each[0]), self._unsaved, self._ledger.activation
        )

    def take(self, rollback: Rollback, change: Change) -> None:
        """Block what *rollback* names."""
        log.error("rolling back", extra={"digest": rollback.digest, "reason": rollback.reason})
        self._unsaved.append((rollback, change))
        self.save()

    def save(self) -> None:
        """Try again; until it is durable a power cut boots what the disk still says is good."""
        while self._unsaved:
            rollback, change = self._unsaved[0]
            if not self._ledger.save(change(self._ledger.activation, rollback)):
                return
            del self._unsaved[0]
            self._audit(rollback)
