"""EtherNet/IP: damaged replies to both backends of the PLC link, through the real socket code.

The controller is the stand-in's session without its server; between it and the link is a pair of
connected sockets. Whatever the reply: the exchange ends in time, with a LinkError or with what the
reply really says; a reply that refuses never confirms; after an error the session is over.
"""

import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from fuzzers.campaign import BrokenPromiseError
from fuzzers.cip_replies import Damage, answers, confirms, damaged, random_damage, values
from fuzzers.mutation import smaller_sequences
from taktgate.plc.contract.flat_profile import FlatProfile
from taktgate.plc.contract.records import BLANK_STATUS, Reading, ResultRecord
from taktgate.plc.contract.tags import WriterState
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.contract.verified import VerifiedContract
from taktgate.plc.contract.wire import Profile
from taktgate.plc.errors import LinkDeadError, LinkError
from taktgate.plc.link.backends import BACKENDS
from taktgate.plc.link.cached_link import CachedLink
from taktgate.plc.link.port import TagLink
from taktgate.plc.opening.contract_check import check_controller
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.router import Router
from taktgate.standin.logix.session import Session
from taktgate.standin.logix.thread import LogixThread

ADDRESS: Final = "127.0.0.1:44818"
REPLY_TIMEOUT_S: Final = 0.5
IMPATIENT_S: Final = 0.02
"""Reply time-out of the cases in which nothing more comes."""
SLACK_S: Final = 1.0
OPENING_REPLIES: Final = 4
"""Register, forward open and marks; one more than there are."""
LEAVES_OPEN_ONE_IN: Final = 50
"""So seldom the connection stays open after the damage: such a case lasts its time-out."""

_RECORD: Final = ResultRecord(
    sequence=9, trigger_id=3, decision=1, error_code=0, score=0.25, age_ms=42
)
_STATUS: Final = replace(
    BLANK_STATUS,
    heartbeat=5,
    boot_id=77,
    state=WriterState.RUN,
    queue_depth=1,
    last_seq=9,
    last_trigger_id=3,
    cnt_pass=1,
    online=True,
    ready=True,
)
_SEND_UNIT_DATA: Final = b"\x70\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class CipCase:
    """One exchange whose reply is damaged."""

    backend: str
    profile: str
    exchange: str
    """`open`, `recheck`, `read`, `echo`, or `write` and the number of results."""
    reply: int
    """Which reply of the exchange is damaged, from 0."""
    damages: tuple[Damage, ...]
    leaves_open: bool = False


class Wire(socket.socket):
    """The link's end of the connection. What is sent to it is answered before `send` returns."""

    def __init__(self, session: Session, case: CipCase) -> None:
        ours, self._theirs = socket.socketpair()
        super().__init__(ours.family, ours.type, ours.proto, ours.detach())
        self._session = session
        self._case = case
        self._left: int | None = None
        self._before = b""
        self.request = b""
        """The request whose reply was damaged."""
        self.reply = b""
        """What came instead of its reply."""
        self.is_damaged = False

    def arm(self) -> None:
        """Begin the exchange that the case damages."""
        self._left = self._case.reply

    def setsockopt(self, *_: Any) -> None:
        """Take every option: a pair of sockets has none of TCP's."""

    def send(self, data: Any, flags: int = 0) -> int:
        """Have the session answer *data*."""
        request = bytes(data)
        for reply in self._session.receive(request):
            self._answer(request, reply)
        return len(request)

    def close(self) -> None:
        """Close both ends."""
        self._theirs.close()
        super().close()

    def _answer(self, request: bytes, reply: bytes) -> None:
        sent = reply
        if self._left == 0:
            sent = damaged(reply, self._case.damages, before=self._before)
            self.request, self.reply, self.is_damaged = request, sent, True
        self._theirs.sendall(sent)
        if self._left == 0 and not self._case.leaves_open:
            self._theirs.shutdown(socket.SHUT_WR)
        if self._left is not None:
            self._left -= 1
        self._before = reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """A controller with the tags of one profile, and what a check of it leaves behind."""

    profile: Profile
    memory: TagMemory
    router: Router
    contract: VerifiedContract

    def session(self) -> Session:
        """Return the session of a new client."""
        return Session(self.router, host="127.0.0.1", port=44818)


class CipTarget:
    """Damages the reply to one exchange."""

    name = "cip"

    def __init__(self, controllers: dict[str, Controller]) -> None:
        self._controllers = controllers

    def make(self, random: Random) -> CipCase:
        """Return an exchange and the damage to its reply."""
        exchange = random.choice(tuple(EXCHANGES))
        damages = [random_damage(random) for _ in range(random.choice((1, 1, 1, 2, 3)))]
        if random.random() < 0.5:
            damages.append(Damage(kind="repair"))
        return CipCase(
            backend=random.choice(tuple(BACKENDS)),
            profile=random.choice(tuple(self._controllers)),
            exchange=exchange,
            reply=random.randrange(OPENING_REPLIES) if exchange == "open" else 0,
            damages=tuple(damages),
            leaves_open=random.randrange(LEAVES_OPEN_ONE_IN) == 0,
        )

    async def check(self, case: CipCase) -> None:
        """Open a link, have the exchange, and hold what comes of it against the reply."""
        controller = self._controllers[case.profile]
        link = BACKENDS[case.backend](
            ADDRESS,
            reply_timeout_s=IMPATIENT_S if case.leaves_open else REPLY_TIMEOUT_S,
            profile=controller.profile,
        )
        wire = Wire(controller.session(), case)
        began_s = time.monotonic()
        try:
            if case.exchange == "open":
                wire.arm()
            link.open(wire, controller.contract)
            _judge_opening(wire, controller)
            wire.arm()
            EXCHANGES[case.exchange](link, wire, controller)
        except LinkError as error:
            _expect_over(link, case, error)
        finally:
            link.close(abort=True)
            wire.close()
        if time.monotonic() - began_s > REPLY_TIMEOUT_S + SLACK_S:
            raise BrokenPromiseError("an exchange ends at its deadline")

    def smaller(self, case: CipCase) -> Iterable[CipCase]:
        """Return cases with fewer damages, then with simpler ones."""
        for damages in smaller_sequences(case.damages):
            yield replace(case, damages=damages)
        for place, damage in enumerate(case.damages):
            for data in smaller_sequences(damage.data):
                changed = list(case.damages)
                changed[place] = replace(damage, data=data)
                yield replace(case, damages=tuple(changed))

    def show(self, case: CipCase) -> str:
        """Return the case as Python."""
        return repr(case)


def _expect_over(link: TagLink, case: CipCase, error: LinkError) -> None:
    if not str(error):
        raise BrokenPromiseError("an error says what happened") from error
    try:
        link.read(echo=False)
    except LinkDeadError:
        return
    raise BrokenPromiseError(f"after an error the session is over; {case.backend}") from error


def _judge_opening(wire: Wire, controller: Controller) -> None:
    """The marks of the controller stand in what an opening that was accepted has been told."""
    contract = controller.contract
    asks_for_marks = wire.request[:2] == _SEND_UNIT_DATA and wire.request[46:47] == b"\x0a"
    if not wire.is_damaged or not asks_for_marks:
        return
    marks = [contract.serial.to_bytes(4, "little"), contract.table_version]
    marks += [b"\xa0\x02" + handle.to_bytes(2, "little") for handle in contract.handles.values()]
    if not all(mark in wire.reply for mark in marks):
        raise BrokenPromiseError("a controller with other marks is not the one that was checked")


def _open(link: TagLink, _: Wire, controller: Controller) -> None:
    """The opening was believed: what follows is a session as any other."""
    if link.read(echo=True) != _truth(controller, echo=True):
        raise BrokenPromiseError("a session that is open reads what is there")


def _recheck(link: TagLink, wire: Wire, controller: Controller) -> None:
    link.recheck()
    _judge_opening(wire, controller)


def _reading(*, echo: bool) -> Callable[[TagLink, Wire, Controller], None]:
    def read(link: TagLink, wire: Wire, controller: Controller) -> None:
        reading = link.read(echo=echo)
        profile = controller.profile
        said = values(wire.reply, [one.type for one in profile.reads(echo=echo)])
        if not answers(wire.reply, wire.request) or said is None:
            raise BrokenPromiseError(f"only an answer gives a value; {wire.reply.hex()}")
        if reading != profile.reading(said, echo=echo):
            raise BrokenPromiseError(f"a value is what the reply says; {reading} from {said}")

    return read


def _writing(count: int) -> Callable[[TagLink, Wire, Controller], None]:
    records = [replace(_RECORD, trigger_id=number) for number in range(count)]

    def write(link: TagLink, wire: Wire, controller: Controller) -> None:
        link.write(records, _STATUS)
        services = len(controller.profile.writes(records, _STATUS))
        if not answers(wire.reply, wire.request) or not confirms(wire.reply, services):
            raise BrokenPromiseError(f"only a confirmation confirms; {wire.reply.hex()}")

    return write


EXCHANGES: Final[dict[str, Callable[[TagLink, Wire, Controller], None]]] = {
    "open": _open,
    "recheck": _recheck,
    "read": _reading(echo=False),
    "echo": _reading(echo=True),
    "write 0": _writing(0),
    "write 1": _writing(1),
    "write 3": _writing(3),
}


def _truth(controller: Controller, *, echo: bool) -> Reading:
    kinds = controller.profile.reads(echo=echo)
    session = controller.session()
    link = CachedLink(ADDRESS, reply_timeout_s=REPLY_TIMEOUT_S, profile=controller.profile)
    case = CipCase(backend="", profile="", exchange="", reply=0, damages=())
    wire = Wire(session, case)
    link.open(wire, controller.contract)
    wire.arm()
    link.read(echo=echo)
    said = values(wire.reply, [one.type for one in kinds])
    link.close(abort=True)
    assert said is not None
    return controller.profile.reading(said, echo=echo)


def _controller(profile: Profile) -> Controller:
    memory = TagMemory(symbols_of(profile.tags))
    with LogixThread(memory) as server:
        report = check_controller(server.address, profile)
    assert report.contract is not None, report.words
    return Controller(
        profile=profile, memory=memory, router=Router(memory), contract=report.contract
    )


@asynccontextmanager
async def open_cip() -> AsyncIterator[CipTarget]:
    """Open the target: a controller for each profile."""
    log = logging.getLogger("taktgate.plc")
    level = log.level
    # Each damaged reply is logged as a loss: as many lines as cases.
    log.setLevel(logging.CRITICAL)
    profiles: tuple[Profile, ...] = (UdtProfile(), FlatProfile())
    try:
        yield CipTarget({profile.name: _controller(profile) for profile in profiles})
    finally:
        log.setLevel(level)
