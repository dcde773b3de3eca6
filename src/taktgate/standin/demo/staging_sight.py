"""Where a station stands with an order, read from its disks: what a power cut finds there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from taktgate.contracts.activation import Activation
from taktgate.contracts.codec import ContractError, decode
from taktgate.contracts.twins import StagingPhase
from taktgate.inspection.activation_file import ACTIVATION
from taktgate.staging.journal import RECORD_FILE
from taktgate.staging.slots.slots import SPOOL_SUFFIX
from taktgate.staging.states import Record

P = StagingPhase
D = TypeVar("D", Record, Activation)
COURSE: Final = (P.FETCHING, P.VERIFYING, P.TESTING, P.STAGED, P.TRIAL, P.CONFIRMED)
"""The phases of an order that goes well, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the disks say of one order."""

    phase: StagingPhase
    fetched_bytes: int
    good: str | None
    """Digest of the last-known-good model."""

    def has_reached(self, phase: StagingPhase) -> bool:
        """Tell whether *phase* of COURSE has begun, or is over."""
        return self.phase in COURSE and COURSE.index(self.phase) >= COURSE.index(phase)


def look(slots: Path, state: Path, order: str) -> Sight:
    """Return where *order* stands by the volumes *slots* and *state*.

    Inference's record has the last word: the stager follows it.
    """
    activation = _read(state / ACTIVATION, Activation)
    good = activation.last_known_good if activation else None
    return Sight(
        phase=phase_of(_read(slots / RECORD_FILE, Record), activation, order),
        fetched_bytes=sum(_size(file) for file in slots.glob(f".*{SPOOL_SUFFIX}")),
        good=good.model.digest if good else None,
    )


def phase_of(record: Record | None, activation: Activation | None, order: str) -> StagingPhase:
    """Return the phase of *order*; IDLE while the stager works on another one. Pure."""
    if record is None or record.request is None or record.request.model.order != order:
        return P.IDLE
    if activation is None or record.phase not in (P.STAGED, P.TRIAL, P.CONFIRMED):
        return record.phase
    if activation.trial is not None and activation.trial.candidate.order == order:
        return P.TRIAL
    if any(rollback.order == order for rollback in activation.blocked):
        return P.BLOCKED
    good = activation.last_known_good
    if good is not None and good.order == order:
        return P.CONFIRMED
    return record.phase


def _read(path: Path, document: type[D]) -> D | None:
    try:
        return decode(document, path.read_bytes())
    except (OSError, ContractError):
        return None


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0  # it was complete just now
