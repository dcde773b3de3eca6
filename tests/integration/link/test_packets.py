"""What a write takes on the wire is what the contract counts: no verdict is split over packets."""

import socket
import struct
from dataclasses import replace

import pytest
from tests.integration.link_bench import PASSED, PROFILES, STATUS_RECORD, Plc

from taktgate.plc.contract.packet_size import request_bytes
from taktgate.plc.contract.wire import Profile
from taktgate.plc.link.packets import LARGE_BYTES
from taktgate.plc.link.port import TagLink
from taktgate.plc.link.safe_socket import SafeSocket

SEND_UNIT_DATA = b"\x70\x00"
LENGTH_AT = 42
"""Of the item that carries sequence count and message (CIP Vol 2, 2-6)."""


@pytest.fixture
def sent_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the connected requests that leave, sequence count included."""
    sizes: list[int] = []
    begin = SafeSocket._begin

    def note(self: SafeSocket, request: bytes | bytearray) -> socket.socket:
        if request[:2] == SEND_UNIT_DATA:
            sizes.extend(struct.unpack_from("<H", request, LENGTH_AT))
        return begin(self, request)

    monkeypatch.setattr(SafeSocket, "_begin", note)
    return sizes


def test_a_verdict_is_as_large_as_the_contract_counts(
    link: TagLink, profile: Profile, sent_bytes: list[int]
) -> None:
    sent_bytes.clear()
    link.write([PASSED], STATUS_RECORD)
    assert sent_bytes == [request_bytes(profile.writes([PASSED], STATUS_RECORD))]


@pytest.mark.parametrize("profile", PROFILES[1:], indirect=True, ids=["flat"])
def test_eight_flat_verdicts_go_in_two_packets_that_fit(
    link: TagLink, plc: Plc, sent_bytes: list[int]
) -> None:
    sent_bytes.clear()
    records = [replace(PASSED, trigger_id=number) for number in range(8)]
    link.write(records, STATUS_RECORD)
    assert all(plc.has(record) for record in records)
    assert len(sent_bytes) == 2
    assert max(sent_bytes) <= LARGE_BYTES
