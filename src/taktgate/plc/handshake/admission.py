"""Which verdicts the writer believes: every refusal has a name, and is counted under it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pydantic import ConfigDict

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import ContractError, decode
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.handshake.parts import Part

LONGEST_DEADLINE_NS: Final = 10_000 * MILLISECOND
"""The longest that the contract of `line` allows: an older decision belongs to no open part."""
MAX_MESSAGE_BYTES: Final = 8192
"""A verdict with 64 classes has 2.9 KB. Reading 60 KB of nonsense holds the loop for 100 ms."""
JUDGES_REASONS: Final = frozenset(
    {
        Reason.NONE,
        Reason.TIMEOUT,
        Reason.NO_FRAME,
        Reason.FRAME_MISMATCH,
        Reason.UNCERTAIN,
        Reason.NON_FINITE,
        Reason.MODEL_ERROR,
        Reason.NOT_READY,
        Reason.SKIPPED,
    }
)
"""What a judge can know. The others are the writer's own words, or the PLC's."""


class Cause(StrEnum):
    """Why a datagram was not used."""

    MALFORMED = "malformed"
    """Too long, broken JSON, a broken field, or a digest that is not that of the content."""
    UNKNOWN_KIND = "unknown_kind"
    LANE_OFF = "lane_off"
    """It came by a lane that this station has switched off."""
    CONTRACT = "contract"
    """The sender speaks another version of the contract."""
    STATION = "station"
    KERNEL_BOOT = "kernel_boot"
    """Decided on another host, or before this boot: its times mean nothing here."""
    EPOCH = "epoch"
    """Bound to a numbering of parts that has ended."""
    FUTURE = "future"
    STALE = "stale"
    UNKNOWN_PART = "unknown_part"
    """The writer has not read this TriggerId in this epoch, or has forgotten it."""
    BEFORE_TRIGGER = "before_trigger"
    """Decided before the part was there: it belongs to another one of the same number."""
    NOT_THE_JUDGES = "not_the_judges"
    """LATE, or a reason that only the writer or the PLC can give."""
    UNPROVEN = "unproven"
    """A PASS whose own times do not show that it is about this part."""
    DUPLICATE = "duplicate"
    """An identical copy of a verdict that was used."""
    CONFLICT = "conflict"
    """Differs from the verdict that was used for the part."""
    CLOSED = "closed"
    """The writer had answered for the part itself."""
    OLD_BEAT = "old_beat"
    """A beat that is not newer than the newest: the copy from the other lane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What an envelope must be bound to in order to mean anything here."""

    station: str
    kernel_boot_id: str


def foreign(place: Place, epoch: int, envelope: VerdictEnvelope, now_ns: int) -> Cause | None:
    """Return why *envelope* means nothing here and now, whatever its part; None if it does."""
    checks = (
        (envelope.contract != CONTRACT_VERSION, Cause.CONTRACT),
        (envelope.station != place.station, Cause.STATION),
        (envelope.kernel_boot_id != place.kernel_boot_id, Cause.KERNEL_BOOT),
        (envelope.plc_epoch != epoch, Cause.EPOCH),
        (envelope.decided_ns > now_ns, Cause.FUTURE),
        (now_ns - envelope.decided_ns > LONGEST_DEADLINE_NS, Cause.STALE),
    )
    return next((cause for broken, cause in checks if broken), None)


def mismatch(envelope: VerdictEnvelope, part: Part | None) -> Cause | None:
    """Return why *envelope* cannot be about *part*; None if it can."""
    if part is None:
        return Cause.UNKNOWN_PART
    if (part.epoch, part.trigger_id) != (envelope.plc_epoch, envelope.trigger_id):
        return Cause.UNKNOWN_PART
    if envelope.decided_ns < part.trigger_ns:
        return Cause.BEFORE_TRIGGER
    return None


def objection(envelope: VerdictEnvelope, part: Part) -> tuple[Cause, Reason] | None:
    """Return why the open *part* gets no decision from *envelope*, and its reason; else None."""
    if envelope.verdict is Verdict.LATE or envelope.reason not in JUDGES_REASONS:
        return Cause.NOT_THE_JUDGES, Reason.CONTRACT
    if envelope.verdict is Verdict.PASS and not _is_proven(envelope, part):
        return Cause.UNPROVEN, Reason.FRAME_MISMATCH
    return None


def _is_proven(envelope: VerdictEnvelope, part: Part) -> bool:
    """Tell whether the times of a PASS are whole, in order, and those of *part*."""
    exposure, received = envelope.exposure_ns, envelope.received_ns
    start, end = envelope.inference_start_ns, envelope.inference_end_ns
    if exposure is None or received is None or start is None or end is None:
        return False
    is_of_part = part.trigger_ns <= envelope.trigger_ns <= part.observed_ns
    return is_of_part and (
        part.trigger_ns <= exposure <= received <= start <= end <= envelope.decided_ns
    )


def is_copy(envelope: VerdictEnvelope, used: VerdictEnvelope) -> bool:
    """Tell whether *envelope* is the one that was *used*, come again on the other lane."""
    return (envelope.judge_start_id, envelope.sequence, envelope.digest) == (
        used.judge_start_id,
        used.sequence,
        used.digest,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """The little that is looked at in a message whose contract is not ours, of whatever type."""

    __pydantic_config__ = ConfigDict(extra="ignore")

    contract: str
    station: Any = None
    kernel_boot_id: Any = None
    plc_epoch: Any = None
    trigger_id: Any = None


def stranger_of(envelope: VerdictEnvelope) -> Stranger:
    """Return what a readable *envelope* of another contract version says of itself."""
    return Stranger(
        contract=envelope.contract,
        station=envelope.station,
        kernel_boot_id=envelope.kernel_boot_id,
        plc_epoch=envelope.plc_epoch,
        trigger_id=envelope.trigger_id,
    )


def read_stranger(payload: bytes) -> Stranger | None:
    """Return what *payload* says of itself if it speaks another contract version, else None."""
    try:
        stranger = decode(Stranger, payload)
    except ContractError:
        return None
    return None if stranger.contract == CONTRACT_VERSION else stranger
