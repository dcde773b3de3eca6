"""Signs of life: does the PLC's program run, does the judge, and is the line ready?"""

from enum import StrEnum
from typing import Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.line import Beat
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.tags import StatusError
from taktgate.plc.handshake.admission import Cause, Place

BEAT_LIMIT_NS: Final = 300 * MILLISECOND
PLC_LIMIT_NS: Final = 500 * MILLISECOND
PLC_BEAT_NS: Final = 100 * MILLISECOND
_SPARE_BEATS: Final = 2
"""One for the part of a beat at either end of a time, one for a scan that was held up."""


class PlcLife(StrEnum):
    """What `PlcHeartbeat` says about the ladder."""

    UNPROVEN = "unproven"
    """Not seen moving since the session was opened."""
    RUNNING = "running"
    STALLED = "stalled"


class PlcWatch:
    """Follows `PlcHeartbeat` through the reads of a session, and on where the next continues it."""

    def __init__(self) -> None:
        self.life = PlcLife.UNPROVEN
        self._value: int | None = None
        self._moved_ns = 0

    def observe(self, value: int, now_ns: int) -> bool:
        """Take note of one read; return True when the ladder was interrupted before it.

        Interrupted: the counter went backwards (restart, download), or moves again after a stall.
        """
        known, was = self._value, self.life
        if value == known:
            if now_ns - self._moved_ns > PLC_LIMIT_NS:
                self.life = PlcLife.STALLED
            return False
        self._value, self._moved_ns = value, now_ns
        if known is None:
            return False
        self.life = PlcLife.RUNNING
        return was is PlcLife.STALLED or value < known

    def goes_on(self, value: int, now_ns: int) -> bool:
        """Tell whether the program that was RUNNING before a gap is proven to be running still.

        Its counter has gone on, by no more than the time allows, and stood still for no longer
        than is no stall: a controller that was off, stopped or loaded anew lacks that time.
        """
        known = self._value
        if known is None or self.life is not PlcLife.RUNNING or value < known:
            return False
        elapsed_ns, counted_ns = now_ns - self._moved_ns, (value - known) * PLC_BEAT_NS
        is_plausible = counted_ns <= elapsed_ns + _SPARE_BEATS * PLC_BEAT_NS
        return is_plausible and elapsed_ns - counted_ns <= PLC_LIMIT_NS


class BeatWatch:
    """Follows the judge's beats, from whichever lane they come first."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._newest: Beat | None = None
        self._otherwise = StatusError.NO_BEAT
        """What is said while no beat of ours is fresh."""
        self.judge_restarts = 0

    def accept(self, beat: Beat, now_ns: int) -> Cause | None:
        """Take note of *beat*; return why it was not used, or None.

        Its age counts from when it was sent: a beat that a queue held back proves nothing.
        """
        fault = self._foreign(beat)
        if fault is not None:
            return fault
        if beat.sent_ns > now_ns:
            return Cause.FUTURE
        newest = self._newest
        if newest is not None and beat.sent_ns <= newest.sent_ns:
            return Cause.OLD_BEAT
        if newest is not None and beat.judge_start_id != newest.judge_start_id:
            self.judge_restarts += 1
        self._newest, self._otherwise = beat, StatusError.NO_BEAT
        return None

    def note_foreign_contract(self) -> None:
        """Take note that the judge beats in another contract version."""
        self._otherwise = StatusError.CONTRACT

    def error(self, now_ns: int) -> StatusError:
        """Return why no verdict can be expected from the judge, NONE if one can."""
        if self._newest is None or now_ns - self._newest.sent_ns > BEAT_LIMIT_NS:
            return self._otherwise
        return StatusError.NONE if self._newest.ready else StatusError.JUDGE_NOT_READY

    def reason(self) -> str:
        """Return what the judge said last about why it is not ready."""
        return "" if self._newest is None or self._newest.ready else self._newest.reason

    def _foreign(self, beat: Beat) -> Cause | None:
        if beat.station != self._place.station:
            return Cause.STATION
        if beat.contract != CONTRACT_VERSION:
            self._otherwise = StatusError.CONTRACT
            return Cause.CONTRACT
        if beat.kernel_boot_id != self._place.kernel_boot_id:
            self._otherwise = StatusError.KERNEL_BOOT
            return Cause.KERNEL_BOOT
        return None


def assess(*, judge: StatusError, plc: PlcLife, deadline_is_valid: bool) -> StatusError:
    """Return the first thing that keeps the station from being ready; NONE when it is."""
    if plc is PlcLife.STALLED:
        return StatusError.PLC_STALLED
    if plc is PlcLife.UNPROVEN:
        return StatusError.PLC_UNPROVEN
    if not deadline_is_valid:
        return StatusError.DEADLINE
    return judge
