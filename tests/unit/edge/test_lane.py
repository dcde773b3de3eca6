"""The lane: senders never wait, receivers believe nobody."""

import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.contracts.outcome import Lane
from taktgate.edge.lane import MAX_REFUSED_PER_CALL, LaneInbox, LaneSender, pack, unpack


def test_a_datagram_arrives_with_its_kind_and_lane(tmp_path: Path) -> None:
    inbox = LaneInbox(tmp_path / "inbox.sock")
    sender = LaneSender(tmp_path / "inbox.sock", Lane.LOCAL)
    assert sender.send("verdict", b'{"a": "\\n"}')
    datagram = inbox.receive()
    assert datagram is not None
    assert (datagram.kind, datagram.lane, datagram.payload) == (
        "verdict",
        Lane.LOCAL,
        b'{"a": "\\n"}',
    )
    assert inbox.receive() is None
    sender.close()
    inbox.close()


def test_a_missing_inbox_is_a_counted_loss(tmp_path: Path) -> None:
    sender = LaneSender(tmp_path / "nobody.sock", Lane.LOCAL)
    assert not sender.send("beat", b"{}")
    assert sender.lost == 1
    sender.close()


def test_a_full_inbox_loses_and_never_blocks(tmp_path: Path) -> None:
    inbox = LaneInbox(tmp_path / "inbox.sock")
    sender = LaneSender(tmp_path / "inbox.sock", Lane.LOCAL)
    for _ in range(10_000):
        if not sender.send("verdict", b"x" * 8000):
            break
    assert sender.lost == 1
    sender.close()
    inbox.close()


def test_a_restarted_inbox_is_found_again_by_the_same_sender(tmp_path: Path) -> None:
    path = tmp_path / "inbox.sock"
    sender = LaneSender(path, Lane.LOCAL)
    LaneInbox(path).close()
    assert not sender.send("beat", b"{}")
    inbox = LaneInbox(path)
    assert sender.send("beat", b"{}")
    assert inbox.receive() is not None
    sender.close()
    inbox.close()


@pytest.mark.parametrize("data", [b"", b"\n", b"verdict", b"verdict mars\n{}", b"\xff local\n{}"])
def test_rubbish_is_refused_and_counted(tmp_path: Path, data: bytes) -> None:
    inbox = LaneInbox(tmp_path / "inbox.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as rubbish:
        rubbish.sendto(data, str(tmp_path / "inbox.sock"))
    assert inbox.receive() is None
    assert inbox.refused == 1
    inbox.close()


def test_a_flood_of_rubbish_does_not_hold_the_receiver(tmp_path: Path) -> None:
    path = tmp_path / "inbox.sock"
    inbox = LaneInbox(path)

    def flood() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as rubbish:
            for _ in range(2000):
                rubbish.sendto(b"rubbish", str(path))

    sender = threading.Thread(target=flood)
    sender.start()
    most = 0
    while inbox.refused < 2000:
        before = inbox.refused
        assert inbox.receive() is None
        most = max(most, inbox.refused - before)
    sender.join()
    inbox.close()
    assert most <= MAX_REFUSED_PER_CALL


@given(
    kind=st.sampled_from(["verdict", "beat", "line"]),
    lane=st.sampled_from(list(Lane)),
    payload=st.binary(max_size=200),
)
def test_unpack_undoes_pack(kind: str, lane: Lane, payload: bytes) -> None:
    datagram = unpack(pack(kind, lane, payload))
    assert datagram is not None
    assert (datagram.kind, datagram.lane, datagram.payload) == (kind, lane, payload)


@given(data=st.binary(max_size=300))
def test_unpack_never_raises(data: bytes) -> None:
    unpack(data)
