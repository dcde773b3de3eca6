"""The writer process and the process that checks the controller for it: what one leaves behind."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.integration.ladder_controller import LadderController
from tests.integration.writer_station import Station

from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.faults import Faults


@asynccontextmanager
async def running_writer(
    folder: Path, controller: LadderController
) -> AsyncIterator[tuple[Station, subprocess.Popen[bytes]]]:
    """A station at *controller* whose writer is ready."""
    station = Station(folder, plc=controller)  # type: ignore[arg-type]  # its address is enough
    await station.open()
    try:
        writer = station.start_writer()
        await station.until_ready()
        yield station, writer
    finally:
        await station.close()


def test_checks_leave_no_descriptor_and_no_process_behind(tmp_path: Path) -> None:
    async def scenario() -> None:
        with LadderController() as controller:
            async with running_writer(tmp_path, controller) as (station, writer):
                before = descriptors(writer.pid)
                controller.server.download(Download(change=Change.NONE))
                controller.server.reset()
                await station.until(lambda: checks(station) >= 2 and station.is_connected is True)
                await station.until(lambda: children(writer.pid) == [])
                await station.until(lambda: descriptors(writer.pid) == before)

    asyncio.run(scenario())


def test_a_check_dies_with_the_writer(tmp_path: Path) -> None:
    async def scenario() -> None:
        with LadderController() as controller:
            async with running_writer(tmp_path, controller) as (station, writer):
                controller.server.download(Download(change=Change.NONE))
                controller.server.apply(Faults(delay_ms=90.0))  # time to catch the check at work
                controller.server.reset()
                await station.until(lambda: bool(children(writer.pid)))
                (check,) = children(writer.pid)
                await station.until(lambda: has_a_socket(check))
                os.kill(check, signal.SIGSTOP)  # it shall not end by itself
                writer.send_signal(signal.SIGKILL)
                writer.wait()
                await station.until(lambda: not is_alive(check))

    asyncio.run(scenario())


def checks(station: Station) -> int:
    return 0 if station.status is None else station.status.contract_checks


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def has_a_socket(pid: int) -> bool:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed while we look
            if os.readlink(descriptor).startswith("socket:"):
                return True
    return False


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False
