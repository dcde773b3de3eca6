"""Log lines are what `iotedge logs` parses: one per record."""

import logging
import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from taktgate.edge.logs import EdgeFormatter, PipeHandler

# The parser of IoT Edge (LogMessageParser.cs), with its groups.
EDGE_LINE = re.compile(
    r"^(<(?P<level>\d)>)?\s*"
    r"((?P<stamp>\d{4}-\d{2}-\d{2}\s\d{2}:\d{2}:\d{2}.\d{3}\s[+-]\d{2}:\d{2})\s)?\s*(?P<text>.*)"
)


def line(level: int, message: str, **facts: object) -> str:
    record = logging.makeLogRecord({"levelno": level, "msg": message, **facts})
    return EdgeFormatter("judge").format(record)


def test_a_record_is_one_line_that_edge_parses() -> None:
    match = EDGE_LINE.match(line(logging.WARNING, "first\nsecond"))
    assert match is not None
    assert match["level"] == "4"
    assert match["stamp"]
    assert match["text"] == r"[WRN] [judge] - first\nsecond"


def test_facts_follow_as_json() -> None:
    assert line(logging.INFO, "part closed", trigger_id=5).endswith('part closed {"trigger_id": 5}')


class Pipe:
    """A pipe whose writing end does not block, as a process of ours opens its stdout."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.writing, False)
        os.set_blocking(self.reading, False)
        self.handler = PipeHandler(self.writing)
        self.handler.setFormatter(EdgeFormatter("judge"))

    def fill(self) -> None:
        with suppress(BlockingIOError):
            while True:
                os.write(self.writing, b"x" * select.PIPE_BUF)

    def read(self) -> str:
        data = b""
        with suppress(BlockingIOError):
            while piece := os.read(self.reading, 1 << 20):
                data += piece
        return data.decode()

    def log(self, message: str) -> None:
        self.handler.emit(logging.makeLogRecord({"levelno": logging.INFO, "msg": message}))


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    for end in (pipe.reading, pipe.writing):
        with suppress(OSError):
            os.close(end)


def test_lines_for_which_a_full_pipe_has_no_room_are_counted_in_the_next_one(pipe: Pipe) -> None:
    pipe.log("first")
    assert pipe.read().endswith("- first\n")
    pipe.fill()
    for number in range(3):
        pipe.log(f"lost {number}")
    pipe.read()
    pipe.log("after")
    loss, after = pipe.read().splitlines()

    assert loss.endswith('{"lines": 3}')
    assert after.endswith("- after")


def test_a_line_that_the_pipe_took_in_part_does_not_spoil_the_next_one(pipe: Pipe) -> None:
    pipe.fill()
    os.read(pipe.reading, 2 * select.PIPE_BUF)
    pipe.log("long " * select.PIPE_BUF)
    torn = pipe.read()
    pipe.log("after")
    rest, loss, after = pipe.read().splitlines()

    assert not torn.endswith("\n")
    assert rest == ""
    assert loss.startswith("<4>")
    assert after.endswith("- after")


def test_a_line_longer_than_the_kernel_takes_at_once_arrives_whole(pipe: Pipe) -> None:
    pipe.log("ä" * 2 * select.PIPE_BUF)

    assert pipe.read().count("ä") == 2 * select.PIPE_BUF


def test_a_reader_that_is_gone_costs_lines_and_nothing_else(pipe: Pipe) -> None:
    os.close(pipe.reading)

    pipe.log("to nobody")


CHATTY = """
import logging
from taktgate.edge.logs import set_up_logging
set_up_logging("judge")
for number in range(2000):
    logging.getLogger("judge").warning("a line of some length, number %d", number)
"""


def test_a_process_whose_output_nobody_reads_goes_on_with_its_work() -> None:
    with subprocess.Popen([sys.executable, "-c", CHATTY], stdout=subprocess.PIPE) as process:
        try:
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        assert len(lines) < 2000
        assert lines[0].endswith(b"number 0")
