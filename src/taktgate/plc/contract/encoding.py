"""Records to bytes and back, by the offsets of the tag table."""

import struct
from collections.abc import Mapping
from typing import Final

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.tags import DECISIONS, RESULT, STATUS, CipType, Udt
from taktgate.plc.link.port import Command, ResultRecord, StatusRecord

Value = int | float | bool

_FORMATS: Final = {CipType.DINT: "<i", CipType.REAL: "<f"}


def pack(udt: Udt, values: Mapping[str, Value]) -> bytes:
    """Return *udt* with *values*, every member of the table given.

    Raises:
        KeyError: a member is missing: our bug.
        struct.error: a value does not fit its member: our bug.
    """
    data = bytearray(udt.size)
    for member in udt.members:
        value = values[member.name]
        if member.bit is None:
            struct.pack_into(_FORMATS[member.type], data, member.offset, value)
        elif value:
            data[member.offset] |= 1 << member.bit
    return bytes(data)


def unpack(udt: Udt, data: bytes) -> dict[str, Value]:
    """Return the members of *udt* in *data*.

    Raises:
        struct.error: *data* is shorter than *udt*.
    """
    return {
        member.name: (
            struct.unpack_from(_FORMATS[member.type], data, member.offset)[0]
            if member.bit is None
            else bool(data[member.offset] >> member.bit & 1)
        )
        for member in udt.members
    }


def encode_result(record: ResultRecord) -> bytes:
    """Return the bytes of one element of `VIS01_Result`."""
    is_pass = record.decision == DECISIONS[Verdict.PASS]
    return pack(
        RESULT,
        {
            "SeqBegin": record.sequence,
            "TriggerId": record.trigger_id,
            "Decision": record.decision,
            "DefectCode": record.defect_code,
            "DefectCount": record.defect_count,
            "Score": record.score,
            "AgeMs": record.age_ms,
            "ModelRev": record.model_rev,
            "Valid": True,
            "Pass": is_pass,
            "Reject": not is_pass,
            "Late": record.decision == DECISIONS[Verdict.LATE],
            "ErrorCode": record.error_code,
            "SeqEnd": record.sequence,
        },
    )


def encode_status(record: StatusRecord) -> bytes:
    """Return the bytes of `VIS01_Sts`."""
    return pack(
        STATUS,
        {
            "Heartbeat": record.heartbeat,
            "BootId": record.boot_id,
            "State": record.state,
            "ErrorCode": record.error_code,
            "QueueDepth": record.queue_depth,
            "LastSeq": record.last_seq,
            "LastTriggerId": record.last_trigger_id,
            "CntPass": record.cnt_pass,
            "CntReject": record.cnt_reject,
            "CntLate": record.cnt_late,
            "CntDup": record.cnt_dup,
            "CntOverflow": record.cnt_overflow,
            "CntReconnect": record.cnt_reconnect,
            "Online": record.online,
            "Ready": record.ready,
            "Fault": record.fault,
        },
    )


def decode_command(values: Mapping[str, Value]) -> Command:
    """Return the command in the members of `VIS01_Cmd`.

    Raises:
        KeyError: a member is missing.
    """
    return Command(
        plc_heartbeat=int(values["PlcHeartbeat"]),
        trigger_id=int(values["TriggerId"]),
        ack_seq=int(values["AckSeq"]),
        recipe_id=int(values["RecipeId"]),
        deadline_ms=int(values["DeadlineMs"]),
        enable=bool(values["Enable"]),
        reset=bool(values["Reset"]),
        hb_fault=bool(values["HbFault"]),
    )
