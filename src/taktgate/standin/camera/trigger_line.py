"""The camera's hardware trigger input, as a UDP port."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from taktgate.standin.control.commands import ControlError

_MAX_DIGITS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """One pulse."""

    at_ns: int
    part: int | None
    """Which part the PLC meant: for the truth log only, as a wire carries no number."""


class TriggerLine(asyncio.DatagramProtocol):
    """Calls *on_trigger* for each pulse."""

    def __init__(self, on_trigger: Callable[[Trigger], None]) -> None:
        self._on_trigger = on_trigger

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; return the address, with the port that was chosen if *port* is 0.

        Raises:
            ControlError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: self, local_addr=(host, port)
            )
        except OSError as error:
            raise ControlError("--trigger", f"{host}:{port}: {error.strerror}") from error
        return cast("tuple[str, int]", self._transport.get_extra_info("sockname")[:2])

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a pulse; whatever is in it, it is one."""
        is_number = data.isdigit() and len(data) <= _MAX_DIGITS
        part = int(data) if is_number else None
        self._on_trigger(Trigger(at_ns=time.monotonic_ns(), part=part))

    def close(self) -> None:
        """Stop listening."""
        self._transport.close()
