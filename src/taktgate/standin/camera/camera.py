"""The whole camera: trigger line, exposure, frames and control channel, on one event loop."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taktgate.standin.camera.exposure import Exposure
from taktgate.standin.camera.frames_out import FrameServer
from taktgate.standin.camera.roll import Roll
from taktgate.standin.camera.trigger_line import TriggerLine
from taktgate.standin.control.commands import (
    Command,
    ControlError,
    Event,
    check_fields,
    flag,
    number,
)
from taktgate.standin.control.server import ControlServer


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """Where the camera is, and how it exposes."""

    listen: tuple[str, int]
    trigger: tuple[str, int]
    control: Path
    exposure_ms: float


class Camera:
    """One camera from power-up to power-off."""

    def __init__(self, settings: CameraSettings, roll: Roll) -> None:
        self._settings = settings
        self._roll = roll
        self._frames = FrameServer()
        self._control = ControlServer(settings.control, obey=self._obey, greet=self._greet)
        self._exposure = Exposure(
            roll, self._frames, exposure_ms=settings.exposure_ms, publish=self._control.publish
        )
        self._line = TriggerLine(self._exposure.trigger)
        self._addresses: Event = {}

    async def serve(self, stop: asyncio.Event) -> None:
        """Run until *stop* is set.

        Raises:
            ControlError: an address or the control path cannot be had.
            ImageSetError: an image cannot be read.
        """
        host, port = await self._frames.start(*self._settings.listen)
        trigger_host, trigger_port = await self._line.start(*self._settings.trigger)
        self._addresses = {
            "frames": f"{host}:{port}",
            "trigger": f"{trigger_host}:{trigger_port}",
        }
        try:
            await self._control.start()
            await self._work(stop)
        finally:
            await self._control.close()
            await self._frames.close()
            self._line.close()

    async def _work(self, stop: asyncio.Event) -> None:
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._roll.fill(), name="roll"),
            asyncio.create_task(self._exposure.run(), name="exposure"),
            asyncio.create_task(stop.wait(), name="stop"),
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    def _greet(self) -> Event:
        return {"event": "ready", **self._addresses, **self._status()}

    def _status(self) -> Event:
        return {
            "frame_id": self._exposure.frame_id,
            "missed_triggers": self._exposure.missed_triggers,
            "missed_frames": self._frames.missed,
        }

    def _obey(self, command: Command) -> Event:
        if command["do"] == "status":
            check_fields(command, ())
            return self._status()
        if command["do"] == "fault":
            self._set_faults(command)
            return {}
        raise ControlError("do", "must be one of status, fault")

    def _set_faults(self, command: Command) -> None:
        check_fields(command, ("drop_next", "swap_next", "blind", "clear"))
        faults = self._exposure.faults
        if "clear" in command and flag(command, "clear"):
            faults.clear()
        if "drop_next" in command:
            faults.drop_next = int(number(command, "drop_next", at_least=0, at_most=1_000_000))
        if "swap_next" in command:
            faults.swap_next = flag(command, "swap_next")
        if "blind" in command:
            faults.is_blind = flag(command, "blind")
