"""Frames of a session and its connection: golden bytes, and no bit of a reply can be wrong.

Golden bytes: CIP Volume 1, 3-5.5, and dumps of pycomm3 1.2.16 on the wire.
"""

import struct
from dataclasses import replace

import pytest
from pycomm3.cip import PADDED_EPATH
from pycomm3.cip_driver import parse_connection_path

from taktgate.plc.errors import LinkDeadError, LinkRefusedError
from taktgate.plc.link import packets
from taktgate.plc.link.cip import (
    Answer,
    confirmation_of_writes,
    several,
    write_tag,
)
from taktgate.plc.link.packets import ConnectionIds

IDS = ConnectionIds(for_replies=0x71190427, serial=0x0427, originator=0x71191009)
BACKPLANE = bytes((1, 0))
REPLY_ID = 0x71190427


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "10.0.0.1:44818",
        "10.0.0.1/3",
        "plc,3",
        "plc\\bp\\3",
        "10.0.0.1:99/backplane/17",
        "10.0.0.1/1/0",
        "10.0.0.1/bp/2/enet/192.168.1.10/bp/0",
        "10.0.0.1/bp/2/2/10.11.12.13/bp/0",
    ],
)
def test_a_route_leads_where_pycomm3s_leads(address: str) -> None:
    _, _, segments = parse_connection_path(address, auto_slot=True)
    assert packets.route_of(address) == PADDED_EPATH.encode(segments)


@pytest.mark.parametrize(
    "address",
    ["plc/bp/1/2", "plc/bp/256", "plc/wifi/1", "plc/0/1", "plc/15/1", "plc/enet/nowhere", "plc/"],
)
def test_a_route_that_leads_nowhere_is_refused_with_its_address(address: str) -> None:
    with pytest.raises(LinkRefusedError, match=address):
        packets.route_of(address)


def test_a_large_forward_open_has_the_layout_of_the_specification() -> None:
    assert packets.forward_open(IDS, BACKPLANE, 4000) == bytes.fromhex(
        "5b02 20062401 0a05 00000000 27041971 2704 4754 09101971 00 000000"
        "80841e00 a00f0042 80841e00 a00f0042 a3 03 0100 20022401"
    )


def test_a_small_forward_open_has_the_layout_of_the_specification() -> None:
    assert packets.forward_open(IDS, BACKPLANE, 500) == bytes.fromhex(
        "5402 20062401 0a05 00000000 27041971 2704 4754 09101971 00 000000"
        "80841e00 f443 80841e00 f443 a3 03 0100 20022401"
    )


def test_a_forward_close_names_the_connection_by_what_opened_it() -> None:
    assert packets.forward_close(IDS, BACKPLANE) == bytes.fromhex(
        "4e02 20062401 0a05 2704 4754 09101971 0300 0100 20022401"
    )


def test_the_connection_for_requests_is_taken_from_the_reply() -> None:
    data = struct.pack("<IIHHI", 0xA1B2C3D4, REPLY_ID, 0x0427, 0x5447, 0x71191009) + bytes(10)
    assert packets.connection_in(Answer(status=0, data=data), IDS) == 0xA1B2C3D4
    for size in range(16):
        with pytest.raises(LinkDeadError):
            packets.connection_in(Answer(status=0, data=data[:size]), IDS)
    with pytest.raises(LinkDeadError, match="not asked for"):
        packets.connection_in(Answer(status=0, data=data), replace(IDS, for_replies=REPLY_ID ^ 1))


def test_a_session_is_granted_by_a_handle_that_is_not_0() -> None:
    granted = packets.frame(0x65, 7, bytes.fromhex("01000000"))
    assert packets.session_in(granted) == 7
    refused = granted[:8] + b"\x02" + granted[9:]
    for reply in (refused, packets.frame(0x65, 0, bytes.fromhex("01000000"))):
        with pytest.raises(LinkRefusedError):
            packets.session_in(reply)


def connected_reply(message: bytes, sequence: int = 9) -> bytes:
    reply = bytearray(packets.connected(7, REPLY_ID, message))
    struct.pack_into("<H", reply, packets.SEQUENCE_AT, sequence)
    return bytes(reply)


def request_of(message: bytes) -> bytes:
    frame = bytearray(packets.connected(7, 0xA1B2C3D4, message))
    struct.pack_into("<H", frame, packets.SEQUENCE_AT, 9)
    return bytes(frame)


WRITES = several([write_tag(f"D{n}", b"\xc4\x00", bytes(4)) for n in (1, 2)])
CONFIRMED = confirmation_of_writes(2)
OPEN = packets.unconnected(7, packets.forward_open(IDS, BACKPLANE, 4000))
OPENED = packets.unconnected(7, bytes.fromhex("db000000") + bytes(26))
_UNREAD = {*range(20, 24), 28, 29}
"""Options and time-out of a reply mean nothing."""


@pytest.mark.parametrize(
    ("sent", "reply", "head"),
    [(request_of(WRITES), connected_reply(CONFIRMED), 46), (OPEN, OPENED, 40)],
    ids=["connected", "unconnected"],
)
def test_no_bit_of_a_replys_frame_can_be_wrong(sent: bytes, reply: bytes, head: int) -> None:
    assert packets.find_doubt(sent, reply, REPLY_ID) is None
    for position in set(range(head)) - _UNREAD:
        for bit in range(8):
            damaged = bytearray(reply)
            damaged[position] ^= 1 << bit
            if head == 40 and 8 <= position < 12:
                # A refusal outside a connection is an answer: the one who asked looks at it.
                assert packets.status_in(bytes(damaged)) != 0
                continue
            assert packets.find_doubt(sent, bytes(damaged), REPLY_ID), (position, bit)
