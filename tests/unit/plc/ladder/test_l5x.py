"""The L5X, read by somebody else's reader, against what the stand-in PLC serves."""

import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import l5x
import pytest

from taktgate.cli import main
from taktgate.plc.contract.tags import FLAT_TAGS, RESULT_SLOTS, TAGS
from taktgate.plc.ladder.gate_operands import OPERANDS, Operands
from taktgate.plc.ladder.gate_program import WATCHDOG_MS, program_tags, rungs
from taktgate.plc.ladder.l5x import Field, Plant, data_types, to_l5x
from taktgate.standin.logix.data_types import Atomic, template_of
from taktgate.standin.logix.memory import symbols_of

SIZES = {"DINT": 4, "REAL": 4, "SINT": 1}
UDT, FLAT = OPERANDS["udt"], OPERANDS["flat"]
STATION = Path(__file__).parents[4] / "config" / "station.yaml"

both_profiles = pytest.mark.parametrize("names", [UDT, FLAT], ids=["udt", "flat"])


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("l5x")
    for names in (UDT, FLAT):
        text = to_l5x(names, Plant(station="VIS01", deadline_ms=150))
        (folder / f"{names.profile}.L5X").write_text(text, encoding="utf-8")
    return {name: l5x.Project(str(folder / f"{name}.L5X")) for name in ("udt", "flat")}


def layout(fields: tuple[Field, ...]) -> list[tuple[str, str, int, int]]:
    """Return name, type, offset and bit as Logix lays the type out: DINT and REAL at fours."""
    placed, offset = [], 0
    for field in fields:
        if field.host:
            placed.append((field.name, "BOOL", offset - 1, field.bit))
            continue
        size = SIZES[field.type]
        offset = -(-offset // size) * size
        placed.append((field.name, field.type, offset, 0))
        offset += size
    return placed


def test_types_are_laid_out_as_the_stand_in_serves_them() -> None:
    types = data_types(UDT)
    for number, tag in enumerate(TAGS):
        served = [
            (field.name, field.type.name, field.offset, field.bit or 0)
            for field in template_of(tag.udt, number).fields
        ]
        assert layout(types[tag.udt.name]) == served
        assert Atomic.DINT.size_bytes == SIZES["DINT"]


def test_flat_file_has_no_types_and_the_tags_that_the_stand_in_serves() -> None:
    root = ElementTree.fromstring(to_l5x(FLAT))
    assert not list(root.iter("DataType"))
    declared = {
        tag.get("Name"): (tag.get("DataType"), int(tag.get("Dimensions", "0")))
        for tag in root.iter("Tag")
    }
    for symbol in symbols_of(FLAT_TAGS):
        assert isinstance(symbol.data_type, Atomic)
        assert declared[symbol.name] == (symbol.data_type.name, symbol.dimension)


def all_tags(names: Operands) -> set[str]:
    own = {tag.name for tag in program_tags(names)}
    return own | {tag.name for tag in names.contract_tags}


@both_profiles
def test_other_reader_finds_all_tags(projects: dict[str, Any], names: Operands) -> None:
    tags = projects[names.profile].controller.tags
    assert set(tags.names) == all_tags(names)
    assert tags["VIS01_HbTmr"]["PRE"].value == WATCHDOG_MS


def test_other_reader_finds_the_members_of_structures(projects: dict[str, Any]) -> None:
    tags = projects["udt"].controller.tags
    for tag in TAGS:
        assert tags[tag.name].data_type == tag.udt.name
    assert tags["VIS01_Result"].shape == (RESULT_SLOTS,)
    assert tags["VIS01_Result"][RESULT_SLOTS - 1]["Score"].value == 0.0
    assert tags["VIS01_Part"][3]["DeadlineTmr"]["DN"].value == 0
    assert tags["VIS01_Cmd"]["DeadlineMs"].value == 150


def test_other_reader_finds_the_elements_of_flat_arrays(projects: dict[str, Any]) -> None:
    tags = projects["flat"].controller.tags
    assert tags["VIS01_Result_Score"].shape == (RESULT_SLOTS,)
    assert tags["VIS01_Result_Score"][RESULT_SLOTS - 1].value == 0.0
    assert tags["VIS01_Result_Valid"][0].value == 0
    assert tags["VIS01_Part_DeadlineTmr"][3]["DN"].value == 0
    assert tags["VIS01_Part_Open"].shape == (32,)
    assert tags["VIS01_Cmd_DeadlineMs"].value == 150
    assert tags["VIS01_Cmd_TriggerId"].value == 0


def test_other_reader_can_set_a_value_of_the_contract(projects: dict[str, Any]) -> None:
    project = projects["udt"]
    project.controller.tags["VIS01_Cmd"]["RecipeId"].value = 3
    assert project.controller.tags["VIS01_Cmd"]["RecipeId"].value == 3


@both_profiles
def test_only_what_the_vision_side_writes_can_be_written_from_outside(names: Operands) -> None:
    root = ElementTree.fromstring(to_l5x(names))
    writable = {
        tag.get("Name") for tag in root.iter("Tag") if tag.get("ExternalAccess") == "Read/Write"
    }
    assert writable == {tag.name for tag in names.contract_tags if tag.written_by == "vision"}


@both_profiles
def test_file_holds_the_routine_rung_by_rung(names: Operands) -> None:
    root = ElementTree.fromstring(to_l5x(names))
    (routine,) = root.iter("Routine")
    assert (routine.get("Name"), routine.get("Type"), routine.get("Use")) == (
        "VIS01",
        "RLL",
        "Target",
    )
    texts = [element.findtext("Text") for element in routine.iter("Rung")]
    assert texts == [rung.text for rung in rungs(names)]
    assert all(element.findtext("Comment") for element in routine.iter("Rung"))


@both_profiles
def test_file_says_where_it_belongs_and_how_it_is_called(names: Operands) -> None:
    root = ElementTree.fromstring(to_l5x(names, Plant(station="VIS07", deadline_ms=150)))
    about = root.findtext(".//Routine/Description") or ""
    for words in ("VIS07", f"profile {names.profile}", "150 ms", "watchdog 400 ms", "JSR(VIS01,0)"):
        assert words in about


def test_elements_come_in_the_order_of_the_format() -> None:
    root = ElementTree.fromstring(to_l5x(UDT))
    assert [(root.get(key)) for key in ("SchemaRevision", "TargetType", "TargetSubType")] == [
        "1.0",
        "Routine",
        "RLL",
    ]
    (controller,) = root
    assert [child.tag for child in controller] == ["DataTypes", "Tags", "Programs"]
    assert {child.get("Use") for child in controller} == {"Context"}
    (routine,) = root.iter("Routine")
    assert [child.tag for child in routine] == ["Description", "RLLContent"]
    assert [rung.get("Number") for rung in routine.iter("Rung")] == [
        str(number) for number in range(len(rungs(UDT)))
    ]


def test_bits_lie_in_hidden_hosts_as_in_real_exports() -> None:
    root = ElementTree.fromstring(to_l5x(UDT))
    for declared in root.iter("DataType"):
        members = {member.get("Name"): member for member in declared.iter("Member")}
        bits = [member for member in members.values() if member.get("DataType") == "BIT"]
        assert bits
        for bit in bits:
            host = members[bit.get("Target")]
            assert (host.get("DataType"), host.get("Hidden")) == ("SINT", "true")
            assert re.fullmatch(r"ZZZZZZZZZZ\w{10}\d+", host.get("Name") or "")
            assert bit.get("Hidden") == "false"


@both_profiles
def test_every_name_of_the_routine_is_a_tag_of_the_file(names: Operands) -> None:
    text = " ".join(rung.text for rung in rungs(names))
    used = {part.split(".")[0].split("[")[0] for part in _operands(text)}
    assert used - all_tags(names) == {"S"}


def _operands(text: str) -> list[str]:
    inside = [part.split(")")[0] for part in text.split("(")[1:]]
    operands = [operand for part in inside for operand in part.split(",")]
    return [each.replace(":", ".") for each in operands if each[:1].isalpha()]


def test_command_writes_the_file_of_a_station(tmp_path: Path) -> None:
    path = tmp_path / "VIS01.L5X"
    assert main(["plc", "l5x", "--station", str(STATION), "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == to_l5x(UDT, Plant(station="VIS01"))
    arguments = ["--profile", "flat", "--deadline-ms", "150"]
    assert main(["plc", "l5x", *arguments, "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == to_l5x(FLAT, Plant(deadline_ms=150))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "no/such/folder/VIS01.L5X"], "VIS01.L5X: No such file"),
        (["-o", "/"], "/: must be a file"),
        (["-o", "."], ".: must be a file"),
        (["--station", "no.yaml"], "no.yaml"),
        (["--deadline-ms", "0"], "deadline_ms must be within 1..10000, got 0"),
        (
            ["--station", str(STATION), "--deadline-ms", "50"],
            "must be more than the station's judge.decision_reserve_ms (50)",
        ),
        (["--station", str(STATION), "--profile", "flat"], "says udt"),
    ],
    ids=["folder", "root", "here", "station", "deadline", "reserve", "profile"],
)
def test_command_says_what_is_wrong(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plc", "l5x", *arguments]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert not said.out


def test_command_does_not_put_a_file_in_the_place_of_a_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert main(["plc", "l5x", "-o", str(pipe)]) == 2
    assert "pipe: must be a file" in capsys.readouterr().err
    assert pipe.is_fifo()
