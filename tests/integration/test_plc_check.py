"""`taktgate plc check` lists every difference between a controller and the contract, read-only."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import pytest

from taktgate.cli import main
from taktgate.plc.contract.tags import FLAT_TAGS, RESULT_TAG, TAGS, CipType, Tag
from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.faults import Faults
from taktgate.standin.logix.firmware import Firmware
from taktgate.standin.logix.identity import Identity, Mode
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.thread import LogixThread

SMALL = Firmware(has_large_connections=False)
EQUAL, DIFFERS, UNREACHABLE = 0, 1, 2


def controller_with(tags: tuple[Tag, ...], **options: Any) -> LogixThread:
    return LogixThread(TagMemory(symbols_of(tags)), **options)


@pytest.fixture
def controller() -> Iterator[LogixThread]:
    with controller_with(TAGS) as controller:
        yield controller


def check(address: str, *arguments: str) -> int:
    return main(["plc", "check", "--host", address, *arguments])


def test_a_controller_with_the_contract_is_equal_and_stays_untouched(
    controller: LogixThread, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(controller.address) == EQUAL
    said = capsys.readouterr().out
    for words in ("REMOTE RUN", "33.011", "TaktgateLine", "4000 bytes", "equal to the contract"):
        assert words in said
    assert said.count(" ok\n") == len(TAGS) + len(FLAT_TAGS)
    assert controller.newest_writes(1) == ()


def test_flat_tags_are_checked_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    with controller_with(FLAT_TAGS) as controller:
        assert check(controller.address, "--profile", "flat") == EQUAL
        assert capsys.readouterr().out.count(" ok\n") == len(FLAT_TAGS)
        assert check(controller.address, "--profile", "udt") == DIFFERS


def test_every_difference_is_listed(
    controller: LogixThread, capsys: pytest.CaptureFixture[str]
) -> None:
    for change in (
        Download(change=Change.RETYPE, tag="VIS01_Result", member="Score"),
        Download(change=Change.DELETE, tag="VIS01_Cmd"),
        Download(change=Change.ACCESS, tag="VIS01_Sts"),
    ):
        controller.download(change)
    assert check(controller.address, "--json") == DIFFERS
    report = json.loads(capsys.readouterr().out)
    assert report["is_equal"] is False
    assert report["differences"] == [
        "VIS01_Result.Score: must be a REAL",
        "VIS01_Sts: external access is 'None'",
        "VIS01_Cmd: must exist at controller scope",
    ]


def test_a_type_with_one_member_more_is_told_member_by_member(
    controller: LogixThread, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.download(Download(change=Change.RESHAPE, tag="VIS01_Cmd", member="AckSeq"))
    assert check(controller.address) == DIFFERS
    said = capsys.readouterr().out
    assert "VIS01_Cmd: UDT_VIS_Cmd must have 24 bytes, has 28" in said
    assert "VIS01_Cmd.AckSeq: must lie at offset 8" in said
    assert "VIS01_Cmd.NewMember: must not exist" in said
    assert "taktgate plc l5x" in said


def test_a_tag_of_a_type_that_is_no_structure_shows_no_members(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tags = (replace(RESULT_TAG, type=CipType.DINT), *TAGS[1:])
    with controller_with(tags) as controller:
        assert check(controller.address) == DIFFERS
    said = capsys.readouterr().out
    assert "VIS01_Result: must be a UDT_VIS_Result" in said
    assert "VIS01_Result.Score" not in said


def test_program_mode_is_shown_and_is_no_difference(
    controller: LogixThread, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.set_mode(Mode.REMOTE_PROGRAM)
    assert check(controller.address) == EQUAL
    assert "REMOTE PROG: the PLC's program does not run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tags", "profile", "code", "words"),
    [
        (TAGS, "udt", EQUAL, "500 bytes, verdicts in one packet: 5"),
        (FLAT_TAGS, "flat", DIFFERS, "connection: one verdict of profile flat needs 1035 bytes"),
    ],
    ids=["udt", "flat"],
)
def test_a_small_connection_holds_a_whole_verdict_or_is_named(
    tags: tuple[Tag, ...],
    profile: str,
    code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with controller_with(tags, firmware=SMALL) as controller:
        assert check(controller.address, "--profile", profile) == code
    assert words in capsys.readouterr().out


def test_a_controller_without_change_marks_says_what_that_costs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with controller_with(TAGS, firmware=Firmware(has_change_marks=False)) as controller:
        assert check(controller.address) == EQUAL
    assert "full check at each opening" in capsys.readouterr().out


def test_another_make_is_a_difference(capsys: pytest.CaptureFixture[str]) -> None:
    with controller_with(TAGS, identity=Identity(vendor=47)) as controller:
        assert check(controller.address) == DIFFERS
    assert "controller: is of " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (Identity(device_type=12, product_name="1756-EN2T"), "is no PLC but a Communications"),
        (Identity(product_name="2080-LC50-48QWB"), "is a Micro800"),
    ],
    ids=["adapter", "micro800"],
)
def test_what_is_no_controller_of_ours_is_told_by_name(
    identity: Identity, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with controller_with(TAGS, identity=identity) as controller:
        assert check(controller.address) == UNREACHABLE
    assert words in capsys.readouterr().err


def test_a_controller_that_refuses_sessions_is_told(
    controller: LogixThread, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.apply(Faults(is_refusing_sessions=True))
    assert check(controller.address) == UNREACHABLE
    assert "refused the session" in capsys.readouterr().err


def test_an_empty_slot_is_told(controller: LogixThread, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(f"{controller.address}/3") == UNREACHABLE
    assert f"{controller.address}/3: identity of the controller in that slot" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "rubbish",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x65\x00\xff\xff" + bytes(20), b"\x00" * 60, b""],
    ids=["http", "endless", "zeros", "closed"],
)
def test_rubbish_is_no_controller(rubbish: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        server = threading.Thread(target=_answer_once, args=(listener, rubbish))
        server.start()
        assert check(f"127.0.0.1:{port}") == UNREACHABLE
        server.join()
    said = capsys.readouterr().err
    assert said.startswith(f"taktgate: 127.0.0.1:{port}: session: ")


def _answer_once(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(answer)
        if answer:
            connection.settimeout(5.0)
            with suppress(OSError):
                connection.recv(4096)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:99999", "port must be 1..65534"),
        ("127.0.0.1/1/2/3", "route must be pairs"),
        ("", "host must be"),
    ],
)
def test_an_address_that_is_none_is_a_usage_error(
    address: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        check(address)
    assert ended.value.code == UNREACHABLE
    assert words in capsys.readouterr().err


def test_nobody_at_the_address_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("127.0.0.1:1") == UNREACHABLE
    assert "127.0.0.1:1: [Errno 111] Connection refused" in capsys.readouterr().err
