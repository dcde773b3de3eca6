"""What an engineer, a power cut or a test does to the controller, over the control channel."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pycomm3 import LogixDriver
from tests.unit.standin.test_line_process import run, running, until, vision_side

from taktgate.plc.contract.tags import RESULT_SLOTS
from taktgate.standin.control.commands import ControlError, Event
from taktgate.standin.line.process import LineProcess


async def results(line: LineProcess) -> list[dict[str, Any]]:
    """Return the result slots, as a client reads them."""
    found: list[dict[str, Any]] = await asyncio.to_thread(read, line.address, "VIS01_Result{8}")
    return found


async def heartbeat(line: LineProcess) -> int:
    """Return PlcHeartbeat, as a client reads it."""
    return int((await asyncio.to_thread(read, line.address, "VIS01_Cmd"))["PlcHeartbeat"])


async def beats(line: LineProcess) -> None:
    """Wait until PlcHeartbeat moves."""
    first = await heartbeat(line)
    while await heartbeat(line) == first:
        pass


async def stands(line: LineProcess) -> bool:
    """Tell whether PlcHeartbeat stands still."""
    first = await heartbeat(line)
    await asyncio.sleep(0.25)
    return await heartbeat(line) == first


def read(address: str, tag: str) -> Any:
    with LogixDriver(f"{address}/0") as plc:
        return plc.read(tag).value


def keyswitch(address: str) -> str:
    with LogixDriver(f"{address}/0", init_tags=False) as plc:
        return str(plc.info["keyswitch"])


def test_in_program_mode_tags_are_served_and_the_plc_heartbeat_stands(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            await line.set_mode("program")
            assert (await line.status())["standstill"] == ["PROGRAM_MODE"]
            assert await stands(line)
            assert await asyncio.to_thread(keyswitch, line.address) == "PROG"
            await line.set_mode("remote_run")
            await beats(line)

    run(scenario)


def test_a_power_cycle_keeps_tags_resets_clients_and_begins_with_a_first_scan(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with running(tmp_path, program="ladder") as line:
            with vision_side(line):
                await line.run(4, 15)
                await until(line, event="finished")
                while not any(slot["Valid"] for slot in await results(line)):
                    pass
            before = await results(line)
            number = (await asyncio.to_thread(read, line.address, "VIS01_Cmd"))["TriggerId"]
            await line.power_cycle(1000)
            assert await asyncio.to_thread(is_turned_away, line)
            await until(line, event="program", standstill=[])
            after = await results(line)
            command = await asyncio.to_thread(read, line.address, "VIS01_Cmd")
        assert [slot["Valid"] for slot in after] == [False] * RESULT_SLOTS
        assert [slot["SeqEnd"] for slot in after] == [slot["SeqEnd"] for slot in before]
        assert command["HbFault"] is True
        assert command["TriggerId"] != number

    run(scenario)


def test_a_project_that_does_not_fit_stands_still_until_the_tags_are_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            await line.download("retype", tag="VIS01_Result", member="AgeMs", off_ms=20)
            await until(line, event="program", standstill=["NOT_VERIFIED"])
            await line.download("restore", off_ms=20)
            await until(line, event="program", standstill=[])
            await beats(line)

    run(scenario)


def test_downloads_that_leave_our_tags_alone_begin_with_a_first_scan(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            for change in ("none", "renumber", "add"):
                await line.download(change, off_ms=20, keep_values=False)
                await until(line, event="program", standstill=[])
            await beats(line)

    run(scenario)


def test_frozen_logic_still_serves_tags(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            await line.freeze_logic(True)
            assert await stands(line)
            await line.freeze_logic(False)
            await beats(line)

    run(scenario)


def test_parts_are_seen_on_the_belt_and_the_gate_opens_for_one_that_passed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            with vision_side(line):
                await until(line, event="state", comm_ok=True, ready=True)
                await line.run(None, 8)
                pictures = [await line.status()]
                while not is_all_seen(pictures):
                    await asyncio.sleep(0.02)
                    pictures.append(await line.status())
        for each in pictures:
            positions = [part["position"] for part in each["parts_on_belt"]]
            assert positions == sorted(positions, reverse=True), "first in, first out"

    run(scenario)


def is_all_seen(pictures: list[Event]) -> bool:
    """Tell whether several parts were in flight, one waited, one was accepted, the flap opened."""
    belts = [each["parts_on_belt"] for each in pictures]
    return (
        max(map(len, belts)) >= 2
        and {part["state"] for belt in belts for part in belt} >= {"waiting", "accepted"}
        and any(each["flap"]["is_open"] for each in pictures)
    )


def test_scans_jitter_and_overrun_as_told_and_are_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, scan_ms=5, scan_jitter_ms=20.0, seed=3) as line:
            scan = {"scans": 0, "overruns": 0}
            while scan["scans"] <= 5 or not scan["overruns"]:
                await asyncio.sleep(0.05)
                scan = (await line.status())["scan"]

    run(scenario)


def test_the_write_log_tells_who_wrote_what_in_which_request(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            await asyncio.to_thread(write_two, line.address)
            writes = await line.write_log()
            (slot,) = await line.write_log(tag="VIS01_Result", element=3)
            assert await line.write_log(since_ns=writes[-1]["at_ns"]) == []
        assert [(each["tag"], each["element"]) for each in writes] == [
            ("VIS01_Result", 3),
            ("VIS01_Sts", 0),
        ]
        assert slot["content"] != slot["previous"]
        assert writes[0]["request"] == writes[1]["request"]
        assert [each["order"] for each in writes] == [0, 1]

    run(scenario)


def write_two(address: str) -> None:
    with LogixDriver(f"{address}/0") as plc:
        plc.write(("VIS01_Result[3].AgeMs", 77), ("VIS01_Sts.Heartbeat", 5))


def is_turned_away(line: LineProcess) -> bool:
    """Tell whether a new client is reset, at once or after a moment."""
    address = (line.ready["host"], line.ready["port"])
    try:
        with socket.create_connection(address, timeout=5) as client:
            return client.recv(1) == b""
    except ConnectionError:
        return True


Order = Callable[[LineProcess], Awaitable[object]]
WRONG: dict[str, tuple[Order, str]] = {
    "mode": (lambda line: line.set_mode("test"), "mode"),
    "off_ms": (lambda line: line.power_cycle(-1), "off_ms"),
    "change": (lambda line: line.download("upgrade"), "change"),
    "tag": (lambda line: line.download("delete", tag="VIS02_Sts"), "tag"),
    "member": (lambda line: line.download("retype", tag="VIS01_Cmd", member="Speed"), "member"),
    "log tag": (lambda line: line.write_log(tag="VIS02_Sts"), "tag"),
    "log element": (lambda line: line.write_log(tag="VIS01_Result", element=8), "element"),
    "log without tag": (lambda line: line.write_log(element=1), "element"),
    "log size": (lambda line: line.write_log(most=100_000), "most"),
    "drop": (lambda line: line.fault(drop_every=-1), "drop_every"),
    "flag": (lambda line: line.command("freeze_logic", on="yes"), "on"),
    "unknown": (lambda line: line.command("reset", hard=True), "hard"),
}


def test_a_wrong_order_is_refused_by_its_field_and_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            for name, (order, field) in WRONG.items():
                with pytest.raises(ControlError) as refusal:
                    await order(line)
                assert refusal.value.field == field, name
            assert (await line.status())["standstill"] == []
            await beats(line)

    run(scenario)


FAULTS: tuple[dict[str, Any], ...] = (
    {"delay_ms": 5.0, "duplicate": True, "reorder": False, "torn_ms": 3.0},
    {"blackhole": True, "drop_every": 3, "cut_after_bytes": 30, "drip_ms": 1.0},
    {"refuse": True, "freeze": False, "cut": False},
)


def test_every_fault_of_the_communication_can_be_set_and_cleared(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as line:
            for fault in FAULTS:
                await line.fault(**fault)
                await line.fault(clear=True)
            await beats(line)

    run(scenario)
