"""A controller in trouble: the named error within one deadline, never a wrong value."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from tests.faults.relay import HEADER_BYTES, Pieces, Relay, unspoiled
from tests.integration.link_bench import (
    PASSED,
    REPLY_TIMEOUT_S,
    SHORT_S,
    SLACK_S,
    STATUS_RECORD,
    Plc,
    connect,
    contract_of,
    exchange,
    in_one_profile,
    opened,
)

from taktgate.plc.contract.tags import COMMAND_TAG
from taktgate.plc.contract.wire import Profile
from taktgate.plc.errors import LinkDeadError
from taktgate.plc.link.backends import BACKENDS
from taktgate.plc.link.port import TagLink
from taktgate.standin.logix.faults import HEALTHY, Faults
from taktgate.standin.logix.thread import LogixThread


def changed(faults: Faults) -> list[str]:
    """Return in words what is wrong."""
    return [
        f"{name}={getattr(faults, name)}"
        for name in Faults.__slots__
        if getattr(faults, name) != getattr(HEALTHY, name)
    ]


@in_one_profile
@pytest.mark.parametrize(
    "faults",
    [
        Faults(delay_ms=900),
        Faults(is_frozen=True),
        Faults(is_cut=True),
        Faults(drip_ms=30),
        Faults(is_duplicating=True),
        Faults(is_reordering=True),
        *(Faults(cut_after_bytes=count) for count in (0, 23, 24, 46, 50)),
    ],
    ids=lambda faults: " ".join(changed(faults)),
)
def test_a_controller_in_trouble_ends_the_session_in_time(
    backend: str, profile: Profile, controller: LogixThread, faults: Faults
) -> None:
    with opened(backend, controller, profile=profile, reply_timeout_s=SHORT_S) as link:
        exchange(link)
        controller.apply(faults)
        began_s = time.monotonic()
        with pytest.raises(LinkDeadError):
            exchange(link)
        assert time.monotonic() - began_s < 2 * SHORT_S + SLACK_S
        controller.apply(HEALTHY)
        with pytest.raises(LinkDeadError, match="no session"):
            link.read(echo=False)


@in_one_profile
@pytest.mark.parametrize("sessions", [True, False], ids=["session", "connection"])
def test_a_controller_that_has_forgotten_the_client_ends_the_session_in_time(
    backend: str, profile: Profile, controller: LogixThread, *, sessions: bool
) -> None:
    with opened(backend, controller, profile=profile, reply_timeout_s=SHORT_S) as link:
        controller.forget(sessions=sessions)
        began_s = time.monotonic()
        with pytest.raises(LinkDeadError):
            exchange(link)
        assert time.monotonic() - began_s < SHORT_S + SLACK_S


@in_one_profile
def test_a_connection_that_is_reset_ends_the_session_at_once(
    link: TagLink, controller: LogixThread
) -> None:
    controller.reset()
    began_s = time.monotonic()
    with pytest.raises(LinkDeadError):
        exchange(link)
    assert time.monotonic() - began_s < REPLY_TIMEOUT_S


@in_one_profile
def test_a_link_that_died_opens_again_and_goes_on(
    backend: str, profile: Profile, controller: LogixThread, plc: Plc
) -> None:
    contract = contract_of(controller.address, profile)
    link = BACKENDS[backend](controller.address, reply_timeout_s=1.0, profile=profile)
    for number in range(1, 6):
        link.open(connect(controller.address), contract)
        record = replace(PASSED, trigger_id=number)
        link.write([record], STATUS_RECORD)
        assert plc.has(record)
        controller.reset()
        with pytest.raises(LinkDeadError):
            exchange(link)


Damage = Callable[[bytes], bytes]


def at(position: int, change: int) -> Damage:
    """Return what adds *change* to the byte at *position*."""

    def damage(reply: bytes) -> bytes:
        spoiled = bytearray(reply)
        spoiled[position] = (spoiled[position] + change) & 0xFF
        return bytes(spoiled)

    return damage


@in_one_profile
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda reply: b"\xff" * len(reply), id="all ones"),
        pytest.param(lambda reply: bytes(len(reply)), id="all zeros"),
        pytest.param(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
        pytest.param(lambda reply: reply[:2] + b"\x60\xea" + reply[4:], id="60,000 bytes"),
        pytest.param(lambda reply: reply + b"\0", id="a byte more"),
        pytest.param(at(0, 1), id="command"),
        pytest.param(at(4, 1), id="session"),
        pytest.param(at(8, 0x64), id="status"),
        pytest.param(at(30, 1), id="item count"),
        pytest.param(at(36, 1), id="connection"),
        pytest.param(at(42, 1), id="item length"),
        pytest.param(at(44, 1), id="sequence"),
        pytest.param(at(46, 1), id="service"),
        pytest.param(at(48, 0x08), id="general status"),
        pytest.param(at(49, 1), id="size of status"),
    ],
)
def test_rubbish_is_no_answer(relayed: TagLink, relay: Relay, damage: Damage) -> None:
    exchange(relayed)
    relay.meddle = lambda reply: (damage(reply),)
    began_s = time.monotonic()
    with pytest.raises(LinkDeadError):
        exchange(relayed)
    assert time.monotonic() - began_s < REPLY_TIMEOUT_S, "is seen at once, not waited for"


def test_the_answer_of_one_exchange_late_is_never_taken(
    relayed: TagLink, relay: Relay, plc: Plc
) -> None:
    """The whole stream is one reply behind, as after a reply that was sent twice."""
    plc.store(COMMAND_TAG, "TriggerId", 1)
    exchange(relayed)
    kept: list[bytes] = []

    def one_behind(reply: bytes) -> Pieces:
        kept.append(reply)
        return (kept[-2],) if len(kept) > 1 else (reply,)

    relay.meddle = one_behind
    with suppress(LinkDeadError):
        relayed.read(echo=False)
        plc.store(COMMAND_TAG, "TriggerId", 2)
        assert relayed.read(echo=False).command.trigger_id == 2
    relay.meddle = unspoiled
    with pytest.raises(LinkDeadError, match="no session"):
        relayed.read(echo=False)


@in_one_profile
def test_a_reply_in_two_segments_is_one_reply(relayed: TagLink, relay: Relay, plc: Plc) -> None:
    relay.meddle = lambda reply: (reply[:30], 0.005, reply[30:])
    exchange(relayed)
    relay.meddle = lambda reply: (reply[:HEADER_BYTES], 0.005, reply[HEADER_BYTES:])
    exchange(relayed)
    assert plc.has(PASSED)
