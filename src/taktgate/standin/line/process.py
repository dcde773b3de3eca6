"""The PLC as a test or the demo starts it."""

from pathlib import Path

from taktgate.standin.control.commands import Event
from taktgate.standin.control.process import StandinProcess


class LineProcess(StandinProcess):
    """The PLC in a process of its own. `ready` holds its `host` and `port`.

    Events: `part` (one per part, with the fields of `PartClosed` and `Finding`), `state`
    (`comm_ok`, `ready`), `finished` (the counters), `ended` (`exit_code`).
    """

    def __init__(
        self,
        *,
        control: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        camera_trigger: str | None = None,
        deadline_ms: int = 200,
        gate_delay_ms: int | None = None,
        watchdog_ms: int = 400,
        scan_ms: int = 5,
    ) -> None:
        options = {
            "--host": host,
            "--port": port,
            "--camera-trigger": camera_trigger,
            "--deadline-ms": deadline_ms,
            "--gate-delay-ms": gate_delay_ms,
            "--watchdog-ms": watchdog_ms,
            "--scan-ms": scan_ms,
        }
        arguments = [f"{name}={value}" for name, value in options.items() if value is not None]
        super().__init__("taktgate.standin.line", arguments, control=control)

    @property
    def address(self) -> str:
        """Return `host:port` as pycomm3 takes it."""
        return f"{self.ready['host']}:{self.ready['port']}"

    async def run(self, parts: int | None, rate: float, *, wait_ready_s: float = 30.0) -> None:
        """Let parts come; at the end a `finished` event is published.

        Raises:
            ControlError: the rate is more than the result slots allow, or parts are on the line.
        """
        await self.command("run", parts=parts, rate=rate, wait_ready_s=wait_ready_s)

    async def end_parts(self) -> None:
        """Let no more parts come; those on the line still reach their gate."""
        await self.command("stop")

    async def status(self) -> Event:
        """Return CommOk, Ready and the counters."""
        return await self.command("status")

    async def fault(
        self,
        *,
        delay_ms: float | None = None,
        freeze: bool | None = None,
        cut: bool | None = None,
        clear: bool | None = None,
    ) -> None:
        """Change what is wrong with the controller's communication."""
        fields = {"delay_ms": delay_ms, "freeze": freeze, "cut": cut, "clear": clear}
        await self.command("fault", **{k: v for k, v in fields.items() if v is not None})
