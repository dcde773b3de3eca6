"""Records reach the PLC at the offsets of the tag table, and fail towards reject."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.encoding import (
    Layout,
    decode_command,
    encode_result,
    encode_status,
    unpack,
)
from taktgate.plc.contract.records import Command, ResultRecord, StatusRecord
from taktgate.plc.contract.tags import (
    COMMAND,
    DECISIONS,
    RESULT,
    STATUS,
    TAGS,
    CipType,
    Udt,
    WriterState,
)

RECORD = ResultRecord(
    sequence=7, trigger_id=4711, decision=1, error_code=0, score=0.25, age_ms=42, model_rev=99
)
VALUES = {
    CipType.DINT: st.integers(-(2**31), 2**31 - 1),
    CipType.REAL: st.floats(width=32, allow_nan=False),
    CipType.BOOL: st.booleans(),
}


@pytest.mark.parametrize("udt", [tag.udt for tag in TAGS], ids=lambda udt: udt.name)
def test_whatever_is_packed_comes_back(udt: Udt) -> None:
    strategy = st.fixed_dictionaries({m.name: VALUES[m.type] for m in udt.members})

    @given(strategy)
    def round_trip(values: dict[str, int | float | bool]) -> None:
        data = Layout(udt).pack(values)
        assert len(data) == udt.size
        assert unpack(udt, data) == values

    round_trip()


def test_a_pass_on_the_wire() -> None:
    expected = struct.pack("<5if2iI2i", 7, 4711, 1, 0, 0, 0.25, 42, 99, 0b0011, 0, 7)
    assert encode_result(RECORD) == expected


@pytest.mark.parametrize("verdict", list(Verdict))
def test_pass_and_reject_are_complementary(verdict: Verdict) -> None:
    record = ResultRecord(
        sequence=1, trigger_id=1, decision=DECISIONS[verdict], error_code=0, score=1.0, age_ms=0
    )
    values = unpack(RESULT, encode_result(record))
    assert values["Valid"]
    assert values["Pass"] is (verdict is Verdict.PASS)
    assert values["Reject"] is not values["Pass"]
    assert values["Late"] is (verdict is Verdict.LATE)
    assert values["SeqBegin"] == values["SeqEnd"]


def test_a_status_on_the_wire() -> None:
    record = StatusRecord(
        heartbeat=1,
        boot_id=2,
        state=WriterState.RUN,
        error_code=3,
        queue_depth=4,
        last_seq=5,
        last_trigger_id=6,
        cnt_pass=7,
        cnt_reject=8,
        cnt_late=9,
        cnt_dup=10,
        cnt_overflow=11,
        cnt_reconnect=12,
        online=True,
        ready=False,
        fault=True,
    )
    values = list(unpack(STATUS, encode_status(record)).values())
    assert values == [1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, True, False, True]


def test_a_command_is_read() -> None:
    data = Layout(COMMAND).pack(
        {
            "PlcHeartbeat": 1,
            "TriggerId": 2,
            "AckSeq": 3,
            "RecipeId": 4,
            "DeadlineMs": 5,
            "Enable": True,
            "Reset": False,
            "HbFault": True,
        },
    )
    assert decode_command(unpack(COMMAND, data)) == Command(
        plc_heartbeat=1,
        trigger_id=2,
        ack_seq=3,
        recipe_id=4,
        deadline_ms=5,
        enable=True,
        reset=False,
        hb_fault=True,
    )
