"""The pycomm3 adapter against a controller on TCP: what arrives, and what is refused."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pycomm3 import LogixDriver

from taktgate.plc.contract.encoding import unpack
from taktgate.plc.contract.tags import (
    COMMAND_TAG,
    RESULT,
    RESULT_TAG,
    STATUS,
    STATUS_TAG,
    TAGS,
    CipType,
    Tag,
    WriterState,
)
from taktgate.plc.errors import ContractMismatchError, LinkDeadError, LinkRefusedError
from taktgate.plc.link.logix import LogixLink
from taktgate.plc.link.port import Command, ResultRecord, StatusEcho, StatusRecord
from taktgate.standin.logix.faults import HEALTHY, Faults
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.thread import LogixThread

REPLY_TIMEOUT_S = 0.25
PASSED = ResultRecord(
    sequence=9, trigger_id=4714, decision=1, error_code=0, score=0.25, age_ms=42, model_rev=7
)
STATUS_RECORD = StatusRecord(
    heartbeat=5,
    boot_id=77,
    state=WriterState.RUN,
    error_code=0,
    queue_depth=1,
    last_seq=9,
    last_trigger_id=4714,
    cnt_pass=1,
    cnt_reject=0,
    cnt_late=0,
    cnt_dup=0,
    cnt_overflow=0,
    cnt_reconnect=0,
    online=True,
    ready=True,
    fault=False,
)


@pytest.fixture
def memory() -> TagMemory:
    return TagMemory(symbols_of(TAGS))


@pytest.fixture
def controller(memory: TagMemory) -> Iterator[LogixThread]:
    """A controller that refuses trailing bytes, as cpppo and ab_server do."""
    with LogixThread(memory, strict=True) as controller:
        yield controller


@pytest.fixture
def link(controller: LogixThread) -> Iterator[LogixLink]:
    link = LogixLink(controller.address, reply_timeout_s=REPLY_TIMEOUT_S)
    link.open()
    yield link
    link.close(abort=True)


def test_a_result_arrives_in_its_slot_with_the_status(link: LogixLink, memory: TagMemory) -> None:
    link.write([PASSED], STATUS_RECORD)
    result = unpack(RESULT, memory.element(RESULT_TAG.name, 4714 & 7))
    assert (result["TriggerId"], result["Decision"], result["Pass"]) == (4714, 1, True)
    assert result["SeqBegin"] == result["SeqEnd"] == 9
    assert unpack(STATUS, memory.element(STATUS_TAG.name))["BootId"] == 77


def test_eight_results_go_in_one_write(link: LogixLink, memory: TagMemory) -> None:
    link.write([replace(PASSED, trigger_id=number) for number in range(8)], STATUS_RECORD)
    slots = [unpack(RESULT, memory.element(RESULT_TAG.name, slot)) for slot in range(8)]
    assert [slot["TriggerId"] for slot in slots] == list(range(8))


def test_a_lone_status_is_no_single_tag_write(link: LogixLink, memory: TagMemory) -> None:
    link.write([], STATUS_RECORD)
    assert unpack(STATUS, memory.element(STATUS_TAG.name))["Heartbeat"] == 5


def test_command_and_echo_come_in_one_read(link: LogixLink, memory: TagMemory) -> None:
    memory.store(COMMAND_TAG.name, "TriggerId", 4714)
    memory.store(COMMAND_TAG.name, "DeadlineMs", 150)
    memory.store(COMMAND_TAG.name, "Enable", True)
    link.write([], STATUS_RECORD)
    reading = link.read(echo=True)
    assert reading.command == Command(
        plc_heartbeat=0, trigger_id=4714, deadline_ms=150, enable=True
    )
    assert reading.echo == StatusEcho(boot_id=77, heartbeat=5, last_seq=9)
    assert link.read(echo=False).echo is None


def read_until_it_dies(link: LogixLink) -> None:
    """Read a few times: a fault takes hold with the controller's next turn."""
    for _ in range(3):
        link.read(echo=False)


@pytest.mark.parametrize(
    "faults", [Faults(delay_ms=600), Faults(is_frozen=True), Faults(is_cut=True)], ids=str
)
def test_a_controller_in_trouble_ends_the_session_in_time(
    link: LogixLink, controller: LogixThread, faults: Faults
) -> None:
    controller.apply(faults)
    started_s = time.monotonic()
    with pytest.raises(LinkDeadError):
        read_until_it_dies(link)
    assert time.monotonic() - started_s < REPLY_TIMEOUT_S + 0.5
    controller.apply(HEALTHY)
    with pytest.raises(LinkDeadError, match="no session"):
        link.read(echo=False)


def test_a_link_that_died_can_be_opened_again(link: LogixLink, controller: LogixThread) -> None:
    controller.apply(Faults(is_cut=True))
    with pytest.raises(LinkDeadError):
        read_until_it_dies(link)
    controller.apply(HEALTHY)
    time.sleep(0.05)
    link.open()
    assert link.read(echo=False).command.trigger_id == 0


def test_a_polite_close_ends_the_session(link: LogixLink) -> None:
    link.close(abort=False)
    with pytest.raises(LinkDeadError, match="no session"):
        link.read(echo=False)


def test_nobody_at_the_address_is_a_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(LinkRefusedError):
        LogixLink(f"127.0.0.1:{port}", reply_timeout_s=0.1).open()


def test_an_address_that_is_none_is_a_refusal() -> None:
    with pytest.raises(LinkRefusedError, match="Invalid port"):
        LogixLink("127.0.0.1:many", reply_timeout_s=0.1).open()


def test_tags_of_an_unforeseen_shape_are_a_refusal_and_no_crash(
    controller: LogixThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogixDriver, "tags", {"VIS01_Result": {"tag_type": "struct"}})
    with pytest.raises(LinkRefusedError, match="tags: KeyError"):
        LogixLink(controller.address, reply_timeout_s=REPLY_TIMEOUT_S).open()


def with_score_as_dint(tag: Tag) -> Tag:
    members = tuple(
        replace(member, type=CipType.DINT) if member.name == "Score" else member
        for member in tag.udt.members
    )
    return replace(tag, type=replace(tag.udt, members=members))


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ((RESULT_TAG, STATUS_TAG), "VIS01_Cmd: must exist"),
        (
            (replace(RESULT_TAG, dimension=4), STATUS_TAG, COMMAND_TAG),
            "VIS01_Result: must have dimension 8",
        ),
        (
            (with_score_as_dint(RESULT_TAG), STATUS_TAG, COMMAND_TAG),
            "VIS01_Result.Score: must be a REAL",
        ),
        (
            (RESULT_TAG, replace(STATUS_TAG, written_by="plc"), COMMAND_TAG),
            "VIS01_Sts: external access is 'Read Only'",
        ),
    ],
)
def test_other_tags_than_ours_are_refused_by_name(tags: tuple[Tag, ...], words: str) -> None:
    with LogixThread(TagMemory(symbols_of(tags))) as controller:
        with pytest.raises(ContractMismatchError) as caught:
            LogixLink(controller.address, reply_timeout_s=REPLY_TIMEOUT_S).open()
        assert words in str(caught.value)
