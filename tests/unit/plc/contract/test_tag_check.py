"""A controller with other tags is refused, and the refusal says what to change."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from taktgate.plc.contract.tag_check import check_tags, differences
from taktgate.plc.contract.tags import TAGS, Tag
from taktgate.plc.errors import ContractMismatchError

Definitions = dict[str, dict[str, Any]]


def definition_of(tag: Tag) -> dict[str, Any]:
    """Return *tag* in the shape of pycomm3's uploaded definitions."""
    members: dict[str, dict[str, Any]] = {"ZZZZZZZZZZhost": {"offset": 0, "data_type_name": "SINT"}}
    for member in tag.udt.members:
        members[member.name] = {"offset": member.offset, "data_type_name": member.type.value}
        if member.bit is not None:
            members[member.name]["bit"] = member.bit
    return {
        "tag_type": "struct",
        "dim": int(tag.dimension > 0),
        "dimensions": [tag.dimension, 0, 0],
        "external_access": "Read/Write" if tag.written_by == "vision" else "Read Only",
        "data_type": {
            "internal_tags": members,
            "attributes": [member.name for member in tag.udt.members],
            "template": {"structure_size": tag.udt.size},
        },
    }


@pytest.fixture
def definitions() -> Definitions:
    return {tag.name: definition_of(tag) for tag in TAGS}


def test_the_contract_itself_is_accepted(definitions: Definitions) -> None:
    check_tags(definitions)


def test_firmware_that_has_no_external_access_is_accepted(definitions: Definitions) -> None:
    for definition in definitions.values():
        definition["external_access"] = "Unknown"
    check_tags(definitions)


def drop_member(found: Definitions) -> None:
    del found["VIS01_Result"]["data_type"]["internal_tags"]["SeqEnd"]


def add_member(found: Definitions) -> None:
    found["VIS01_Sts"]["data_type"]["attributes"].append("Spare")


def set_tag(tag: str, key: str, value: object) -> Callable[[Definitions], None]:
    return lambda found: found[tag].update({key: value})


def set_member(tag: str, member: str, key: str, value: object) -> Callable[[Definitions], None]:
    return lambda found: found[tag]["data_type"]["internal_tags"][member].update({key: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found.pop("VIS01_Cmd"), "VIS01_Cmd: must exist"),
        (set_tag("VIS01_Sts", "tag_type", "atomic"), "VIS01_Sts: must be a UDT_VIS_Status"),
        (set_tag("VIS01_Result", "dimensions", [4, 0, 0]), "VIS01_Result: must have dimension 8"),
        (set_tag("VIS01_Cmd", "dim", 1), "VIS01_Cmd: must have dimension 0"),
        (set_tag("VIS01_Sts", "external_access", "Read Only"), "external access is 'Read Only'"),
        (set_tag("VIS01_Cmd", "external_access", "None"), "external access is 'None'"),
        (drop_member, "VIS01_Result.SeqEnd: must exist"),
        (add_member, "VIS01_Sts.Spare: must not exist"),
        (
            set_member("VIS01_Result", "Score", "data_type_name", "DINT"),
            "VIS01_Result.Score: must be a REAL",
        ),
        (set_member("VIS01_Cmd", "AckSeq", "array", 2), "VIS01_Cmd.AckSeq: must be a DINT"),
        (
            set_member("VIS01_Cmd", "TriggerId", "offset", 8),
            "VIS01_Cmd.TriggerId: must lie at offset 4",
        ),
        (
            set_member("VIS01_Result", "Pass", "bit", 2),
            "VIS01_Result.Pass: must lie at offset 32 bit 1",
        ),
        (
            lambda found: found["VIS01_Sts"]["data_type"]["template"].update(structure_size=60),
            "UDT_VIS_Status must have 56 bytes, has 60",
        ),
    ],
)
def test_each_difference_is_named(
    definitions: Definitions, change: Callable[[Definitions], None], words: str
) -> None:
    changed = copy.deepcopy(definitions)
    change(changed)
    with pytest.raises(ContractMismatchError) as caught:
        check_tags(changed)
    assert words in str(caught.value)


def test_all_differences_are_listed_in_the_order_of_the_table(definitions: Definitions) -> None:
    del definitions["VIS01_Result"]
    add_member(definitions)
    set_member("VIS01_Cmd", "AckSeq", "data_type_name", "REAL")(definitions)
    assert [(found.tag, found.member) for found in differences(definitions)] == [
        ("VIS01_Result", ""),
        ("VIS01_Sts", "Spare"),
        ("VIS01_Cmd", "AckSeq"),
    ]
