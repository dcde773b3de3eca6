"""The camera as a test or the demo starts it."""

from pathlib import Path

from taktgate.standin.control.process import StandinProcess


class CameraProcess(StandinProcess):
    """The camera in a process of its own. `ready` holds its addresses.

    Events: `exposed` (one per frame: `frame_id`, `trigger_id`, `image`, `label`, `exposure_ns`,
    `read_out_ns`, `delivery`), `ended` (`exit_code`). This is the truth about the parts; it goes
    nowhere near the modules under test.
    """

    def __init__(
        self,
        *,
        images: str,
        control: Path,
        listen: str = "127.0.0.1:0",
        trigger: str = "127.0.0.1:0",
        seed: int = 0,
        defective_fraction: float = 0.1,
        exposure_ms: float = 4.0,
    ) -> None:
        options = {
            "--images": images,
            "--listen": listen,
            "--trigger": trigger,
            "--seed": seed,
            "--defective-fraction": defective_fraction,
            "--exposure-ms": exposure_ms,
        }
        arguments = [f"{name}={value}" for name, value in options.items()]
        super().__init__("taktgate.standin.camera", arguments, control=control)

    @property
    def frames_address(self) -> str:
        """Return `host:port` where frames are served."""
        return str(self.ready["frames"])

    @property
    def trigger_address(self) -> str:
        """Return `host:port` of the trigger line."""
        return str(self.ready["trigger"])

    async def fault(
        self,
        *,
        drop_next: int | None = None,
        swap_next: bool | None = None,
        blind: bool | None = None,
        clear: bool | None = None,
    ) -> None:
        """Change what goes wrong with the frames."""
        fields = {"drop_next": drop_next, "swap_next": swap_next, "blind": blind, "clear": clear}
        await self.command("fault", **{k: v for k, v in fields.items() if v is not None})
