"""The L5X, read by somebody else's reader, against what the stand-in PLC serves."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import l5x
import pytest

from taktgate.cli import main
from taktgate.plc.contract.tags import RESULT_SLOTS, TAGS
from taktgate.plc.ladder.gate_program import PROGRAM_TAGS, WATCHDOG_MS, rungs
from taktgate.plc.ladder.l5x import Field, data_types, to_l5x
from taktgate.standin.logix.data_types import Atomic, template_of

SIZES = {"DINT": 4, "REAL": 4, "SINT": 1}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("l5x") / "VIS01.L5X"
    path.write_text(to_l5x(), encoding="utf-8")
    return l5x.Project(str(path))


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
    types = data_types()
    for number, tag in enumerate(TAGS):
        served = [
            (field.name, field.type.name, field.offset, field.bit or 0)
            for field in template_of(tag.udt, number).fields
        ]
        assert layout(types[tag.udt.name]) == served
        assert Atomic.DINT.size_bytes == SIZES["DINT"]


def test_other_reader_finds_the_tags_with_their_types(project: Any) -> None:
    tags = project.controller.tags
    assert set(tags.names) == {tag.name for tag in TAGS} | {tag.name for tag in PROGRAM_TAGS}
    for tag in TAGS:
        assert tags[tag.name].data_type == tag.udt.name
    assert tags["VIS01_Result"].shape == (RESULT_SLOTS,)
    assert tags["VIS01_Result"][RESULT_SLOTS - 1]["Score"].value == 0.0
    assert tags["VIS01_HbTmr"]["PRE"].value == WATCHDOG_MS
    assert tags["VIS01_Part"][3]["DeadlineTmr"]["DN"].value == 0


def test_other_reader_can_set_a_value_of_the_contract(project: Any) -> None:
    project.controller.tags["VIS01_Cmd"]["DeadlineMs"].value = 150
    assert project.controller.tags["VIS01_Cmd"]["DeadlineMs"].value == 150


def test_file_holds_the_routine_rung_by_rung() -> None:
    root = ElementTree.fromstring(to_l5x())
    (routine,) = root.iter("Routine")
    assert (routine.get("Name"), routine.get("Type"), routine.get("Use")) == (
        "VIS01",
        "RLL",
        "Target",
    )
    texts = [element.findtext("Text") for element in routine.iter("Rung")]
    assert texts == [rung.text for rung in rungs()]
    assert all(element.findtext("Comment") for element in routine.iter("Rung"))


def test_every_name_of_the_routine_is_a_tag_of_the_file() -> None:
    names = {tag.name for tag in TAGS} | {tag.name for tag in PROGRAM_TAGS} | {"S"}
    text = " ".join(rung.text for rung in rungs())
    used = {part.split(".")[0].split("[")[0] for part in _operands(text)}
    assert used - names == set()


def _operands(text: str) -> list[str]:
    inside = [part.split(")")[0] for part in text.split("(")[1:]]
    operands = [operand for part in inside for operand in part.split(",")]
    return [each.replace(":", ".") for each in operands if each[:1].isalpha()]


def test_command_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "VIS01.L5X"
    assert main(["plc", "l5x", "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == to_l5x()
    assert main(["plc", "l5x", "-o", str(tmp_path / "no" / "such.L5X")]) == 2
    assert "such.L5X" in capsys.readouterr().err
