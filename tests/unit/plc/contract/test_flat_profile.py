"""The flat profile says the same as the udt profile, in atomic tags and in a safe order."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.plc.contract.encoding import Value, result_values, unpack, unpack_atomic
from taktgate.plc.contract.flat_profile import FlatProfile
from taktgate.plc.contract.packet_size import packets_of, request_bytes, verdicts_per_packet
from taktgate.plc.contract.records import Reading, ResultRecord, StatusRecord, echo_of
from taktgate.plc.contract.tags import (
    COMMAND_TAG,
    FLAT_TAGS,
    RESULT,
    RESULT_SLOTS,
    RESULT_TAG,
    STATUS,
    STATUS_TAG,
    TAGS,
    CipType,
    WriterState,
    flat_tag,
)
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.contract.wire import Profile, TagRead, TagWrite
from taktgate.plc.errors import ConnectionTooSmallError, ContractMismatchError

FLAT, UDT = FlatProfile(), UdtProfile()
DINTS = st.integers(-(2**31), 2**31 - 1)
RECORDS = st.builds(
    ResultRecord,
    sequence=DINTS,
    trigger_id=DINTS,
    decision=st.integers(1, 4),
    error_code=DINTS,
    score=st.floats(width=32, allow_nan=False),
    age_ms=DINTS,
    model_rev=DINTS,
    defect_code=DINTS,
    defect_count=DINTS,
)
STATUSES = st.builds(
    StatusRecord,
    **{
        name: DINTS
        for name in StatusRecord.__slots__
        if name not in ("state", "online", "ready", "fault")
    },
    state=st.sampled_from(WriterState),
    online=st.booleans(),
    ready=st.booleans(),
    fault=st.booleans(),
)


def flat_values(writes: Sequence[TagWrite], tag_name: str, index: str) -> dict[str, Value]:
    """Return what *writes* put into the atomic tags of *tag_name*, by member."""
    types = {tag.name: tag.atomic for tag in FLAT_TAGS}
    values: dict[str, Value] = {}
    for write in writes:
        name = write.path.removesuffix(index)
        if name.startswith(f"{tag_name}_"):
            assert types[name] is write.type
            values[name.removeprefix(f"{tag_name}_")] = unpack_atomic(types[name], write.data)
    return values


@given(record=RECORDS, status=STATUSES)
def test_both_profiles_write_the_same_values(record: ResultRecord, status: StatusRecord) -> None:
    flat, (whole_result, whole_status) = FLAT.writes([record], status), UDT.writes([record], status)
    index = f"[{record.trigger_id & 7}]"
    assert whole_result.path == f"{RESULT_TAG.name}{index}"
    assert flat_values(flat, RESULT_TAG.name, index) == unpack(RESULT, whole_result.data)
    assert flat_values(flat, STATUS_TAG.name, "") == unpack(STATUS, whole_status.data)
    assert all(write.path.endswith(index) for write in flat[: len(RESULT.members)])


@given(status=STATUSES)
def test_a_status_alone_is_preceded_by_its_heartbeat(status: StatusRecord) -> None:
    alone, whole = UDT.writes([], status)
    assert alone.path == "VIS01_Sts.Heartbeat"
    assert unpack_atomic(CipType.DINT, alone.data) == status.heartbeat
    assert whole.path == "VIS01_Sts"


@given(records=st.lists(RECORDS, max_size=8), status=STATUSES)
@pytest.mark.parametrize("profile", [FLAT, UDT], ids=lambda one: one.name)
def test_the_contents_of_a_write_are_the_data_of_its_elements(
    profile: Profile, records: list[ResultRecord], status: StatusRecord
) -> None:
    writes = profile.writes(records, status)
    assert profile.contents(records, status) == [write.data for write in writes]


@given(
    command=st.fixed_dictionaries(
        {m.name: st.booleans() if m.bit is not None else DINTS for m in COMMAND_TAG.udt.members}
    ),
    echo=st.none() | st.tuples(DINTS, DINTS, DINTS),
)
def test_both_profiles_read_the_same_command(
    command: dict[str, Value], echo: tuple[int, int, int] | None
) -> None:
    wants = echo is not None
    said: Sequence[int] = echo or ()
    in_order = [command[member.name] for member in COMMAND_TAG.udt.members]
    from_flat = FLAT.reading([*in_order, *said], echo=wants)
    from_udt = UDT.reading([command, *said], echo=wants)
    assert from_flat == from_udt
    assert isinstance(from_flat, Reading)


@given(records=st.lists(RECORDS, min_size=1, max_size=8))
def test_both_profiles_read_the_same_slots_back(records: list[ResultRecord]) -> None:
    values = [result_values(record) for record in records]
    reads = [read for record in records for read in FLAT.result_reads(record.trigger_id & 7)]
    in_flat = [
        value[name.removeprefix(f"{RESULT_TAG.name}_")]
        for value, names in zip(values, batched_names(reads, len(records)), strict=True)
        for name in names
    ]
    assert FLAT.results(in_flat) == UDT.results(values)


def batched_names(reads: list[TagRead], count: int) -> list[list[str]]:
    """Return the tags that are read, slot by slot, without their index."""
    size = len(reads) // count
    names = [read.path.partition("[")[0] for read in reads]
    return [names[start : start + size] for start in range(0, len(names), size)]


def test_too_few_values_for_a_slot_are_refused() -> None:
    with pytest.raises(ValueError, match="7 values for each slot"):
        FLAT.results([1] * 6)


def test_every_member_of_the_table_is_one_atomic_tag() -> None:
    assert [tag.name for tag in FLAT.tags] == [
        f"{tag.name}_{member.name}" for tag in TAGS for member in tag.udt.members
    ]
    assert len({tag.name.lower() for tag in FLAT_TAGS}) == len(FLAT_TAGS)
    assert all(len(tag.name) <= 40 and isinstance(tag.type, CipType) for tag in FLAT_TAGS)


def test_no_element_of_a_bool_array_is_written() -> None:
    assert not [tag for tag in FLAT_TAGS if tag.type is CipType.BOOL and tag.dimension]


@pytest.fixture
def record() -> ResultRecord:
    return ResultRecord(
        sequence=9, trigger_id=4714, decision=1, error_code=0, score=0.25, age_ms=42
    )


@pytest.fixture
def status() -> StatusRecord:
    fields: dict[str, Any] = dict.fromkeys(StatusRecord.__slots__, 0)
    return StatusRecord(**fields | {"state": WriterState.RUN, "ready": True, "fault": False})


def test_a_result_begins_with_its_seqbegin_and_ends_with_its_seqend(
    record: ResultRecord, status: StatusRecord
) -> None:
    paths = [write.path for write in FLAT.writes([record], status)]
    assert paths[0] == "VIS01_Result_SeqBegin[2]"
    assert paths[len(RESULT.members) - 1] == "VIS01_Result_SeqEnd[2]"


def test_reads_are_answered_by_the_tags_they_name(status: StatusRecord) -> None:
    paths = [read.path for read in FLAT.reads(echo=True)]
    assert paths[:2] == ["VIS01_Cmd_PlcHeartbeat", "VIS01_Cmd_TriggerId"]
    assert paths[-3:] == ["VIS01_Sts_BootId", "VIS01_Sts_Heartbeat", "VIS01_Sts_LastSeq"]
    assert FLAT.reads(echo=False) == FLAT.reads(echo=True)[:-3]
    types = {tag.name: tag.type for tag in FLAT_TAGS}
    assert all(types[read.path] is read.type for read in FLAT.reads(echo=True))


@pytest.mark.parametrize("values", [[], [1] * 7, [1] * 9, [{}] * 8], ids=str)
def test_an_answer_of_another_shape_is_refused(values: list[Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        FLAT.reading(values, echo=False)


@pytest.mark.parametrize(
    ("profile", "connection_bytes", "most"),
    [(FLAT, 4000, 6), (UDT, 4000, RESULT_SLOTS), (UDT, 500, 5)],
    ids=["flat", "udt", "udt-small"],
)
def test_as_many_verdicts_go_in_one_packet_as_fit(
    profile: FlatProfile | UdtProfile,
    connection_bytes: int,
    most: int,
    record: ResultRecord,
    status: StatusRecord,
) -> None:
    assert verdicts_per_packet(profile, connection_bytes) == most
    assert request_bytes(profile.writes([record] * most, status)) <= connection_bytes


def test_a_connection_that_holds_no_whole_verdict_is_refused_by_name() -> None:
    with pytest.raises(ConnectionTooSmallError, match=r"flat needs \d+ bytes .* of 500") as caught:
        verdicts_per_packet(FLAT, 500)
    assert isinstance(caught.value, ContractMismatchError)
    assert caught.value.needed_bytes > caught.value.granted_bytes == 500


def test_packets_hold_all_results_once_and_in_order(record: ResultRecord) -> None:
    assert packets_of([], 6) == [[]]
    eight = [record] * 8
    assert [len(some) for some in packets_of(eight, 6)] == [6, 2]
    assert [len(some) for some in packets_of(eight, 8)] == [8]


def test_the_meaning_of_a_bit_that_became_a_number_says_so() -> None:
    (valid,) = (m for m in RESULT.members if m.name == "Valid")
    assert flat_tag(RESULT_TAG, valid).meaning.endswith("(0 or 1)")


@pytest.mark.parametrize("decision", [1, 2, 3, 4])
def test_both_profiles_read_a_slot_back_as_it_was_written(decision: int) -> None:
    record = ResultRecord(
        sequence=7, trigger_id=4711, decision=decision, error_code=0, score=0.5, age_ms=1
    )
    values = result_values(record)
    reads = FlatProfile().result_reads(7)
    by_path = {f"VIS01_Result_{name}[7]": value for name, value in values.items()}
    assert FlatProfile().results([by_path[read.path] for read in reads]) == (echo_of(record),)
    assert UdtProfile().results([values]) == (echo_of(record),)


def test_a_read_back_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="must be 7 values for each slot, are 6"):
        FlatProfile().results([1] * 6)
    with pytest.raises(ValueError, match="must be a structure"):
        UdtProfile().results([7])
