"""The whole PLC: server, program and control channel, on one event loop."""

import asyncio
import secrets
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.control.commands import (
    Command,
    ControlError,
    Event,
    check_fields,
    flag,
    number,
)
from taktgate.standin.control.server import ControlServer
from taktgate.standin.line.program import HIGHEST_BASE, LineProgram, LineSettings
from taktgate.standin.line.scan import ScanTask, Wiring
from taktgate.standin.logix.faults import HEALTHY, Faults
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.server import LogixServer

DEFAULT_WAIT_READY_S: Final = 30.0
_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlcSettings:
    """Where the PLC is, and its presets."""

    host: str
    port: int
    camera_trigger: tuple[str, int] | None
    """Where the trigger output is wired to; None leaves it open."""
    control: Path
    scan_ms: int
    line: LineSettings


class Plc:
    """One controller from power-up to power-off."""

    def __init__(self, settings: PlcSettings) -> None:
        self._settings = settings
        self._trigger = TriggerOutput(settings.camera_trigger)
        self._memory = TagMemory(symbols_of(TAGS))
        self._server = LogixServer(self._memory)
        self._program = LineProgram(settings.line, base=secrets.randbelow(HIGHEST_BASE) + 1)
        self._control = ControlServer(settings.control, obey=self._obey, greet=self._greet)
        self._scan = ScanTask(
            self._program,
            self._memory,
            Wiring(pulse_trigger=self._trigger.pulse, publish=self._control.publish),
            scan_ms=settings.scan_ms,
        )
        self._address = (settings.host, settings.port)

    async def serve(self, stop: asyncio.Event) -> None:
        """Run until *stop* is set.

        Raises:
            ListenError: the address of the controller cannot be had.
            ControlError: the control path cannot be had.
        """
        self._address = await self._server.start(*self._address)
        try:
            await self._control.start()
            scanning = asyncio.create_task(self._scan.run(), name="scan")
            stopping = asyncio.create_task(stop.wait(), name="stop")
            await asyncio.wait((scanning, stopping), return_when=asyncio.FIRST_COMPLETED)
            for task in (scanning, stopping):
                task.cancel()
            await asyncio.gather(scanning, stopping, return_exceptions=True)
            if not stop.is_set():
                scanning.result()
        finally:
            await self._control.close()
            await self._server.close()
            self._trigger.close()

    def _greet(self) -> Event:
        host, port = self._address
        return {"event": "ready", "host": host, "port": port, **self._status()}

    def _status(self) -> Event:
        return {
            **self._scan.state(),
            "running": self._program.production.is_running,
            "open_parts": self._program.open_parts,
            **self._scan.counters.as_dict(),
        }

    def _obey(self, command: Command) -> Event:
        actions = {
            "run": self._run,
            "stop": self._stop,
            "status": self._tell_status,
            "fault": self._set_faults,
        }
        if command["do"] not in actions:
            raise ControlError("do", f"must be one of {', '.join(actions)}")
        return actions[command["do"]](command)

    def _run(self, command: Command) -> Event:
        check_fields(command, ("parts", "rate", "wait_ready_s"))
        if self._program.production.is_running or self._program.open_parts:
            raise ControlError("do", "parts are still on the line")
        highest = self._settings.line.highest_rate()
        parts = None
        if command.get("parts") is not None:
            parts = int(number(command, "parts", at_least=1, at_most=1_000_000))
        rate = number(command, "rate", at_least=0.01, at_most=highest)
        wait = number(
            {"wait_ready_s": DEFAULT_WAIT_READY_S, **command},
            "wait_ready_s",
            at_least=0,
            at_most=_HOUR_S,
        )
        self._program.production.run(parts=parts, rate=rate, wait_ready_s=wait)
        return {}

    def _stop(self, command: Command) -> Event:
        check_fields(command, ())
        self._program.production.stop()
        return {}

    def _tell_status(self, command: Command) -> Event:
        check_fields(command, ())
        return self._status()

    def _set_faults(self, command: Command) -> Event:
        check_fields(command, ("delay_ms", "freeze", "cut", "clear"))
        faults = HEALTHY if command.get("clear") is True else self._server.faults
        self._server.apply(_changed(faults, command))
        return {}


def _changed(faults: Faults, command: Command) -> Faults:
    if "delay_ms" in command:
        faults = replace(faults, delay_ms=number(command, "delay_ms", at_least=0, at_most=60_000))
    if "freeze" in command:
        faults = replace(faults, is_frozen=flag(command, "freeze"))
    if "cut" in command:
        faults = replace(faults, is_cut=flag(command, "cut"))
    return faults


class TriggerOutput:
    """The wire to the camera. The number in it is for the truth log; a real wire carries none."""

    def __init__(self, camera: tuple[str, int] | None) -> None:
        self._camera = camera
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def pulse(self, trigger_id: int) -> None:
        """Pulse the output; nothing can hold it up, and whether a camera is there is not known."""
        if self._camera is not None:
            try:
                self._socket.sendto(str(trigger_id).encode("ascii"), self._camera)
            except OSError:
                # Nobody listens (the kernel reports the pulse before) or the buffer is full.
                return

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()
