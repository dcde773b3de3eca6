"""What a trigger does: it exposes the next image, counts it and sends it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from taktgate.inspection.frames.frame_wire import FrameHeader, encode_header
from taktgate.standin.camera.faults import DeliveryFaults
from taktgate.standin.camera.frames_out import FrameServer
from taktgate.standin.camera.roll import Picture, Roll
from taktgate.standin.camera.trigger_line import Trigger

_WAITING_TRIGGERS: Final = 64
Frame = tuple[bytes, bytes]
"""Header and pixels."""


class Exposure:
    """Takes triggers, one after the other; one that finds 64 waiting is missed, and counted."""

    def __init__(
        self,
        roll: Roll,
        frames: FrameServer,
        *,
        exposure_ms: float,
        publish: Callable[[dict[str, Any]], None],
    ) -> None:
        self._roll = roll
        self._frames = frames
        self._exposure_ns = round(exposure_ms * 1_000_000)
        self._publish = publish
        self._triggers: asyncio.Queue[tuple[int, Trigger]] = asyncio.Queue(_WAITING_TRIGGERS)
        self.faults: DeliveryFaults[Frame] = DeliveryFaults()
        self.frame_id = 0
        """Of the newest exposure."""
        self.missed_triggers = 0

    def trigger(self, trigger: Trigger) -> None:
        """Expose a frame for *trigger*. The counter goes up whatever becomes of it."""
        self.frame_id += 1
        try:
            self._triggers.put_nowait((self.frame_id, trigger))
        except asyncio.QueueFull:
            self.missed_triggers += 1

    async def run(self) -> None:
        """Expose until cancelled."""
        while True:
            frame_id, trigger = await self._triggers.get()
            left_ns = trigger.at_ns + self._exposure_ns - time.monotonic_ns()
            await asyncio.sleep(max(0.0, left_ns / 1e9))
            self._read_out(frame_id, trigger, await self._roll.next())

    def _read_out(self, frame_id: int, trigger: Trigger, picture: Picture) -> None:
        header = FrameHeader(
            frame_id=frame_id,
            width=picture.width,
            height=picture.height,
            channels=picture.channels,
            payload_bytes=len(picture.pixels),
            exposure_ns=trigger.at_ns,
            crc32=picture.crc32,
        )
        delivery, frames = self.faults.pass_on((encode_header(header), picture.pixels))
        for frame in frames:
            self._frames.send(*frame)
        self._publish(
            {
                "event": "exposed",
                "frame_id": frame_id,
                "trigger_id": trigger.part,
                "image": picture.image,
                "label": picture.label,
                "exposure_ns": trigger.at_ns,
                "read_out_ns": time.monotonic_ns(),
                "delivery": delivery,
            }
        )
