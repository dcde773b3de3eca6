"""What a download does to the tags, and what sessions that were open before see of it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.standin.logix_bench import READ, WRITE, dint, path, request, set_state, status_of

from taktgate.plc.contract.tags import RESULT, STATUS, TAGS
from taktgate.standin.logix.data_types import Atomic, Template
from taktgate.standin.logix.downloads import Change, Download, next_symbols
from taktgate.standin.logix.errors import DownloadError, Status
from taktgate.standin.logix.firmware import Firmware
from taktgate.standin.logix.foreign_tags import among_foreign
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.router import Router
from taktgate.standin.logix.tag_table import Symbol

ROOM = 4000
MARKS = b"\x03\x02\x20\xac\x24\x01" + struct.pack("<6H", 5, 1, 2, 3, 4, 10)
STATE = path("VIS01_Sts", "State")


class Controller:
    """A router, a memory, and the engineer beside them."""

    def __init__(self, extra_tags: int = 0) -> None:
        self.memory = TagMemory(among_foreign(symbols_of(TAGS), extra_tags))
        self.router = Router(self.memory)

    def download(self, change: Change, tag: str = "", member: str = "") -> None:
        download = Download(change=change, tag=tag, member=member)
        self.memory.install(next_symbols(self.memory.symbols, download))

    def ask(self, message: bytes) -> tuple[int, int | None]:
        return status_of(self.router.answer(message, ROOM))

    def marks(self) -> bytes:
        return self.router.answer(MARKS, ROOM)

    def symbol(self, name: str) -> Symbol:
        symbol = self.memory.symbol(name)
        assert symbol is not None
        return symbol


@pytest.fixture
def controller() -> Controller:
    return Controller()


def test_a_write_by_a_stale_instance_id_lands_in_another_tag_without_an_error(
    controller: Controller,
) -> None:
    """Hazard F6 of the note: why names are used instead."""
    controller.download(Change.ADD, tag="Press_Force_SP")
    stale = controller.symbol("Press_Force_SP").instance_id
    write = request(WRITE, bytes((0x20, 0x6B, 0x24, stale)), dint(4711))
    controller.download(Change.ADD, tag="New_Tag")

    assert controller.ask(write) == (Status.SUCCESS, None)
    assert controller.memory.element("New_Tag") == struct.pack("<i", 4711)
    assert controller.memory.element("Press_Force_SP") == bytes(4)
    assert controller.ask(request(WRITE, path("Press_Force_SP"), dint(5))) == (0, None)
    assert controller.memory.element("Press_Force_SP") == struct.pack("<i", 5)


@pytest.mark.parametrize("extra_tags", [0, 100])
def test_after_renumbering_every_id_belongs_to_another_tag(extra_tags: int) -> None:
    controller = Controller(extra_tags)
    before = controller.memory.table
    controller.download(Change.RENUMBER)

    for symbol in before.symbols:
        after = controller.memory.table.by_instance(symbol.program, symbol.instance_id)
        assert after is not None
        assert after.path != symbol.path
    assert controller.ask(set_state(2)) == (0, None), "the name still leads to the tag"


def test_a_new_tag_takes_the_first_id_and_all_others_go_up_by_one() -> None:
    controller = Controller(20)
    before = controller.memory.table
    controller.download(Change.ADD)

    ids = {s.path: s.instance_id for s in controller.memory.symbols if not s.program}
    lowest = min(s.instance_id for s in before.scope("") or ())
    assert ids.pop("AAA_New_Tag") == lowest
    assert ids == {s.path: s.instance_id + 1 for s in before.symbols if not s.program}


@pytest.mark.parametrize(
    ("change", "member", "expected"),
    [
        (Change.DELETE, "", (Status.PATH_SEGMENT_ERROR, None)),
        (Change.RETYPE, "State", (Status.GENERAL_ERROR, 0x2107)),
        (Change.RETYPE, "", (Status.PATH_SEGMENT_ERROR, None)),
        (Change.ACCESS, "", (Status.PERMISSION_DENIED, None)),
        (Change.RESHAPE, "", (Status.SUCCESS, None)),
        (Change.NONE, "", (Status.SUCCESS, None)),
    ],
)
def test_a_session_that_was_open_gets_the_error_of_the_new_table(
    controller: Controller, change: Change, member: str, expected: tuple[int, int | None]
) -> None:
    assert controller.ask(set_state(2)) == (0, None), "the path is known before"
    controller.download(change, "VIS01_Sts", member)

    assert controller.ask(set_state(3)) == expected


@pytest.mark.parametrize(
    ("change", "member"),
    [(Change.RESHAPE, ""), (Change.RESHAPE, "Score"), (Change.RETYPE, "Score")],
)
def test_a_whole_write_with_the_handle_of_the_old_type_is_refused(
    controller: Controller, change: Change, member: str
) -> None:
    old = controller.symbol("VIS01_Result").data_type.wire_type
    write = request(WRITE, path("VIS01_Result", 3), old + b"\x01\0" + bytes(RESULT.size))
    assert controller.ask(write) == (0, None)
    controller.download(change, "VIS01_Result", member)

    assert controller.ask(write) == (Status.GENERAL_ERROR, 0x2107)


def test_without_external_access_a_tag_is_not_even_read(controller: Controller) -> None:
    controller.download(Change.ACCESS, "VIS01_Cmd")

    assert controller.ask(request(READ, path("VIS01_Cmd"), b"\x01\0")) == (
        Status.PERMISSION_DENIED,
        None,
    )


def test_a_new_member_moves_all_behind_it_with_the_hidden_hosts(controller: Controller) -> None:
    before = controller.symbol("VIS01_Result").data_type
    controller.download(Change.RESHAPE, "VIS01_Result", "AgeMs")
    after = controller.symbol("VIS01_Result").data_type
    assert isinstance(before, Template)
    assert isinstance(after, Template)

    moved = {
        name: after.members[name].offset - field.offset for name, field in before.members.items()
    }
    assert {name for name, by in moved.items() if by == 0} == {
        "seqbegin", "triggerid", "decision", "defectcode", "defectcount", "score",
    }  # fmt: skip
    assert set(moved.values()) == {0, 4}
    assert after.members["newmember"].offset == before.members["agems"].offset
    assert (after.size_bytes, after.handle != before.handle) == (before.size_bytes + 4, True)


def test_what_is_unchanged_keeps_its_value_and_what_changes_is_zero(
    controller: Controller,
) -> None:
    controller.memory.store("VIS01_Result", "Valid", True, 3)
    controller.memory.store("VIS01_Sts", "State", 2)
    controller.download(Change.RESHAPE, "VIS01_Sts")

    assert controller.memory.load("VIS01_Result", "Valid", 3) is True
    assert not any(controller.memory.element("VIS01_Sts"))
    assert len(controller.memory.element("VIS01_Sts")) == STATUS.size + 4


def test_a_plain_download_brings_the_values_of_the_project(controller: Controller) -> None:
    controller.memory.store("VIS01_Result", "Valid", True, 3)
    controller.memory.install(controller.memory.symbols, keeps_values=False)

    assert controller.memory.load("VIS01_Result", "Valid", 3) is False


@pytest.mark.parametrize("change", Change)
def test_every_download_changes_the_change_marks(controller: Controller, change: Change) -> None:
    before = controller.marks()
    tag = "" if change is Change.ADD else "VIS01_Sts"
    controller.download(change, tag)

    assert controller.marks() != before
    assert controller.marks() == controller.marks()
    assert len(before) == len(controller.marks()) == 4 + 2 + 5 * 4 + 2 * 2 + 3 * 4


def test_two_tables_have_different_change_marks_from_the_start() -> None:
    assert Controller(50).marks() != Controller(51).marks()
    assert Controller(50).marks() == Controller(50).marks()


def test_a_controller_without_class_0xac_refuses_it() -> None:
    router = Router(TagMemory(symbols_of(TAGS)), firmware=Firmware(has_change_marks=False))

    assert status_of(router.answer(MARKS, ROOM)) == (Status.PATH_DESTINATION_UNKNOWN, None)


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        (Change.NONE, True),
        (Change.RENUMBER, True),
        (Change.ADD, True),
        (Change.ACCESS, True),
        (Change.DELETE, False),
        (Change.RETYPE, False),
        (Change.RESHAPE, False),
    ],
)
def test_the_program_runs_on_exactly_the_tags_of_the_contract(
    controller: Controller, change: Change, fits: bool
) -> None:
    controller.download(change, "" if change is Change.ADD else "VIS01_Cmd")

    assert controller.memory.fits(TAGS) is fits


@pytest.mark.parametrize(
    ("change", "tag", "member", "field"),
    [
        (Change.DELETE, "Nowhere", "", "tag"),
        (Change.DELETE, "", "", "tag"),
        (Change.DELETE, "Program:MainProgram", "", "tag"),
        (Change.RETYPE, "VIS01_Sts", "Nothing", "member"),
        (Change.RETYPE, "VIS01_Sts", "Ready", "member"),
        (Change.RETYPE, "Motor_0002", "Name", "member"),
        (Change.RESHAPE, "Count_0000", "", "tag"),
        (Change.ADD, "vis01_STS", "", "tag"),
    ],
)
def test_an_impossible_download_is_refused_by_its_field_and_changes_nothing(
    change: Change, tag: str, member: str, field: str
) -> None:
    controller = Controller(20)
    before = controller.memory.table

    with pytest.raises(DownloadError, match=field) as raised:
        controller.download(change, tag, member)

    assert raised.value.field == field
    assert controller.memory.table is before


def test_an_atomic_tag_is_retyped_as_a_whole() -> None:
    controller = Controller(20)
    controller.download(Change.RETYPE, "Count_0000")
    assert controller.symbol("Count_0000").data_type is Atomic.REAL
    controller.download(Change.RETYPE, "Count_0000")
    assert controller.symbol("Count_0000").data_type is Atomic.DINT


@given(
    st.lists(
        st.builds(
            Download,
            change=st.sampled_from(Change),
            tag=st.sampled_from(["", "VIS01_Sts", "VIS01_Result", "Motor_0002", "Count_0000"]),
            member=st.sampled_from(["", "State", "Score", "Speed"]),
        ),
        max_size=8,
    )
)
def test_any_series_of_downloads_leaves_a_table_whose_tags_are_all_found(
    downloads: list[Download],
) -> None:
    controller = Controller(20)
    for download in downloads:
        try:
            controller.memory.install(next_symbols(controller.memory.symbols, download))
        except DownloadError:
            continue
    table = controller.memory.table
    for symbol in table.symbols:
        assert table.by_name(symbol.path) is symbol
        assert table.by_instance(symbol.program, symbol.instance_id) is symbol
        assert len(controller.memory.bytes_of(symbol)) == symbol.size_bytes
