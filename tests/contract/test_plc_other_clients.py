"""Unmodified clients from outside judge the stand-in PLC: it must not agree only with itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pycomm3 import LogixDriver
from pylogix import PLC

from taktgate.plc.contract.tags import COMMAND, RESULT, STATUS, TAGS, CipType
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.thread import LogixThread

RESULT_3: dict[str, Any] = {
    "SeqBegin": 41,
    "TriggerId": 123_459,
    "Decision": 1,
    "DefectCode": 5,
    "DefectCount": 2,
    "Score": 0.125,
    "AgeMs": 23,
    "ModelRev": 0x7FFF_FFFF,
    "Valid": True,
    "Pass": True,
    "Reject": False,
    "Late": False,
    "ErrorCode": 0,
    "SeqEnd": 41,
}


@pytest.fixture(scope="module")
def memory() -> TagMemory:
    return TagMemory(symbols_of(TAGS))


@pytest.fixture(scope="module")
def plc(memory: TagMemory) -> Iterator[LogixThread]:
    with LogixThread(memory) as thread:
        yield thread


@pytest.fixture(scope="module")
def driver(plc: LogixThread) -> Iterator[Any]:
    with LogixDriver(f"{plc.address}/0") as opened:
        yield opened


@contextmanager
def pylogix_client(plc: LogixThread) -> Iterator[Any]:
    with PLC("127.0.0.1", port=plc.port) as client:
        # pylogix never closes the socket that it keeps for incoming messages.
        client.conn.msg_socket.close()
        yield client


def test_pycomm3_opens_with_defaults_and_uploads_the_contract(driver: Any) -> None:
    assert driver.info["keyswitch"] == "REMOTE RUN"
    assert driver.info["product_type"] == "Programmable Logic Controller"
    uploaded = {
        name: (
            tag["data_type_name"],
            tag["dimensions"][0],
            tag["data_type"]["template"]["structure_size"],
        )
        for name, tag in driver.tags.items()
    }
    assert uploaded == {tag.name: (tag.udt.name, tag.dimension, tag.udt.size) for tag in TAGS}


@pytest.mark.parametrize("tag", TAGS, ids=lambda tag: tag.name)
def test_pycomm3_sees_every_member_where_the_table_has_it(driver: Any, tag: Any) -> None:
    members = driver.tags[tag.name]["data_type"]["internal_tags"]
    visible = driver.tags[tag.name]["data_type"]["attributes"]

    assert visible == [member.name for member in tag.udt.members]
    for member in tag.udt.members:
        assert members[member.name]["data_type"] == member.type
        assert members[member.name]["offset"] == member.offset
        if member.type is CipType.BOOL:
            assert members[member.name]["bit"] == member.bit


def test_pycomm3_reads_back_the_udt_it_wrote_in_one_packet(driver: Any, memory: TagMemory) -> None:
    status = {member.name: 0 for member in STATUS.members} | {"Ready": True, "Heartbeat": 7}

    written = driver.write(("VIS01_Result[3]", RESULT_3), ("VIS01_Sts", status))
    read = driver.read("VIS01_Result[3]", "VIS01_Result[3].Score", "VIS01_Result[3].Pass")

    assert [tag.error for tag in (*written, *read)] == [None] * 5
    assert [tag.value for tag in read] == [RESULT_3, 0.125, True]
    assert memory.load("VIS01_Sts", "Ready") is True
    assert memory.load("VIS01_Result", "TriggerId", 3) == 123_459


def test_pycomm3_writes_one_udt_alone_although_it_sends_the_body_twice(
    driver: Any, memory: TagMemory
) -> None:
    assert driver.write("VIS01_Result[2]", RESULT_3 | {"SeqEnd": 42}).error is None
    assert memory.load("VIS01_Result", "SeqEnd", 2) == 42


def test_pycomm3_reads_and_writes_the_whole_ring(driver: Any) -> None:
    ring = [RESULT_3 | {"SeqBegin": slot + 1, "Late": slot % 2 == 0} for slot in range(8)]

    assert driver.write("VIS01_Result{8}", ring).error is None
    assert driver.read("VIS01_Result{8}").value == ring


def test_pycomm3_changes_single_members_and_bits(driver: Any, memory: TagMemory) -> None:
    results = driver.write(
        ("VIS01_Result[5].Reject", True), ("VIS01_Sts.LastSeq.4", True), ("VIS01_Sts.CntPass", 7)
    )

    assert [tag.error for tag in results] == [None] * 3
    assert memory.load("VIS01_Result", "Reject", 5) is True
    assert memory.load("VIS01_Sts", "LastSeq") == 16
    assert memory.load("VIS01_Sts", "CntPass") == 7


def test_pycomm3_may_only_read_the_command(driver: Any, memory: TagMemory) -> None:
    memory.store("VIS01_Cmd", "TriggerId", 99)
    memory.store("VIS01_Cmd", "Enable", True)

    command = driver.read("VIS01_Cmd").value

    assert set(command) == {member.name for member in COMMAND.members}
    assert (command["TriggerId"], command["Enable"], command["Reset"]) == (99, True, False)
    assert driver.write("VIS01_Cmd.TriggerId", 1).error == "Permission denied"
    assert memory.load("VIS01_Cmd", "TriggerId") == 99


def test_pycomm3_is_told_why_a_tag_cannot_be_read(driver: Any) -> None:
    assert "(ff, 2105)" in driver.read("VIS01_Result[8]").error


def test_pycomm3_opens_through_a_small_connection(plc: LogixThread) -> None:
    driver = LogixDriver(f"{plc.address}/0")
    driver._cfg["extended forward open"] = False
    driver._cfg["connection_size"] = 200
    with driver:
        ring = driver.read("VIS01_Result{8}")
        assert ring.error is None
        assert driver.write("VIS01_Result{8}", ring.value).error is None


def test_a_repeated_session_of_pycomm3_leaves_nothing_behind(plc: LogixThread) -> None:
    for _ in range(5):
        with LogixDriver(f"{plc.address}/0", init_tags=False) as again:
            assert again.connected


def test_pylogix_sees_what_pycomm3_wrote(plc: LogixThread, driver: Any) -> None:
    driver.write(("VIS01_Result[3]", RESULT_3), ("VIS01_Sts.State", 2))

    with pylogix_client(plc) as other:
        decision = other.Read("VIS01_Result[3].Decision")
        many = other.Read(
            [f"VIS01_Result[3].{name}" for name in ("Score", "Pass", "Reject", "SeqEnd")]
            + ["VIS01_Sts.State"]
        )

    assert (decision.Value, decision.Status) == (1, "Success")
    assert [answer.Value for answer in many] == [0.125, True, False, 41, 2]


def test_pylogix_lists_tags_and_their_members(plc: LogixThread) -> None:
    with pylogix_client(plc) as other:
        tags = other.GetTagList()
        fields = other.UDTByName["UDT_VIS_Result"].Fields

    assert tags.Status == "Success"
    assert [(tag.TagName, tag.DataType, tag.Size) for tag in tags.Value] == [
        (tag.name, tag.udt.name, tag.dimension) for tag in TAGS
    ]
    visible = [field for field in fields if not field.TagName.startswith("ZZZZZZZZZZ")]
    assert [(field.TagName, field.DataType) for field in visible] == [
        (member.name, member.type) for member in RESULT.members
    ]


def test_pylogix_writes_what_pycomm3_reads(plc: LogixThread, driver: Any) -> None:
    with pylogix_client(plc) as other:
        assert other.Write("VIS01_Sts.QueueDepth", 6).Status == "Success"
        assert other.Write("VIS01_Result[1].Late", True).Status == "Success"
        assert other.Write("VIS01_Cmd.AckSeq", 6).Status == "Privilege violation"

    read = driver.read("VIS01_Sts.QueueDepth", "VIS01_Result[1].Late")
    assert [tag.value for tag in read] == [6, True]
