"""What arrives and what is read: every backend, every profile, real TCP."""

from dataclasses import replace

import pytest
from tests.integration.link_bench import (
    PASSED,
    PROFILES,
    REPLY_TIMEOUT_S,
    STATUS_RECORD,
    Plc,
    connect,
    contract_of,
    requests,
)

from taktgate.plc.contract.encoding import decode_command, status_values
from taktgate.plc.contract.records import EMPTY_SLOT, StatusEcho, echo_of
from taktgate.plc.contract.tags import COMMAND_TAG, RESULT_TAG, STATUS_TAG, Tag, slot_of
from taktgate.plc.contract.wire import Profile
from taktgate.plc.errors import LinkDeadError
from taktgate.plc.link.cached_frames import write_frame
from taktgate.plc.link.cip_session import CipSession
from taktgate.plc.link.packets import route_of
from taktgate.plc.link.port import TagLink
from taktgate.plc.link.safe_socket import SafeSocket
from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.thread import LogixThread


def test_a_verdict_and_the_status_go_in_one_round_trip(
    link: TagLink, plc: Plc, controller: LogixThread
) -> None:
    before = requests(controller)
    link.write([PASSED], STATUS_RECORD)
    assert requests(controller) - before == 1
    assert plc.has(PASSED)
    for member, value in status_values(STATUS_RECORD).items():
        assert plc.load(STATUS_TAG, member) == value


def test_a_confirmation_is_the_reply_that_was_expected(
    controller: LogixThread, profile: Profile
) -> None:
    """Or each write would take the long way through the checks."""
    channel = SafeSocket(
        connect_timeout_s=REPLY_TIMEOUT_S,
        exchange_timeout_s=REPLY_TIMEOUT_S,
        connection=connect(controller.address),
    )
    session = CipSession(channel, route_of(controller.address))
    session.open()
    writes = profile.writes([PASSED], STATUS_RECORD)
    handles = contract_of(controller.address, profile).handles
    kept = write_frame(writes, handles, session.frame_for, session.reply_for)
    session.exchange(kept.frame, kept.reply)
    channel.abort("seen")
    assert channel.reply == kept.reply


def test_a_status_alone_goes_in_one_round_trip(
    link: TagLink, plc: Plc, controller: LogixThread
) -> None:
    before = requests(controller)
    link.write([], STATUS_RECORD)
    assert requests(controller) - before == 1
    assert plc.load(STATUS_TAG, "Heartbeat") == STATUS_RECORD.heartbeat


def test_eight_results_arrive_in_one_write_each_in_its_slot(link: TagLink, plc: Plc) -> None:
    records = [replace(PASSED, trigger_id=4710 + n, sequence=n + 1) for n in range(8)]
    link.write(records, STATUS_RECORD)
    assert all(plc.has(record) for record in records)


def test_eight_results_are_read_back_as_they_were_written(link: TagLink) -> None:
    records = [replace(PASSED, trigger_id=4710 + n, sequence=n + 1) for n in range(8)]
    link.write(records, STATUS_RECORD)
    found = link.read_back([slot_of(record.trigger_id) for record in records])
    assert list(found) == [echo_of(record) for record in records]


def test_a_slot_that_nobody_wrote_to_is_read_back_as_empty(link: TagLink) -> None:
    link.write([PASSED], STATUS_RECORD)
    assert link.read_back([slot_of(PASSED.trigger_id + 1)]) == (EMPTY_SLOT,)


def test_what_is_written_next_replaces_all_of_what_was_there(link: TagLink, plc: Plc) -> None:
    link.write([PASSED], STATUS_RECORD)
    link.read(echo=True)
    failed = replace(PASSED, sequence=10, decision=2, score=0.5, defect_code=-1, age_ms=7)
    link.write([failed], replace(STATUS_RECORD, heartbeat=-6, ready=False))
    assert plc.has(failed)
    assert plc.load(STATUS_TAG, "Heartbeat") == -6
    assert plc.load(STATUS_TAG, "Ready") is False


@pytest.mark.parametrize("profile", PROFILES[1:], indirect=True, ids=["flat"])
def test_a_result_begins_with_seq_begin_and_ends_with_seq_end(
    link: TagLink, plc: Plc, controller: LogixThread
) -> None:
    link.write([PASSED], STATUS_RECORD)
    order = [
        write.tag
        for write in controller.newest_writes(100)
        if write.tag.startswith(RESULT_TAG.name)
    ]
    assert (order[0], order[-1]) == (
        plc.path(RESULT_TAG, "SeqBegin"),
        plc.path(RESULT_TAG, "SeqEnd"),
    )


COMMAND = {
    "PlcHeartbeat": 17,
    "TriggerId": 4714,
    "AckSeq": -3,
    "RecipeId": 2,
    "DeadlineMs": 150,
    "Enable": True,
    "Reset": False,
    "HbFault": True,
}


def test_command_and_echo_are_read_as_they_stand(
    link: TagLink, plc: Plc, controller: LogixThread
) -> None:
    for member, value in COMMAND.items():
        plc.store(COMMAND_TAG, member, value)
    link.write([], STATUS_RECORD)
    before = requests(controller)
    reading = link.read(echo=True)
    assert requests(controller) - before == 1
    assert reading.command == decode_command(COMMAND)
    assert reading.echo == StatusEcho(boot_id=77, heartbeat=5, last_seq=9)
    assert link.read(echo=False).echo is None


def test_two_hundred_exchanges_in_a_row_are_right(link: TagLink, plc: Plc) -> None:
    for number in range(1, 201):
        plc.store(COMMAND_TAG, "TriggerId", number)
        record = replace(PASSED, trigger_id=number, sequence=number)
        link.write([record], replace(STATUS_RECORD, heartbeat=number))
        reading = link.read(echo=number % 2 == 0)
        assert reading.command.trigger_id == number
        assert reading.echo is None or reading.echo.heartbeat == number
        assert plc.has(record)


@pytest.mark.parametrize("change", [Change.ACCESS, Change.RETYPE, Change.DELETE])
@pytest.mark.parametrize("written", [RESULT_TAG, STATUS_TAG], ids=["result", "status"])
def test_a_write_that_is_refused_in_part_is_no_confirmation(
    link: TagLink,
    controller: LogixThread,
    plc: Plc,
    written: Tag,
    change: Change,
) -> None:
    link.write([], STATUS_RECORD)
    controller.download(Download(change=change, tag=plc.path(written, written.udt.members[0].name)))
    with pytest.raises(LinkDeadError, match=written.name):
        link.write([PASSED], STATUS_RECORD)
    with pytest.raises(LinkDeadError, match="no session"):
        link.write([PASSED], STATUS_RECORD)


@pytest.mark.parametrize("change", [Change.ACCESS, Change.RETYPE, Change.DELETE])
def test_a_read_that_is_refused_or_of_another_type_gives_nothing(
    link: TagLink, controller: LogixThread, plc: Plc, change: Change
) -> None:
    link.read(echo=True)
    controller.download(Download(change=change, tag=plc.path(COMMAND_TAG, "PlcHeartbeat")))
    with pytest.raises(LinkDeadError, match=COMMAND_TAG.name):
        link.read(echo=True)
