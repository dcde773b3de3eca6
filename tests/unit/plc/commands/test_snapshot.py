"""One reading of all tags: alike in both profiles, in words, compared with the one before."""

from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from taktgate.plc.commands.snapshot import HeartbeatAge, Snapshot, paths, snapshot, word
from taktgate.plc.commands.watch import JsonLines, Lines
from taktgate.plc.commands.watch_screen import picture
from taktgate.plc.contract.tags import COMMAND, RESULT, RESULT_SLOTS, STATUS, Udt

AGES = {"VIS01_Sts": 0.1, "VIS01_Cmd": 1.2}


def members(udt: Udt, start: int) -> dict[str, Any]:
    """Return values that are all different; 0 or 1 for a BOOL."""
    return {
        member.name: number % 2 if member.bit is not None else start + number
        for number, member in enumerate(udt.members)
    }


def as_pycomm3_lists(values: dict[str, Any], udt: Udt) -> dict[str, Any]:
    """Return *values* with the BOOLs behind all others, as pycomm3 reads a structure."""
    bits = {member.name for member in udt.members if member.bit is not None}
    return dict(sorted(values.items(), key=lambda item: item[0] in bits))


RESULTS = [members(RESULT, 100 * slot) for slot in range(RESULT_SLOTS)]
STATUS_VALUES, COMMAND_VALUES = members(STATUS, 1000), members(COMMAND, 2000)
UDT_VALUES: Sequence[Any] = [
    [as_pycomm3_lists(result, RESULT) for result in RESULTS],
    as_pycomm3_lists(STATUS_VALUES, STATUS),
    as_pycomm3_lists(COMMAND_VALUES, COMMAND),
]
FLAT_VALUES: Sequence[Any] = [
    *([result[member.name] for result in RESULTS] for member in RESULT.members),
    *STATUS_VALUES.values(),
    *COMMAND_VALUES.values(),
]


@pytest.fixture
def now() -> Snapshot:
    return snapshot("udt", UDT_VALUES)


def changed(before: Snapshot, element: str, **values: Any) -> Snapshot:
    elements = dict(before.elements)
    elements[element] = {**elements[element], **values}
    return Snapshot(elements=elements)


def test_both_profiles_show_the_same(now: Snapshot) -> None:
    assert snapshot("flat", FLAT_VALUES) == now
    assert now.slots == RESULTS
    assert list(now.slots[0]) == [member.name for member in RESULT.members]
    assert (now.status, now.command) == (STATUS_VALUES, COMMAND_VALUES)


def test_each_value_has_its_path() -> None:
    assert len(paths("udt")) == len(UDT_VALUES)
    assert len(paths("flat")) == len(FLAT_VALUES)
    assert paths("udt")[0] == "VIS01_Result{8}"
    assert "VIS01_Result_Score{8}" in paths("flat")
    assert "VIS01_Sts_Ready" in paths("flat")


@pytest.mark.parametrize(
    ("element", "member", "value", "words"),
    [
        ("VIS01_Result[3]", "Decision", 1, "1 PASS"),
        ("VIS01_Result[3]", "Decision", 0, "0 none"),
        ("VIS01_Result[3]", "Decision", 9, "9 unknown"),
        ("VIS01_Result[3]", "ErrorCode", 1, "1 TIMEOUT"),
        ("VIS01_Result[3]", "Score", 0.123456, "0.1235"),
        ("VIS01_Sts", "State", 4, "4 FAULT"),
        ("VIS01_Sts", "ErrorCode", 5, "5 PLC_STALLED"),
        ("VIS01_Sts", "Ready", True, "1"),
    ],
)
def test_codes_are_shown_with_their_words(
    element: str, member: str, value: float, words: str
) -> None:
    assert word(element, member, value) == words


def test_changes_name_members_and_leave_heartbeats_out(now: Snapshot) -> None:
    later = changed(now, "VIS01_Result[2]", Decision=2, DefectCode=1)
    later = changed(later, "VIS01_Sts", Heartbeat=7)
    later = changed(later, "VIS01_Cmd", PlcHeartbeat=7, AckSeq=5)
    assert later.changes_since(now) == {
        "VIS01_Cmd": ["AckSeq"],
        "VIS01_Result[2]": ["Decision", "DefectCode"],
    }


def test_a_heartbeat_is_as_old_as_its_last_change() -> None:
    age = HeartbeatAge()
    assert [age.observe(value, at) for value, at in ((7, 1.0), (7, 1.5), (8, 2.0), (8, 2.25))] == [
        0.0,
        0.5,
        0.0,
        0.25,
    ]


def test_lines_show_the_first_reading_whole_and_then_what_changed(now: Snapshot) -> None:
    written: list[str] = []
    lines = Lines(written.append)
    lines.show(now, 0.0)
    assert len(written) == 2 + RESULT_SLOTS
    written.clear()
    lines.show(changed(now, "VIS01_Result[2]", Decision=1), 0.2)
    lines.show(changed(now, "VIS01_Result[2]", Decision=1), 0.4)
    assert written == ["    0.200 s  VIS01_Result[2]  Decision 202 unknown -> 1 PASS\n"]


def test_lines_tell_when_a_heartbeat_stops_and_starts(now: Snapshot) -> None:
    written: list[str] = []
    lines = Lines(written.append)
    beats = (1, 2, 3, 3, 3, 3, 4, 5)
    for turn, beat in enumerate(beats):
        lines.show(changed(now, "VIS01_Sts", Heartbeat=beat), turn * 0.2)
    told = [line.split("  ")[-1].strip() for line in written if "VIS01_Sts" in line]
    assert [line for line in told if "," not in line] == [
        "Heartbeat moves",
        "Heartbeat stands still",
        "Heartbeat moves",
    ]


def test_lines_after_a_loss_begin_anew(now: Snapshot) -> None:
    written: list[str] = []
    for display in (Lines(written.append), JsonLines(written.append)):
        display.show(now, 0.0)
        written.clear()
        display.lose("cable")
        display.show(now, 1.0)
        assert "cable" in written[0]
        assert len(written) > 1


def test_json_is_written_for_a_change_and_not_for_a_heartbeat(now: Snapshot) -> None:
    written: list[str] = []
    display = JsonLines(written.append)
    for reading in (now, now, changed(now, "VIS01_Sts", Heartbeat=3)):
        display.show(reading, 0.0)
    assert len(written) == 1
    display.show(changed(now, "VIS01_Sts", Ready=5), 0.0)
    assert len(written) == 2


def test_the_picture_shows_words_ages_and_marks_what_changed(now: Snapshot) -> None:
    console = Console(record=True, width=130, force_terminal=True, file=StringIO())
    reading = changed(now, "VIS01_Sts", State=2)
    console.print(picture("here", reading, {"VIS01_Sts": ["State"]}, AGES))
    text = console.export_text(clear=False, styles=False)
    for words in ("here", "2 RUN", "0.1 s", "1.2 s", "SeqBegin", "702"):
        assert words in text
    styled = console.export_text(styles=True)
    assert "\x1b[1;30;43m2 RUN" in styled
    assert "\x1b[1;31m1.2 s" in styled
