"""Unmodified pylogix judges the stand-in PLC."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pylogix import PLC
from tests.contract import plc_controller as named
from tests.contract.plc_controller import busy_memory, tag_paths

from taktgate.plc.contract.tags import RESULT, TAGS
from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.foreign_tags import PROGRAMS
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.thread import LogixThread


@contextmanager
def pylogix_client(plc: LogixThread) -> Iterator[Any]:
    with PLC("127.0.0.1", port=plc.port) as client:
        # pylogix never closes the socket that it keeps for incoming messages.
        client.conn.msg_socket.close()
        yield client


@pytest.fixture
def memory() -> TagMemory:
    return TagMemory(symbols_of(TAGS))


@pytest.fixture
def plc(memory: TagMemory) -> Iterator[LogixThread]:
    with LogixThread(memory) as thread:
        yield thread


@pytest.fixture
def client(plc: LogixThread) -> Iterator[Any]:
    with pylogix_client(plc) as opened:
        yield opened


@pytest.fixture(scope="module")
def busy() -> Iterator[tuple[TagMemory, Any]]:
    memory = busy_memory()
    with LogixThread(memory) as plc, pylogix_client(plc) as opened:
        yield memory, opened


def test_pylogix_reads_what_the_program_stored(client: Any, memory: TagMemory) -> None:
    for member, value in (("Decision", 1), ("Score", 0.125), ("Pass", True), ("SeqEnd", 41)):
        memory.store("VIS01_Result", member, value, 3)
    memory.store("VIS01_Sts", "State", 2)

    decision = client.Read("VIS01_Result[3].Decision")
    many = client.Read(
        [f"VIS01_Result[3].{name}" for name in ("Score", "Pass", "Reject", "SeqEnd")]
        + ["VIS01_Sts.State"]
    )

    assert (decision.Value, decision.Status) == (1, "Success")
    assert [answer.Value for answer in many] == [0.125, True, False, 41, 2]


def test_pylogix_writes_what_the_program_loads(client: Any, memory: TagMemory) -> None:
    assert client.Write("VIS01_Sts.QueueDepth", 6).Status == "Success"
    assert client.Write("VIS01_Result[1].Late", True).Status == "Success"
    assert client.Write("VIS01_Cmd.AckSeq", 6).Status == "Privilege violation"

    assert memory.load("VIS01_Sts", "QueueDepth") == 6
    assert memory.load("VIS01_Result", "Late", 1) is True
    assert memory.load("VIS01_Cmd", "AckSeq") == 0


def test_pylogix_lists_our_tags_and_their_members(client: Any) -> None:
    tags = client.GetTagList()
    fields = client.UDTByName["UDT_VIS_Result"].Fields

    assert tags.Status == "Success"
    assert [(tag.TagName, tag.DataType, tag.Size) for tag in tags.Value] == [
        (tag.name, tag.udt.name, tag.dimension) for tag in TAGS
    ]
    visible = [field for field in fields if not field.TagName.startswith("ZZZZZZZZZZ")]
    assert [(field.TagName, field.DataType) for field in visible] == [
        (member.name, member.type) for member in RESULT.members
    ]


def test_pylogix_lists_every_tag_of_the_controller_and_of_its_programs(
    busy: tuple[TagMemory, Any],
) -> None:
    memory, client = busy
    listed = client.GetTagList()

    programs = {f"Program:{name}" for name in PROGRAMS}
    assert listed.Status == "Success"
    assert {tag.TagName for tag in listed.Value} - programs == tag_paths(memory)
    assert set(client.GetProgramsList().Value) == programs
    in_one = client.GetProgramTagList("Program:Conveyor").Value
    assert {tag.TagName for tag in in_one} == {
        name for name in tag_paths(memory) if name.startswith("Program:Conveyor.")
    }


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (named.DINT, -5),
        (named.SINT, -7),
        (named.BOOL, True),
        (named.STRING, "Reel 12"),
        (f"{named.STRING_ARRAY}[2]", "x" * 82),
        (f"{named.CELLS}[2].Total", 2**40),
        (f"{named.CELLS}[1].Motors[1].Name", "Feed"),
        (f"{named.CELLS}[1].Motors[0].History[9]", 99),
        (named.IN_PROGRAM, 2.5),
    ],
)
def test_pylogix_reads_back_every_kind_of_tag(
    busy: tuple[TagMemory, Any], tag: str, value: Any
) -> None:
    _, client = busy

    assert client.Write(tag, value).Status == "Success"
    assert client.Read(tag).Value == value


def test_pylogix_reads_back_an_array(busy: tuple[TagMemory, Any]) -> None:
    _, client = busy

    assert client.Write(f"{named.DINT_ARRAY}[5]", [7, 8, 9]).Status == "Success"
    assert client.Read(f"{named.DINT_ARRAY}[4]", 5).Value[1:4] == [7, 8, 9]


@pytest.mark.parametrize(
    ("download", "status"),
    [
        (Download(change=Change.DELETE, tag="VIS01_Sts"), "Path segment error"),
        (Download(change=Change.ACCESS, tag="VIS01_Sts"), "Privilege violation"),
        (Download(change=Change.RENUMBER), "Success"),
    ],
    ids=lambda value: value.change if isinstance(value, Download) else "",
)
def test_pylogix_is_told_what_a_download_changed_under_it(
    plc: LogixThread, client: Any, download: Download, status: str
) -> None:
    assert client.Write("VIS01_Sts.State", 2).Status == "Success"

    plc.download(download)

    assert client.Write("VIS01_Sts.State", 3).Status == status


def test_pylogix_reads_the_controllers_clock(client: Any) -> None:
    assert client.GetPLCTime().Status == "Success"


def test_pylogix_reads_the_identity(client: Any) -> None:
    device = client.GetDeviceProperties().Value

    assert (device.Vendor, device.ProductName) == (
        "Rockwell Automation/Allen-Bradley",
        "Taktgate stand-in Logix",
    )
