"""The writer's inbox: datagrams to verdicts and beats. Bad ones are counted, never fatal."""

import logging
from collections import Counter
from collections.abc import Collection
from typing import Protocol

from taktgate.contracts.codec import ContractError, decode
from taktgate.contracts.line import Beat
from taktgate.contracts.outcome import Lane
from taktgate.contracts.routes import KIND_BEAT, KIND_VERDICT
from taktgate.contracts.verdict import open_envelope
from taktgate.edge.lane import Datagram
from taktgate.plc.admission import MAX_MESSAGE_BYTES, Cause, read_stranger
from taktgate.plc.handshake import Handshake
from taktgate.plc.watch import BeatWatch

log = logging.getLogger(__name__)


class Inbox(Protocol):
    """Where datagrams come from."""

    refused: int
    """Datagrams dropped because of their sender or their form."""

    def receive(self) -> Datagram | None:
        """Return the next datagram, or None when none is waiting."""


class Intake:
    """Feeds the handshake and the beat watch from datagrams."""

    def __init__(self, *, rules: Handshake, beats: BeatWatch, lanes: Collection[Lane]) -> None:
        self._rules = rules
        self._beats = beats
        self._lanes = lanes
        self.refused: Counter[tuple[Cause, Lane]] = Counter()
        self.used: Counter[Lane] = Counter()
        """Verdicts that decided a part, by lane."""

    def accept(self, datagram: Datagram, now_ns: int) -> None:
        """Take in one datagram; what cannot be used is counted, and logged once per cause."""
        try:
            cause = self._dispatch(datagram, now_ns)
            detail = f"{len(datagram.payload)} bytes"
        except ContractError as error:
            cause = self._stranger(datagram, now_ns)
            detail = str(error)
        if cause is None:
            return
        is_first = all(known is not cause for known, _ in self.refused)
        self.refused[cause, datagram.lane] += 1
        if is_first and cause not in (Cause.DUPLICATE, Cause.OLD_BEAT):
            log.warning(
                "a message was not used; further ones of this cause are only counted",
                extra={"cause": cause, "lane": datagram.lane, "detail": detail},
            )

    def count(self, cause: Cause) -> int:
        """Return how many datagrams were refused for *cause*, on all lanes."""
        return sum(number for (known, _), number in self.refused.items() if known is cause)

    def _dispatch(self, datagram: Datagram, now_ns: int) -> Cause | None:
        if datagram.lane not in self._lanes:
            return Cause.LANE_OFF
        if len(datagram.payload) > MAX_MESSAGE_BYTES:
            return Cause.MALFORMED
        if datagram.kind == KIND_BEAT:
            return self._beats.accept(decode(Beat, datagram.payload), now_ns)
        if datagram.kind != KIND_VERDICT:
            return Cause.UNKNOWN_KIND
        cause = self._rules.verdict(open_envelope(datagram.payload), datagram.lane, now_ns)
        self.used[datagram.lane] += cause is None
        return cause

    def _stranger(self, datagram: Datagram, now_ns: int) -> Cause:
        """Return why the payload could not be read: another contract version, or broken."""
        stranger = read_stranger(datagram.payload)
        if stranger is None:
            return Cause.MALFORMED
        if datagram.kind == KIND_BEAT:
            self._beats.note_foreign_contract()
        else:
            self._rules.stranger(stranger, datagram.lane, now_ns)
        return Cause.CONTRACT
