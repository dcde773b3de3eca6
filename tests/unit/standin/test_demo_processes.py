"""How processes of the station ended, as their supervisors and edgeAgent say."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from taktgate.edge.logs import EdgeFormatter
from taktgate.edge.supervisor import Child, Supervisor
from taktgate.standin.azure.edgeagent.module import ModuleEvent, ModuleEventKind
from taktgate.standin.demo.module_log import ModuleLog
from taktgate.standin.demo.processes import EndWatch


@pytest.fixture
def log(tmp_path: Path) -> ModuleLog:
    return ModuleLog(tmp_path / "plc_writer.log")


def write(log: ModuleLog, level: int, text: str, **facts: object) -> None:
    record = logging.makeLogRecord({"levelno": level, "msg": text, **facts})
    with log._path.open("a", encoding="utf-8") as file:
        file.write(EdgeFormatter("plc_writer").format(record) + "\n")


def exited(code: int, kind: ModuleEventKind = ModuleEventKind.EXITED) -> ModuleEvent:
    return ModuleEvent(
        device="d", module="plc_writer", kind=kind, pid=1, exit_code=code, at_monotonic_s=0.0
    )


def test_a_real_supervisors_word_is_understood(
    log: ModuleLog, caplog: pytest.LogCaptureFixture
) -> None:
    """The two ends of the message: what a supervisor logs, and what is read of it."""
    child = Child(role="writer", argv=[sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    supervisor = Supervisor([child], environment={})
    caplog.set_level(logging.ERROR, "taktgate.edge.supervisor")
    process = supervisor._running[child.role] = subprocess.Popen(child.argv)
    process.wait()
    supervisor._tend(child)
    (record,) = caplog.records
    facts = {"role": vars(record)["role"], "exit_code": vars(record)["exit_code"]}
    write(log, logging.ERROR, record.getMessage(), **facts)
    assert [(end.role, end.exit_code) for end in log.new_ends()] == [("writer", -9)]
    assert log.new_ends() == []


def test_half_a_line_is_read_when_it_is_whole(log: ModuleLog) -> None:
    write(log, logging.ERROR, "a process of this module ended", role="agent", exit_code=5)
    whole = log._path.read_bytes()
    log._path.write_bytes(whole[:-10])
    assert log.new_ends() == []
    log._path.write_bytes(whole)
    assert len(log.new_ends()) == 1


def test_the_last_critical_line_is_the_complaint(log: ModuleLog) -> None:
    assert log.complaint() == "it has written no log"
    write(log, logging.CRITICAL, "refusing to start: station.yaml: field 'plc.adress': unknown")
    write(log, logging.ERROR, "a process of this module ended", role="writer", exit_code=2)
    write(log, logging.ERROR, "something else")
    assert log.complaint() == "refusing to start: station.yaml: field 'plc.adress': unknown"


def test_a_kill_counts_as_injected_and_any_other_end_does_not(log: ModuleLog) -> None:
    watch = EndWatch()
    watch.follow({"plc_writer": log})
    write(log, logging.ERROR, "a process of this module ended", role="writer", exit_code=-9)
    write(log, logging.ERROR, "a process of this module ended", role="agent", exit_code=-11)
    watch.module_event(exited(1))
    watch.module_event(exited(0, ModuleEventKind.STOPPED))
    assert [(fault.name, fault.injected) for fault in watch.look()] == [
        ("plc_writer ended by itself (exit code 1)", False),
        ("plc_writer/writer killed", True),
        ("plc_writer/agent ended by itself (signal 11)", False),
    ]
    assert watch.look() == []
    assert list(watch.failed_modules()) == [
        "plc_writer ended with exit code 1: its log does not say why"
    ]
