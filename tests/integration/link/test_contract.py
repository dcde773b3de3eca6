"""Tags that are not ours are refused by name before there is a session, in either profile."""

from dataclasses import replace
from typing import Any

import pytest

from taktgate.plc.contract.flat_profile import FlatProfile
from taktgate.plc.contract.tags import (
    FLAT_TAGS,
    RESULT_TAG,
    STATUS_TAG,
    TAGS,
    CipType,
    Tag,
)
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.contract.wire import Profile
from taktgate.plc.opening.check_report import Finding
from taktgate.plc.opening.contract_check import check_controller
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.thread import LogixThread

UDT, FLAT = UdtProfile(), FlatProfile()


def changed(tags: tuple[Tag, ...], name: str, **changes: Any) -> tuple[Tag, ...]:
    return tuple(replace(tag, **changes) if tag.name == name else tag for tag in tags)


def with_score_as_dint() -> tuple[Tag, ...]:
    members = tuple(
        replace(member, type=CipType.DINT) if member.name == "Score" else member
        for member in RESULT_TAG.udt.members
    )
    return changed(TAGS, RESULT_TAG.name, type=replace(RESULT_TAG.udt, members=members))


@pytest.mark.parametrize(
    ("profile", "tags", "words"),
    [
        (UDT, (RESULT_TAG, STATUS_TAG), "VIS01_Cmd: must exist"),
        (UDT, with_score_as_dint(), "VIS01_Result.Score: must be a REAL"),
        (UDT, changed(TAGS, RESULT_TAG.name, dimension=4), "VIS01_Result: must have dimension 8"),
        (
            UDT,
            changed(TAGS, STATUS_TAG.name, written_by="plc"),
            "VIS01_Sts: external access is 'Read Only'",
        ),
        (FLAT, FLAT_TAGS[1:], "VIS01_Result_SeqBegin: must exist"),
        (
            FLAT,
            changed(FLAT_TAGS, "VIS01_Result_Score", type=CipType.DINT),
            "VIS01_Result_Score: must be a REAL, is a DINT",
        ),
        (FLAT, changed(FLAT_TAGS, "VIS01_Result_Valid", dimension=4), "must have dimension 8"),
        (
            FLAT,
            changed(FLAT_TAGS, "VIS01_Sts_Ready", written_by="plc"),
            "external access is 'Read Only'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_tags_than_ours_are_a_mismatch_by_name(
    profile: Profile, tags: tuple[Tag, ...], words: str
) -> None:
    with LogixThread(TagMemory(symbols_of(tags))) as controller:
        report = check_controller(controller.address, profile)
    assert report.finding is Finding.MISMATCH
    assert words in report.words
    assert report.contract is None
