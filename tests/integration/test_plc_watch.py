"""`taktgate plc watch` shows a controller's tags and outlives its losses, read-only."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from taktgate.cli import main
from taktgate.plc.contract.tags import FLAT_TAGS, TAGS, Tag
from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.thread import LogixThread

LIMIT_S = 20.0


@pytest.fixture
def memory() -> TagMemory:
    return TagMemory(symbols_of(TAGS))


@pytest.fixture
def controller(memory: TagMemory) -> Iterator[LogixThread]:
    with LogixThread(memory) as controller:
        yield controller


def watch(address: str, *arguments: str) -> int:
    return main(["plc", "watch", "--host", address, *arguments])


def test_once_shows_every_element_and_writes_nothing(
    controller: LogixThread, memory: TagMemory, capsys: pytest.CaptureFixture[str]
) -> None:
    memory.store("VIS01_Result", "Decision", 1, 3)
    assert watch(controller.address, "--once") == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 10
    assert "VIS01_Result[3]  SeqBegin 0, TriggerId 0, Decision 1 PASS" in said
    assert controller.newest_writes(1) == ()


@pytest.mark.parametrize(("profile", "tags"), [("udt", TAGS), ("flat", FLAT_TAGS)])
def test_once_as_json_is_one_document_in_both_profiles(
    profile: str, tags: tuple[Tag, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with LogixThread(TagMemory(symbols_of(tags))) as controller:
        assert watch(controller.address, "--profile", profile, "--once", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["VIS01_Cmd"]["TriggerId"] == 0
    assert document["VIS01_Result[7]"]["Score"] == 0.0
    assert list(document["VIS01_Sts"])[:2] == ["Heartbeat", "BootId"]


def test_tags_that_are_not_ours_are_named(
    controller: LogixThread, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.download(Download(change=Change.DELETE, tag="VIS01_Cmd"))
    assert watch(controller.address, "--once") == 1
    assert "VIS01_Cmd: must exist at controller scope" in capsys.readouterr().err


def test_nobody_at_the_address_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert watch("127.0.0.1:1") == 2
    assert "Connection refused" in capsys.readouterr().err


@pytest.mark.parametrize("interval", ["19", "10001", "often"])
def test_an_interval_out_of_range_is_a_usage_error(
    interval: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        watch("127.0.0.1", "--interval-ms", interval)
    assert ended.value.code == 2
    assert "must be within 20..10000" in capsys.readouterr().err


class Watching:
    """The command in a process of its own, its output in a pipe."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        self._output = process.stdout
        self._text = b""

    def until(self, words: str) -> None:
        """Read on until *words* were written, and forget all before them."""
        wanted, limit_s = words.encode(), time.monotonic() + LIMIT_S
        while wanted not in self._text:
            left_s = limit_s - time.monotonic()
            assert left_s > 0, f"{words!r} did not come: {self._text.decode()}"
            if select.select([self._output], [], [], left_s)[0]:
                self._text += os.read(self._output.fileno(), 65536)
        self._text = self._text.partition(wanted)[2]


@contextmanager
def watching(address: str) -> Iterator[Watching]:
    command = [sys.executable, "-m", "taktgate.cli", "plc", "watch", "--interval-ms", "50"]
    with subprocess.Popen([*command, "--host", address], stdout=subprocess.PIPE) as process:
        try:
            yield Watching(process)
        finally:
            process.kill()


def test_watching_goes_on_after_a_loss(controller: LogixThread, memory: TagMemory) -> None:
    with watching(controller.address) as screen:
        screen.until("VIS01_Result[7]")
        memory.store("VIS01_Cmd", "TriggerId", 4711)
        screen.until("TriggerId 0 -> 4711")
        controller.reset()
        screen.until("no reading: ")
        screen.until("TriggerId 4711, AckSeq 0")
