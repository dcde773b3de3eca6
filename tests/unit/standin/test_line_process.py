import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pycomm3 import LogixDriver
from tests.waiting import WITHIN_S, wait_until

from taktgate.plc.contract.tags import RESULT, STATUS, slot_of
from taktgate.standin.control.commands import ControlError, Event
from taktgate.standin.control.process import StandinStartError
from taktgate.standin.line.__main__ import parse_arguments
from taktgate.standin.line.process import LineProcess


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())


@asynccontextmanager
async def running(directory: Path, **options: Any) -> AsyncIterator[LineProcess]:
    line = LineProcess(control=directory / "plc.sock", **options)
    await line.start()
    try:
        yield line
    finally:
        await line.stop()


async def until(line: LineProcess, **wanted: object) -> list[Event]:
    """Return the events up to and including the one that has the *wanted* facts."""
    seen = []
    while True:
        event = await line.events.get()
        seen.append(event)
        if wanted.items() <= event.items():
            return seen


class VisionSide(threading.Thread):
    """Answers each part with unmodified pycomm3: every fourth FAIL, all others PASS."""

    def __init__(self, address: str) -> None:
        super().__init__(name="vision side")
        self._address = address
        self._ended = threading.Event()
        self._seq = 0

    def run(self) -> None:
        with LogixDriver(f"{self._address}/0") as plc:
            known = plc.read("VIS01_Cmd").value["TriggerId"]
            status = {member.name: 0 for member in STATUS.members} | {"Ready": True}
            while not self._ended.wait(0.01):
                part = plc.read("VIS01_Cmd").value["TriggerId"]
                status["Heartbeat"] = time.monotonic_ns() // 100_000_000 % 2**31
                answers = [("VIS01_Sts", status)]
                if part != known:
                    answers.append((f"VIS01_Result[{slot_of(part)}]", self._result(part)))
                known = part
                plc.write(*answers, ("VIS01_Sts.LastTriggerId", part))

    def end(self) -> None:
        self._ended.set()
        self.join(WITHIN_S)

    def _result(self, part: int) -> dict[str, Any]:
        self._seq += 1
        is_pass = part % 4 != 0
        return {member.name: 0 for member in RESULT.members} | {
            "SeqBegin": self._seq,
            "TriggerId": part,
            "Decision": 1 if is_pass else 2,
            "Score": 0.25,
            "Valid": True,
            "Pass": is_pass,
            "Reject": not is_pass,
            "SeqEnd": self._seq,
        }


@contextmanager
def vision_side(line: LineProcess) -> Iterator[None]:
    vision = VisionSide(line.address)
    vision.start()
    try:
        yield
    finally:
        vision.end()


def test_a_run_with_an_unmodified_client_closes_every_part_by_its_verdict(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            with vision_side(line):
                await line.run(16, 15)
                events = await until(line, event="finished")
        parts = [event for event in events if event["event"] == "part"]
        finished = events[-1]
        assert finished["parts"] == len(parts) == 16
        assert sum(finished["verdicts"].values()) == 16
        assert (finished["unsafe"], finished["unexplained"]) == (0, 0)
        assert finished["verdicts"]["NO_DECISION"] < 16
        for part in parts:
            judged = "FAIL" if part["trigger_id"] % 4 == 0 else "PASS"
            assert part["verdict"] in (judged, "LATE", "NO_DECISION")
            assert (part["gate"] == "accept") == (part["verdict"] == "PASS")

    run(scenario)


def test_without_a_vision_side_every_part_is_silent_and_rejected(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            await line.run(4, 20, wait_ready_s=0)
            *events, finished = await until(line, event="finished")
            assert (await line.status())["parts"] == 4
        parts = [event for event in events if event["event"] == "part"]
        assert [part["trigger_id"] - parts[0]["trigger_id"] for part in parts] == [0, 1, 2, 3]
        assert {(part["reason"], part["gate"], part["why"]) for part in parts} == {
            ("SILENT", "reject", "COMM_OK")
        }
        assert finished["verdicts"] == {"PASS": 0, "FAIL": 0, "NO_DECISION": 4, "LATE": 0}

    run(scenario)


def test_a_frozen_controller_loses_the_heartbeat_and_finds_it_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            with vision_side(line):
                await until(line, event="state", comm_ok=True)
                await line.fault(freeze=True)
                await until(line, event="state", comm_ok=False)
                await line.fault(clear=True)
                await until(line, event="state", comm_ok=True)

    run(scenario)


def test_parts_end_on_request_and_those_on_the_line_still_reach_their_gate(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            await line.run(None, 20, wait_ready_s=0)
            await until(line, event="part")
            with pytest.raises(ControlError, match="still on the line"):
                await line.run(1, 1)
            await line.end_parts()
            *_, finished = await until(line, event="finished")
            assert finished["parts"] >= 2

    run(scenario)


@pytest.mark.parametrize(
    ("do", "fields", "field"),
    [
        ("run", {"parts": 10, "rate": 100.0}, "rate"),
        ("run", {"parts": 0, "rate": 1.0}, "parts"),
        ("run", {"parts": 10}, "rate"),
        ("run", {"parts": 10, "rate": 1.0, "speed": 2}, "speed"),
        ("fault", {"delay_ms": -1}, "delay_ms"),
        ("fault", {"freeze": "yes"}, "freeze"),
        ("explode", {}, "do"),
    ],
)
def test_a_wrong_command_is_refused_by_its_field(
    shared_line: Path, do: str, fields: dict[str, Any], field: str
) -> None:
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(shared_line))
        lines = control.makefile("rw")
        assert json.loads(lines.readline())["event"] == "ready"
        lines.write(json.dumps({"do": do, "id": 5, **fields}) + "\n")
        lines.flush()
        reply = json.loads(lines.readline())
        lines.close()

    assert (reply["event"], reply["id"], reply["ok"], reply["field"]) == ("reply", 5, False, field)


@pytest.mark.parametrize("line", [b"hello\n", b"[1]\n", b"{}\n", b'{"do": 3}\n', b"\xff\xfe\n"])
def test_rubbish_on_the_control_channel_is_answered(shared_line: Path, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(shared_line))
        lines = control.makefile("rwb")
        lines.readline()
        lines.write(line)
        lines.flush()
        reply = json.loads(lines.readline())
        lines.close()

    assert (reply["ok"], reply["field"]) in ((False, "line"), (False, "do"))


@pytest.fixture(scope="module")
def shared_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    control = tmp_path_factory.mktemp("line") / "plc.sock"
    process = subprocess.Popen(
        [sys.executable, "-m", "taktgate.standin.line", "--port=0", f"--control={control}"]
    )
    wait_until(lambda: _is_listening(control))
    yield control
    process.terminate()
    assert process.wait(WITHIN_S) == 0
    assert not control.exists()


def _is_listening(control: Path) -> bool:
    """Tell whether connections are taken: a socket's path is there a moment before."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(control)) == 0


def test_a_port_in_use_ends_the_start_with_one_clear_message(tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            line = LineProcess(control=tmp_path / "plc.sock", port=port)
            with pytest.raises(StandinStartError) as failure:
                await line.start()
        message = str(failure.value)
        assert "exit code 2" in message
        assert f"cannot listen on 127.0.0.1:{port}: address already in use" in message
        assert "Traceback" not in message

    run(scenario)


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        ("--deadline-ms=1", "deadline_ms must be 10..10000"),
        ("--gate-delay-ms=100", "gate_delay_ms must be at least deadline_ms + 20"),
        ("--camera-trigger=nowhere", "host:port"),
        ("--speed=3", "--speed=3"),
    ],
)
def test_a_wrong_option_ends_the_start_with_its_rule(
    capsys: pytest.CaptureFixture[str], option: str, rule: str
) -> None:
    with pytest.raises(SystemExit) as end:
        parse_arguments(["--control=plc.sock", option])

    assert end.value.code == 2
    assert rule in capsys.readouterr().err


def test_the_controller_dies_with_whoever_started_it(tmp_path: Path) -> None:
    control = tmp_path / "plc.sock"
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(control)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()

    wait_until(lambda: not _is_running(child))


_PARENT = """
import asyncio, sys
from pathlib import Path
from taktgate.standin.line.process import LineProcess

async def main():
    line = LineProcess(control=Path(sys.argv[1]))
    await line.start()
    print(line.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def _is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or read
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_its_end_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            os.kill(line.pid, signal.SIGKILL)
            *_, ended = await until(line, event="ended")
            assert ended["exit_code"] == -signal.SIGKILL

    run(scenario)
