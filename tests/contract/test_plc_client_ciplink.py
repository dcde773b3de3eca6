"""Unmodified ciplink judges the stand-in PLC: a client that watches the tag table's version."""

from collections.abc import Iterator
from typing import Any

import pytest
from ciplink import LogixDriver
from tests.contract import plc_controller as named
from tests.contract.plc_controller import RESULT_3, busy_memory, tag_paths

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.firmware import Firmware
from taktgate.standin.logix.foreign_tags import PROGRAMS
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.thread import LogixThread


@pytest.fixture
def memory() -> TagMemory:
    return busy_memory()


@pytest.fixture
def plc(memory: TagMemory) -> Iterator[LogixThread]:
    with LogixThread(memory) as thread:
        yield thread


@pytest.fixture
def driver(plc: LogixThread) -> Iterator[Any]:
    with LogixDriver(f"{plc.address}/0") as opened:
        yield opened


@pytest.fixture(scope="module")
def busy() -> Iterator[Any]:
    with LogixThread(busy_memory()) as plc, LogixDriver(f"{plc.address}/0") as opened:
        yield opened


def test_ciplink_uploads_every_tag_and_reads_them_all(driver: Any, memory: TagMemory) -> None:
    assert set(driver.tags) == tag_paths(memory)
    assert set(driver.info["programs"]) == set(PROGRAMS)
    assert driver.info["keyswitch"] == "REMOTE RUN"
    assert [tag.tag for tag in driver.read(*driver.tags) if tag.error] == []


def test_ciplink_writes_the_contract_in_one_request(
    plc: LogixThread, driver: Any, memory: TagMemory
) -> None:
    written = driver.write(("VIS01_Result[3]", RESULT_3), ("VIS01_Sts.State", 2))

    assert [tag.error for tag in written] == [None, None]
    assert driver.read("VIS01_Result[3]").value == RESULT_3
    assert memory.load("VIS01_Sts", "State") == 2
    first, second = plc.newest_writes(2)
    assert (first.request, first.order) == (second.request, second.order - 1)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (named.DINT, -5),
        (named.SINT, -7),
        (named.BOOL, True),
        (named.STRING, "Reel 12"),
        (f"{named.STRING_ARRAY}[2]", "x" * 82),
        (f"{named.DINT_ARRAY}{{20}}", list(range(20))),
        (f"{named.BOOL_ARRAY}{{64}}", [number % 3 == 0 for number in range(64)]),
        (f"{named.CELLS}[2].Total", 2**40),
        (f"{named.CELLS}[1].Motors[1].Name", "Feed"),
        (named.IN_PROGRAM, 2.5),
    ],
)
def test_ciplink_reads_back_every_kind_of_tag(busy: Any, tag: str, value: Any) -> None:
    assert busy.write(tag, value).error is None
    assert busy.read(tag).value == value


def test_ciplink_may_only_read_what_is_the_controllers_own(busy: Any) -> None:
    for tag in ("VIS01_Cmd.AckSeq", named.LINT_READ_ONLY):
        assert "denied" in busy.write(tag, 1).error.lower()


@pytest.mark.parametrize("change", [Change.RENUMBER, Change.ADD, Change.NONE])
def test_ciplink_notices_a_download_by_class_0xac_and_writes_the_right_tag(
    plc: LogixThread, driver: Any, memory: TagMemory, change: Change
) -> None:
    plc.download(Download(change=change))

    assert driver.write("Count_0056", 4711).error is None
    assert memory.element("Count_0056") == (4711).to_bytes(4, "little")
    newest = plc.newest_writes(5)
    assert {write.tag for write in newest} == {"Count_0056"}, "no other tag was hit before"


def test_ciplink_loads_a_changed_type_anew(
    plc: LogixThread, driver: Any, memory: TagMemory
) -> None:
    plc.download(Download(change=Change.RESHAPE, tag="VIS01_Sts", member="State"))

    assert driver.write("VIS01_Sts.State", 3).error is None
    assert memory.load("VIS01_Sts", "State") == 3
    assert driver.read("VIS01_Sts").value["NewMember"] == 0


def test_ciplink_knows_a_deleted_tag_is_gone(plc: LogixThread, driver: Any) -> None:
    plc.download(Download(change=Change.DELETE, tag="VIS01_Sts"))

    assert "exist" in driver.read("VIS01_Sts.State").error


def test_ciplink_asks_by_name_where_class_0xac_is_refused() -> None:
    memory = TagMemory(symbols_of(TAGS))
    firmware = Firmware(has_change_marks=False)
    with (
        LogixThread(memory, firmware=firmware) as plc,
        LogixDriver(f"{plc.address}/0") as driver,
    ):
        assert driver.write("VIS01_Sts.State", 2).error is None
        plc.download(Download(change=Change.RENUMBER))
        assert driver.write("VIS01_Sts.State", 3).error is None
    assert memory.load("VIS01_Sts", "State") == 3
