"""The whole PLC: server, program and control channel, on one event loop."""

import asyncio
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.control.commands import Event
from taktgate.standin.control.server import ControlServer
from taktgate.standin.line.controller import Controller
from taktgate.standin.line.ladder_program import LadderProgram
from taktgate.standin.line.pace import ScanPace
from taktgate.standin.line.program import HIGHEST_BASE, LineProgram, LineSettings, Program
from taktgate.standin.line.scan import ScanTask, Wiring
from taktgate.standin.line.standstill import RunState
from taktgate.standin.line.steering import Steered, Steering
from taktgate.standin.logix.foreign_tags import among_foreign
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.server import LogixServer

_FAR: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlcSettings:
    """Where the PLC is, and its presets."""

    host: str
    port: int
    camera_trigger: tuple[str, int] | None
    """Where the trigger output is wired to; None leaves it open."""
    control: Path
    scan_ms: int
    scan_jitter_ms: float
    seed: int
    extra_tags: int
    """Tags of a plant among ours."""
    is_ladder: bool
    """Run the rungs that engineers import instead of the python program."""
    line: LineSettings


class Plc:
    """One controller and its line, from the start of the process to its end."""

    def __init__(self, settings: PlcSettings) -> None:
        self._settings = settings
        self._trigger = TriggerOutput(settings.camera_trigger)
        self._memory = TagMemory(among_foreign(symbols_of(TAGS), settings.extra_tags))
        self._server = LogixServer(self._memory)
        self._program = _program(settings, self._memory)
        self._run_state = RunState()
        self._controller = Controller(self._server, self._memory, self._run_state, later=_later)
        steered = Steered(
            program=self._program,
            memory=self._memory,
            server=self._server,
            controller=self._controller,
            status=self._status,
        )
        self._control = ControlServer(
            settings.control, obey=Steering(steered).obey, greet=self._greet
        )
        self._scan = ScanTask(
            self._program,
            self._memory,
            Wiring(pulse_trigger=self._trigger.pulse, publish=self._control.publish),
            scan_ms=settings.scan_ms,
            pace=ScanPace(
                period_ms=settings.scan_ms, jitter_ms=settings.scan_jitter_ms, seed=settings.seed
            ),
            run_state=self._run_state,
            choose_base=self._choose_base,
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

    def _choose_base(self) -> int:
        """Return a number far from those of the parts that are on the belt."""
        used = self._program.conveyor.numbers()
        while True:
            base = _any_base()
            if all(abs(base - number) > _FAR for number in used):
                return base

    def _greet(self) -> Event:
        host, port = self._address
        return {"event": "ready", "host": host, "port": port, **self._status()}

    def _status(self) -> Event:
        return {
            **self._scan.state(),
            "at_ns": time.monotonic_ns(),
            "mode": self._controller.keyswitch,
            "standstill": list(self._run_state.reasons),
            "scan": self._scan.pace.as_dict(),
            **self._program.conveyor.picture(time.monotonic_ns()),
            "vision": self._scan.vision(),
            "running": self._program.production.is_running,
            "open_parts": self._program.open_parts,
            **self._scan.counters.as_dict(),
        }


def _program(settings: PlcSettings, memory: TagMemory) -> Program:
    base = _any_base()
    if settings.is_ladder:
        return LadderProgram(settings.line, memory, base=base)
    return LineProgram(settings.line, base=base)


def _any_base() -> int:
    return secrets.randbelow(HIGHEST_BASE) + 1


def _later(delay_s: float, do: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(delay_s, do)


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
