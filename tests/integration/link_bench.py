"""A link with a controller behind it: what the tests of the backends share."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

import pytest

from taktgate.plc.contract.encoding import pack_atomic, result_values, unpack_atomic
from taktgate.plc.contract.flat_profile import FlatProfile
from taktgate.plc.contract.records import BLANK_STATUS, ResultRecord
from taktgate.plc.contract.tags import RESULT_TAG, Tag, WriterState, flat_tag
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.contract.verified import VerifiedContract
from taktgate.plc.contract.wire import Profile
from taktgate.plc.link.address import parse_address
from taktgate.plc.link.backends import BACKENDS
from taktgate.plc.link.port import TagLink
from taktgate.plc.opening.contract_check import check_controller
from taktgate.standin.logix.memory import TagMemory, Value, symbols_of
from taktgate.standin.logix.thread import LogixThread

CHECKS = 3
CONNECT_S = 5.0
REPLY_TIMEOUT_S = 5.0
PROFILES: tuple[Profile, ...] = (UdtProfile(), FlatProfile())
SHORT_S = 0.4
"""Reply time-out where a test waits for it to pass."""
SLACK_S = 2.5
"""What a busy machine may add."""
in_one_profile = pytest.mark.parametrize("profile", PROFILES[:1], indirect=True, ids=["udt"])
"""For what has nothing to do with the tags."""

PASSED = ResultRecord(
    sequence=9, trigger_id=4714, decision=1, error_code=0, score=0.25, age_ms=42, model_rev=7
)
STATUS_RECORD = replace(
    BLANK_STATUS,
    heartbeat=5,
    boot_id=77,
    state=WriterState.RUN,
    queue_depth=1,
    last_seq=9,
    last_trigger_id=4714,
    cnt_pass=1,
    online=True,
    ready=True,
)


def contract_of(address: str, profile: Profile | None = None) -> VerifiedContract:
    """Return what a full check of the controller at *address* leaves behind.

    Each of its exchanges has half a second: a busy machine may need another check, as writers do.
    """
    for _ in range(CHECKS):
        report = check_controller(address, profile or UdtProfile())
        if report.contract is not None:
            return report.contract
    raise AssertionError(report.words)


def connect(address: str) -> socket.socket:
    """Return a TCP connection to *address*, as a probe hands it over."""
    where = parse_address(address)
    return socket.create_connection((where.host, where.port), timeout=CONNECT_S)


class Endpoint(Protocol):
    """A controller, or something before it."""

    @property
    def address(self) -> str: ...


@contextmanager
def opened(
    backend: str,
    endpoint: Endpoint,
    *,
    reply_timeout_s: float = REPLY_TIMEOUT_S,
    profile: Profile | None = None,
    contract: VerifiedContract | None = None,
) -> Iterator[TagLink]:
    """Give a link of *backend* with an open session."""
    link = BACKENDS[backend](endpoint.address, reply_timeout_s=reply_timeout_s, profile=profile)
    known = contract or contract_of(endpoint.address, profile)
    link.open(connect(endpoint.address), known)
    try:
        yield link
    finally:
        link.close(abort=True)


class Plc:
    """The controller's program: it sees the same members in either profile."""

    def __init__(self, profile: Profile) -> None:
        self.memory = TagMemory(symbols_of(profile.tags))
        self._is_flat = profile.name == "flat"

    def store(self, tag: Tag, member: str, value: Value) -> None:
        if not self._is_flat:
            self.memory.store(tag.name, member, value)
            return
        held = self._held(tag, member)
        symbol = self.memory.symbol(held.name)
        assert symbol is not None
        self.memory.bytes_of(symbol)[:] = pack_atomic(held.atomic, value)

    def load(self, tag: Tag, member: str, index: int = 0) -> Value:
        if not self._is_flat:
            return self.memory.load(tag.name, member, index)
        held = self._held(tag, member)
        return unpack_atomic(held.atomic, self.memory.element(held.name, index))

    def path(self, tag: Tag, member: str) -> str:
        """Return the symbol that holds *member*."""
        return self._held(tag, member).name if self._is_flat else tag.name

    def _held(self, tag: Tag, member: str) -> Tag:
        [found] = [one for one in tag.udt.members if one.name == member]
        return flat_tag(tag, found)

    def has(self, record: ResultRecord) -> bool:
        """True when the slot of *record* holds it whole."""
        slot = record.trigger_id & 7
        found = {name: self.load(RESULT_TAG, name, slot) for name in result_values(record)}
        return found == result_values(record)


def requests(controller: LogixThread) -> int:
    """Return how many CIP requests *controller* has had."""
    return sum(controller.requests().values())


def exchange(link: TagLink) -> None:
    """Do what may be spoiled: a write, which takes effect, and a read."""
    link.write([PASSED], STATUS_RECORD)
    link.read(echo=True)
