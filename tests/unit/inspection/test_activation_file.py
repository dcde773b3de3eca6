"""What the station still knows after its memory was damaged."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from taktgate.contracts.activation import Activation, Rollback, SlotRef
from taktgate.contracts.codec import encode
from taktgate.contracts.model import ModelRef
from taktgate.inspection.activation_file import EMPTY, ActivationFiles
from taktgate.inspection.errors import ActivationFileError

DIGEST = "sha256:" + "a" * 64
GOOD = SlotRef(
    model=ModelRef(name="weld", version="1.0.0", digest=DIGEST), order="o1", slot="slot-a"
)
FIRST = replace(EMPTY, generation=1, last_known_good=GOOD)
BLOCKED = Rollback(
    digest="sha256:" + "b" * 64, order="o2", reason="OVER_REJECT", figures={}, message="", at=""
)
SECOND = replace(FIRST, generation=2, blocked=(BLOCKED,))
THIRD = replace(SECOND, generation=3)
DAMAGES = [b"", b"\0" * 400, encode(THIRD)[:-20], b'{"contract":"9.0","generation":3}']


def memory(folder: Path, *written: Activation) -> ActivationFiles:
    files = ActivationFiles(folder=folder)
    for each in written:
        files.write(each)
    return files


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_activation_falls_back_to_the_generation_before(
    tmp_path: Path, damage: bytes
) -> None:
    files = memory(tmp_path, FIRST, SECOND, THIRD)
    (tmp_path / "activation.json").write_bytes(damage)

    assert files.read() == SECOND, "the judge boots from it"
    recalled = files.recall()
    assert recalled.activation == SECOND, "what was blocked stays blocked"
    assert recalled.fault is not None
    assert "activation.json" in recalled.fault

    files.repair(recalled.activation)
    assert (tmp_path / "activation.json.unreadable").read_bytes() == damage
    assert files.recall().fault is None
    files.write(THIRD)
    assert files.read() == THIRD


def test_an_activation_that_has_gone_falls_back_too(tmp_path: Path) -> None:
    files = memory(tmp_path, FIRST, SECOND)
    (tmp_path / "activation.json").unlink()

    assert files.read() == FIRST
    assert files.recall().fault is not None


def test_a_damaged_file_never_becomes_the_generation_before(tmp_path: Path) -> None:
    files = memory(tmp_path, FIRST, SECOND)
    (tmp_path / "activation.json").write_bytes(b"{")
    files.write(THIRD)
    (tmp_path / "activation.json").write_bytes(b"{")

    assert files.read() == FIRST


def test_when_both_are_damaged_the_station_knows_that_it_has_forgotten(tmp_path: Path) -> None:
    files = memory(tmp_path, FIRST, SECOND)
    for name in ("activation.json", "activation.json.prev"):
        (tmp_path / name).write_bytes(b"{")

    with pytest.raises(ActivationFileError):
        files.read()
    recalled = files.recall()
    assert recalled.activation == replace(EMPTY, has_forgotten=True)
    assert recalled.fault is not None
    files.repair(recalled.activation)
    assert files.recall().activation.has_forgotten, "until something is known again"
    assert files.read().has_forgotten, "and others can read that, so that the station goes on"


def test_a_new_station_has_forgotten_nothing(tmp_path: Path) -> None:
    recalled = ActivationFiles(folder=tmp_path).recall()

    assert (recalled.activation, recalled.fault) == (EMPTY, None)


def test_fields_of_a_newer_minor_version_are_passed_over(tmp_path: Path) -> None:
    document = json.loads(encode(FIRST))
    document["contract"], document["new"] = "1.9", True
    document["last_known_good"]["new"] = 1
    (tmp_path / "activation.json").write_text(json.dumps(document))

    assert ActivationFiles(folder=tmp_path).read().last_known_good == GOOD
