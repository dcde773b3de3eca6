"""Opening by comparing marks, and closing: the same for every backend."""

import socket
import time
from dataclasses import replace

import pytest
from tests.faults.relay import Pieces, Relay
from tests.integration.link_bench import (
    PASSED,
    SHORT_S,
    SLACK_S,
    STATUS_RECORD,
    Plc,
    connect,
    contract_of,
    in_one_profile,
    opened,
)

from taktgate.plc.contract.tags import RESULT_TAG
from taktgate.plc.contract.wire import Profile
from taktgate.plc.errors import (
    ConnectionTooSmallError,
    ContractChangedError,
    LinkDeadError,
    LinkError,
    LinkRefusedError,
)
from taktgate.plc.link.backends import BACKENDS
from taktgate.plc.link.port import Mode as ControllerMode
from taktgate.plc.link.port import TagLink
from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.faults import Faults
from taktgate.standin.logix.firmware import Firmware
from taktgate.standin.logix.identity import Mode
from taktgate.standin.logix.thread import LogixThread

UNCONNECTED_MESSAGE_AT, FORWARD_CLOSED = 40, 0xCE


def reopen(link: TagLink, controller: LogixThread, profile: Profile) -> None:
    contract = contract_of(controller.address, profile)
    link.open(connect(controller.address), contract)


@in_one_profile
def test_a_polite_close_gives_the_connection_back(relayed: TagLink, relay: Relay) -> None:
    answered: list[int] = []

    def note(reply: bytes) -> Pieces:
        answered.append(reply[UNCONNECTED_MESSAGE_AT])
        return (reply,)

    relay.meddle = note
    relayed.close(abort=False)
    assert answered == [FORWARD_CLOSED]
    with pytest.raises(LinkDeadError, match="no session"):
        relayed.read(echo=False)


@in_one_profile
def test_a_link_that_was_closed_opens_again(
    link: TagLink, controller: LogixThread, profile: Profile, plc: Plc
) -> None:
    for abort in (False, True):
        link.close(abort=abort)
        link.close(abort=abort)
        reopen(link, controller, profile)
        link.write([PASSED], STATUS_RECORD)
    assert plc.has(PASSED)


def test_a_controller_without_large_connections_gets_a_small_one(
    backend: str, plc: Plc, profile: Profile
) -> None:
    """Or is refused by name, where a connection of 500 bytes holds no whole verdict."""
    firmware = Firmware(has_large_connections=False, is_strict=True)
    with (
        LogixThread(plc.memory) as large,
        LogixThread(plc.memory, firmware=firmware) as controller,
    ):
        if profile.name == "flat":
            contract = contract_of(large.address, profile)
            with (
                pytest.raises(ConnectionTooSmallError, match="500"),
                opened(backend, controller, profile=profile, contract=contract),
            ):
                pass
            return
        records = [replace(PASSED, trigger_id=n) for n in range(8)]
        with opened(backend, controller, profile=profile) as link:
            link.write(records, STATUS_RECORD)
            assert link.read(echo=True).echo is not None
        assert all(plc.has(record) for record in records)


def test_a_controller_without_change_marks_is_known_by_its_types(
    backend: str, plc: Plc, profile: Profile
) -> None:
    firmware = Firmware(has_change_marks=False)
    with LogixThread(plc.memory, firmware=firmware) as controller:
        contract = contract_of(controller.address, profile)
        assert contract.table_version == b""
        with opened(backend, controller, profile=profile, contract=contract) as link:
            link.write([PASSED], STATUS_RECORD)
        assert plc.has(PASSED)
        if profile.name == "flat":
            return
        controller.download(Download(change=Change.RESHAPE, tag=RESULT_TAG.name))
        with (
            pytest.raises(ContractChangedError),
            opened(backend, controller, profile=profile, contract=contract),
        ):
            pass


@in_one_profile
@pytest.mark.parametrize("change", [Change.NONE, Change.RENUMBER, Change.ADD])
def test_after_any_download_the_tags_must_be_checked_again(
    backend: str, profile: Profile, controller: LogixThread, change: Change
) -> None:
    contract = contract_of(controller.address, profile)
    controller.download(Download(change=change))
    with (
        pytest.raises(ContractChangedError, match="tag table"),
        opened(backend, controller, profile=profile, contract=contract),
    ):
        pass


@in_one_profile
def test_a_download_while_the_session_lives_is_noticed(
    link: TagLink, controller: LogixThread
) -> None:
    link.recheck()
    controller.download(Download(change=Change.NONE))
    with pytest.raises(ContractChangedError, match="tag table"):
        link.recheck()
    with pytest.raises(LinkDeadError, match="no session"):
        link.read(echo=False)


@in_one_profile
def test_another_controller_at_the_address_must_be_checked(
    backend: str, profile: Profile, controller: LogixThread
) -> None:
    contract = contract_of(controller.address, profile)
    other = replace(contract, serial=contract.serial ^ 1)
    with (
        pytest.raises(ContractChangedError, match="serial"),
        opened(backend, controller, profile=profile, contract=other),
    ):
        pass


@in_one_profile
def test_a_type_that_was_never_seen_must_be_checked(
    backend: str, controller: LogixThread, profile: Profile
) -> None:
    contract = replace(contract_of(controller.address, profile), handles={})
    with (
        pytest.raises(LinkError),
        opened(backend, controller, profile=profile, contract=contract),
    ):
        pass


@in_one_profile
@pytest.mark.parametrize(
    ("mode", "seen"),
    [
        (Mode.REMOTE_RUN, ControllerMode.RUN),
        (Mode.REMOTE_PROGRAM, ControllerMode.PROGRAM),
        (Mode.PROGRAM, ControllerMode.PROGRAM),
    ],
)
def test_what_the_controller_does_is_told(
    link: TagLink, controller: LogixThread, mode: Mode, seen: ControllerMode
) -> None:
    controller.set_mode(mode)
    assert link.recheck() is seen


@in_one_profile
def test_a_controller_that_has_no_session_left_is_a_refusal(
    backend: str, profile: Profile, controller: LogixThread
) -> None:
    contract = contract_of(controller.address, profile)
    controller.apply(Faults(is_refusing_sessions=True))
    with (
        pytest.raises(LinkRefusedError),
        opened(backend, controller, profile=profile, contract=contract),
    ):
        pass


@in_one_profile
def test_an_address_that_is_none_is_a_refusal(
    backend: str, profile: Profile, controller: LogixThread
) -> None:
    contract = contract_of(controller.address, profile)
    link = BACKENDS[backend](f"{controller.address}/bp/many", reply_timeout_s=1.0, profile=profile)
    with socket.create_server(("127.0.0.1", 0)) as nobody, pytest.raises(LinkError):
        link.open(socket.create_connection(nobody.getsockname()), contract)


@in_one_profile
def test_a_connection_that_ended_meanwhile_is_a_dead_session(
    backend: str, profile: Profile, controller: LogixThread
) -> None:
    contract = contract_of(controller.address, profile)
    connection = connect(controller.address)
    connection.shutdown(socket.SHUT_RDWR)
    link = BACKENDS[backend](controller.address, reply_timeout_s=1.0, profile=profile)
    with pytest.raises(LinkDeadError):
        link.open(connection, contract)


@in_one_profile
@pytest.mark.parametrize(
    "faults",
    [Faults(is_blackhole=True), Faults(drip_ms=20)],
    ids=["blackhole", "dripped"],
)
def test_an_opening_that_is_not_answered_ends_in_time(
    backend: str, profile: Profile, controller: LogixThread, faults: Faults
) -> None:
    contract = contract_of(controller.address, profile)
    connection = connect(controller.address)
    controller.apply(faults)
    link = BACKENDS[backend](controller.address, reply_timeout_s=SHORT_S, profile=profile)
    began_s = time.monotonic()
    with pytest.raises(LinkDeadError):
        link.open(connection, contract)
    assert time.monotonic() - began_s < SHORT_S + SLACK_S
    link.close(abort=True)
