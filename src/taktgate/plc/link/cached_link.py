"""The controller through packets that are built once and patched: the backend with less jitter.

Each shape of a request (which slots are written with the status, what is read) is one frame that is
kept; an exchange sets its sequence count and its values, sends it, and compares the reply. A
confirmation of writes has no free byte at all, so it is compared whole.
"""

import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from taktgate.plc.contract.packet_size import packets_of, verdicts_per_packet
from taktgate.plc.contract.records import Reading, ResultRecord, SlotEcho, StatusRecord
from taktgate.plc.contract.tags import Udt, slot_of
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.contract.verified import VerifiedContract
from taktgate.plc.contract.wire import Profile, ReadValue, TagRead, TagWrite
from taktgate.plc.errors import ContractChangedError, LinkDeadError, LinkError
from taktgate.plc.link.cached_frames import WriteFrame, read_message, write_frame
from taktgate.plc.link.cip import values_in
from taktgate.plc.link.cip_session import CipSession
from taktgate.plc.link.marks import expect_unchanged, marks_in, marks_message
from taktgate.plc.link.packets import route_of
from taktgate.plc.link.port import Mode
from taktgate.plc.link.safe_socket import SafeSocket

log = logging.getLogger(__name__)
T = TypeVar("T")

_MOST_SHAPES: Final = 64
"""Slots times a few: more would mean that requests do not repeat."""


class CachedLink:
    """A `TagLink` to a Logix controller, in this process and this thread."""

    def __init__(
        self, address: str, *, reply_timeout_s: float, profile: Profile | None = None
    ) -> None:
        self._address = address
        self._reply_timeout_s = reply_timeout_s
        self._profile = profile or UdtProfile()
        self._channel: SafeSocket | None = None
        self._session: CipSession | None = None
        self._tags: _Tags | None = None

    def open(self, connection: socket.socket, contract: VerifiedContract) -> None:
        """Register, open a class 3 connection, compare the marks (see `TagLink.open`).

        Raises:
            LinkRefusedError: the controller refused the session or the connection.
            LinkDeadError: no answer that can be trusted came in time.
            ContractChangedError: it is not as it was when *contract* was verified.
            ConnectionTooSmallError: the connection that it grants holds no whole verdict.
        """
        self.close(abort=True)
        self._channel = SafeSocket(
            connect_timeout_s=self._reply_timeout_s,
            exchange_timeout_s=self._reply_timeout_s,
            connection=connection,
        )
        try:
            self._session = session = CipSession(self._channel, route_of(self._address))
            session.open()
            self._tags = _Tags(session, contract, self._profile)
            self._tags.recheck()
        except LinkError as error:
            # Who answered gets session and connection back.
            self.close(abort=isinstance(error, LinkDeadError))
            raise

    def recheck(self) -> Mode:
        """Compare the controller's marks with the contract's (see `TagLink.recheck`).

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
            ContractChangedError: the controller has changed.
        """
        return self._use(lambda tags: tags.recheck())

    def read(self, *, echo: bool) -> Reading:
        """Read the command and, with *echo*, the status (see `TagLink.read`).

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
        """
        return self._use(lambda tags: tags.read(echo=echo))

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        """Write *results* and *status* (see `TagLink.write`); no verdict is split over two packets.

        Raises:
            LinkDeadError: the outcome is unknown, or a tag was refused.
        """
        self._use(lambda tags: tags.write(results, status))

    def read_back(self, slots: Sequence[int]) -> tuple[SlotEcho, ...]:
        """Read what the result slots hold (see `TagLink.read_back`).

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
        """
        return self._use(lambda tags: tags.read_back(slots))

    def close(self, *, abort: bool) -> None:
        """End the session, politely unless *abort*; one that is dead already is only dropped."""
        channel, session = self._channel, self._session
        self._channel = self._session = self._tags = None
        if channel is None:
            return
        if session is not None and not abort:
            try:
                session.close()
                channel.close()
            except LinkError as error:
                log.info("the controller did not confirm the close", extra={"error": str(error)})
        channel.abort("closed")

    def _use(self, exchange: Callable[["_Tags"], T]) -> T:
        """Return the result of *exchange*; any failure ends the session."""
        if self._tags is None:
            raise LinkDeadError("no session is open")
        try:
            return exchange(self._tags)
        except Exception as error:
            self.close(abort=not isinstance(error, ContractChangedError))
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request that reads: what for, and its frame."""

    reads: Sequence[TagRead]
    frame: bytearray


class _Tags:
    """The contract's tags in one session, and the frames that are kept for them."""

    def __init__(self, session: CipSession, contract: VerifiedContract, profile: Profile) -> None:
        for tag in profile.tags:
            if isinstance(tag.type, Udt) and tag.type.name not in contract.handles:
                raise ContractChangedError(f"the type {tag.type.name}, which was never seen,")
        self._session = session
        self._contract = contract
        self._profile = profile
        self._most = verdicts_per_packet(profile, session.connection_bytes)
        self._marks = session.frame_for(marks_message(profile))
        self._commands = {echo: self._asked(profile.reads(echo=echo)) for echo in (False, True)}
        self._slots: dict[tuple[int, ...], _Asked] = {}
        self._writes: dict[tuple[int, ...], WriteFrame] = {}

    def recheck(self) -> Mode:
        marks = marks_in(self._session.exchange(self._marks), self._profile)
        expect_unchanged(self._contract, marks)
        return marks.mode

    def read(self, *, echo: bool) -> Reading:
        values = self._values(self._commands[echo])
        return _decoded(lambda: self._profile.reading(values, echo=echo))

    def read_back(self, slots: Sequence[int]) -> tuple[SlotEcho, ...]:
        packets = packets_of(slots, self._most)
        return tuple(echo for some in packets for echo in self._echoes(tuple(some)))

    def _echoes(self, slots: tuple[int, ...]) -> tuple[SlotEcho, ...]:
        asked = self._slots.get(slots)
        if asked is None:
            if len(self._slots) >= _MOST_SHAPES:
                self._slots.clear()
            reads = [read for slot in slots for read in self._profile.result_reads(slot)]
            asked = self._slots[slots] = self._asked(reads)
        values = self._values(asked)
        return _decoded(lambda: self._profile.results(values))

    def _asked(self, reads: Sequence[TagRead]) -> _Asked:
        return _Asked(reads=reads, frame=self._session.frame_for(read_message(reads)))

    def _values(self, asked: _Asked) -> list[ReadValue]:
        message = self._session.exchange(asked.frame)
        return values_in(message, asked.reads, self._contract.handles)

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        for some in packets_of(results, self._most):
            slots = tuple([slot_of(record.trigger_id) for record in some])
            frame = self._writes.get(slots)
            if frame is None:
                frame = self._keep_frame(slots, self._profile.writes(some, status))
            contents = self._profile.contents(some, status)
            frame.check(self._session.exchange(frame.fill(contents), frame.reply))

    def _keep_frame(self, slots: tuple[int, ...], writes: Sequence[TagWrite]) -> WriteFrame:
        if len(self._writes) >= _MOST_SHAPES:
            self._writes.clear()
        session = self._session
        frame = write_frame(writes, self._contract.handles, session.frame_for, session.reply_for)
        self._writes[slots] = frame
        return frame


def _decoded(decode: Callable[[], T]) -> T:
    try:
        return decode()
    except (KeyError, ValueError) as error:
        raise LinkDeadError(f"decode: {error}") from error
