"""Unmodified pycomm3 judges the stand-in PLC: it must not agree only with itself."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pycomm3 import LogixDriver
from tests.contract import plc_controller as named
from tests.contract.plc_controller import RESULT_3, busy_memory, tag_paths

from taktgate.plc.contract.tags import COMMAND, STATUS, TAGS, CipType
from taktgate.standin.line.__main__ import parse_arguments
from taktgate.standin.line.process import LineProcess
from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.faults import Faults
from taktgate.standin.logix.firmware import Firmware
from taktgate.standin.logix.foreign_tags import PROGRAMS
from taktgate.standin.logix.identity import Mode
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.thread import LogixThread


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


@pytest.fixture(scope="module")
def busy() -> Iterator[Any]:
    """A driver at a controller with many foreign tags."""
    with LogixThread(busy_memory()) as plc, LogixDriver(f"{plc.address}/0") as opened:
        yield opened


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


def test_pycomm3_uploads_every_tag_of_the_controller_and_of_its_programs() -> None:
    memory = busy_memory()
    with LogixThread(memory) as plc, LogixDriver(f"{plc.address}/0") as driver:
        assert set(driver.tags) == tag_paths(memory)
        assert set(driver.info["programs"]) == set(PROGRAMS)
        assert set(driver.info["tasks"]) == {"MainTask"}
        everything = driver.read(*driver.tags)
    assert [tag.tag for tag in everything if tag.error] == []


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (named.DINT, -5),
        (named.SINT, -7),
        (named.BOOL, True),
        (named.STRING, "Reel 12"),
        (f"{named.STRING_ARRAY}[2]", "x" * 82),
        (f"{named.DINT_ARRAY}{{20}}", list(range(20))),
        (f"{named.REAL_ARRAY}[48]{{2}}", [0.5, -0.25]),
        (f"{named.BOOL_ARRAY}{{64}}", [number % 3 == 0 for number in range(64)]),
        (f"{named.CELLS}[2].Total", 2**40),
        (f"{named.CELLS}[1].Motors[1].Name", "Feed"),
        (f"{named.CELLS}[1].Motors[0].History[9]", 99),
        (named.IN_PROGRAM, 2.5),
    ],
)
def test_pycomm3_reads_back_every_kind_of_tag(busy: Any, tag: str, value: Any) -> None:
    assert busy.write(tag, value).error is None
    assert busy.read(tag).value == value


def test_pycomm3_writes_a_structure_with_structures_inside(busy: Any) -> None:
    cell = busy.read(f"{named.CELLS}[0]").value
    cell |= {"Id": 7, "Total": -(2**50), "Busy": True}
    cell["Motors"][1] |= {"Run": True, "Speed": 0.5, "Name": "Lift", "History": list(range(10))}

    assert busy.write(f"{named.CELLS}[0]", cell).error is None
    assert busy.read(f"{named.CELLS}[0]").value == cell


def test_pycomm3_may_only_read_a_tag_that_is_read_only(busy: Any) -> None:
    assert busy.tags[named.LINT_READ_ONLY]["external_access"] == "Read Only"
    assert busy.write(named.LINT_READ_ONLY, 1).error == "Permission denied"


@pytest.mark.parametrize(
    ("mode", "keyswitch"),
    [
        (Mode.RUN, "RUN"),
        (Mode.PROGRAM, "PROG"),
        (Mode.REMOTE_RUN, "REMOTE RUN"),
        (Mode.REMOTE_PROGRAM, "REMOTE PROG"),
    ],
)
def test_pycomm3_sees_where_the_key_stands(mode: Mode, keyswitch: str) -> None:
    with LogixThread(TagMemory(symbols_of(TAGS))) as plc:
        plc.set_mode(mode)
        with LogixDriver(f"{plc.address}/0", init_tags=False) as driver:
            assert driver.info["keyswitch"] == keyswitch


def test_pycomm3_falls_back_to_a_small_connection_where_large_ones_are_unknown() -> None:
    firmware = Firmware(has_large_connections=False)
    with (
        LogixThread(TagMemory(symbols_of(TAGS)), firmware=firmware) as plc,
        LogixDriver(f"{plc.address}/0") as driver,
    ):
        assert driver.connection_size == 500
        assert driver.read("VIS01_Result{8}").error is None


def test_pycomm3_is_refused_when_all_sessions_are_in_use() -> None:
    with LogixThread(TagMemory(symbols_of(TAGS))) as plc:
        plc.apply(Faults(is_refusing_sessions=True))
        driver: Any = LogixDriver(f"{plc.address}/0")
        assert driver.open() is False
        driver._sock.close()


@pytest.fixture
def own() -> Iterator[tuple[LogixThread, TagMemory, Any]]:
    """A controller that a test may change, and a driver that was opened before."""
    memory = TagMemory(symbols_of(TAGS))
    with LogixThread(memory) as plc, LogixDriver(f"{plc.address}/0") as driver:
        yield plc, memory, driver


@pytest.mark.parametrize(
    ("download", "error"),
    [
        (Download(change=Change.DELETE, tag="VIS01_Sts"), "(04, 00)"),
        (Download(change=Change.RETYPE, tag="VIS01_Sts", member="State"), "(ff, 2107)"),
        (Download(change=Change.ACCESS, tag="VIS01_Sts"), "Permission denied"),
    ],
    ids=lambda value: value.change if isinstance(value, Download) else "",
)
def test_pycomm3_is_told_what_a_download_changed_under_it(
    own: tuple[LogixThread, TagMemory, Any], download: Download, error: str
) -> None:
    plc, _, driver = own
    driver._cfg["use_instance_ids"] = False
    assert driver.write("VIS01_Sts.State", 2).error is None

    plc.download(download)

    refused = driver.write("VIS01_Sts.State", 3).error
    assert refused is not None
    assert error in refused


def test_pycomm3_with_stale_instance_ids_writes_another_tag_without_an_error() -> None:
    """Hazard F6 of the note: pycomm3 as shipped asks by the ids that it uploaded."""
    memory = TagMemory(symbols_of(TAGS))
    with LogixThread(memory) as plc:
        plc.download(Download(change=Change.ADD, tag="Press_Force_SP"))
        with LogixDriver(f"{plc.address}/0") as driver:
            plc.download(Download(change=Change.ADD, tag="New_Tag"))
            assert driver.write("Press_Force_SP", 4711).error is None
            driver._cfg["use_instance_ids"] = False
            assert driver.write("Press_Force_SP", 4712).error is None
    assert memory.element("New_Tag") == (4711).to_bytes(4, "little")
    assert memory.element("Press_Force_SP") == (4712).to_bytes(4, "little")


def test_pycomm3_sends_two_tags_in_one_request(own: tuple[LogixThread, TagMemory, Any]) -> None:
    plc, _, driver = own
    status = {member.name: 0 for member in STATUS.members}
    (before,) = plc.requests().values()

    driver.write(("VIS01_Result[3]", RESULT_3), ("VIS01_Sts", status))

    assert list(plc.requests().values()) == [before + 1]
    first, second = plc.newest_writes(2)
    assert (first.client, first.request) == (second.client, second.request)
    assert [(w.tag, w.element, w.order) for w in (first, second)] == [
        ("VIS01_Result", 3, 0),
        ("VIS01_Sts", 0, 1),
    ]


def test_pycomm3_finds_our_tags_at_a_plc_process_with_extra_tags(tmp_path: Path) -> None:
    def upload(address: str) -> dict[str, Any]:
        with LogixDriver(f"{address}/0") as driver:
            return dict(driver.tags)

    async def scenario() -> None:
        line = LineProcess(control=tmp_path / "plc.sock", extra_tags=30)
        await line.start()
        try:
            uploaded = await asyncio.to_thread(upload, line.address)
            assert len(uploaded) == 30 + len(TAGS)
            assert {tag.name for tag in TAGS} <= set(uploaded)
            # The program runs among them.
            while not (await line.status())["scan"]["scans"]:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
        finally:
            await line.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("count", ["-1", "5001"])
def test_a_count_of_extra_tags_out_of_its_range_is_refused(
    capsys: pytest.CaptureFixture[str], count: str
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--control=plc.sock", f"--extra-tags={count}"])
    assert "--extra-tags must be 0..5000" in capsys.readouterr().err
