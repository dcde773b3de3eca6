"""The PLC as a test or the demo starts it."""

from collections.abc import Mapping
from pathlib import Path

from taktgate.standin.control.commands import Event
from taktgate.standin.control.process import StandinProcess


class LineProcess(StandinProcess):
    """The PLC in a process of its own. `ready` holds its `host` and `port`.

    Events: `part` (one per part, with the fields of `PartClosed` and `Finding`), `state`
    (`comm_ok`, `ready`), `vision` (VIS01_Sts as it was written, at each change but a heartbeat's),
    `program` (`standstill`: why it does not scan, nothing when it does again), `finished` (the
    counters), `ended` (`exit_code`). `at_ns` of an event is CLOCK_MONOTONIC.
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
        scan_jitter_ms: float = 0.0,
        seed: int = 0,
        extra_tags: int = 0,
        program: str = "python",
    ) -> None:
        options = {
            "--host": host,
            "--port": port,
            "--camera-trigger": camera_trigger,
            "--deadline-ms": deadline_ms,
            "--gate-delay-ms": gate_delay_ms,
            "--watchdog-ms": watchdog_ms,
            "--scan-ms": scan_ms,
            "--scan-jitter-ms": scan_jitter_ms,
            "--seed": seed,
            "--extra-tags": extra_tags,
            "--program": program,
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
        """Return the program, the line and the vision side as they are now.

        Keys: `comm_ok`, `ready`; `mode`, `standstill` (why the program does not scan, in order);
        `scan` (`scans`, `overruns`, `longest_ms`); `parts_on_belt` (each `trigger_id`, `position`
        in encoder pulses, `state`); `flap` (`is_open`, `for_part`, `eye_at`, `flap_at`); `vision`
        (members of VIS01_Sts by their names); `running`, `open_parts` and the counters.
        """
        return await self.command("status")

    async def fault(
        self,
        *,
        delay_ms: float | None = None,
        freeze: bool | None = None,
        cut: bool | None = None,
        blackhole: bool | None = None,
        drop_every: int | None = None,
        cut_after_bytes: int | None = None,
        drip_ms: float | None = None,
        duplicate: bool | None = None,
        reorder: bool | None = None,
        refuse: bool | None = None,
        torn_ms: float | None = None,
        clear: bool | None = None,
    ) -> None:
        """Change what is wrong with the controller's communication; None leaves a fault as it is.

        The meaning of each is in `standin/logix/faults.py`. Numbers are switched off by 0, all
        faults by *clear*, which comes before the others.

        Raises:
            ControlError: a number is out of its range.
        """
        fields = {
            "delay_ms": delay_ms,
            "freeze": freeze,
            "cut": cut,
            "blackhole": blackhole,
            "drop_every": drop_every,
            "cut_after_bytes": cut_after_bytes,
            "drip_ms": drip_ms,
            "duplicate": duplicate,
            "reorder": reorder,
            "refuse": refuse,
            "torn_ms": torn_ms,
            "clear": clear,
        }
        await self.command("fault", **_given(fields))

    async def reset(self) -> None:
        """Reset every TCP connection now; new ones are taken."""
        await self.command("reset")

    async def forget(self, *, sessions: bool = False) -> None:
        """Forget all class-3 connections silently, and *sessions* too; TCP connections stay.

        Requests on a forgotten connection are dropped without an answer.
        """
        await self.command("forget", sessions=sessions)

    async def download(
        self,
        change: str = "none",
        *,
        tag: str | None = None,
        member: str | None = None,
        off_ms: float | None = None,
        keep_values: bool | None = None,
    ) -> None:
        """Download a project: program off, tags as *change* says, class 0xAC changes, first scan.

        Args:
            change: none, renumber, add, retype, delete, access, reshape (as in
                `standin/logix/downloads.py`), or restore: the contract's own tags again.
            tag: which tag; all but none, renumber, add and restore need one.
            member: which member of its type, for retype and reshape.
            off_ms: how long the program is off, 0..60000; None takes 200.
            keep_values: False brings the values of the project, which are zero.

        A project whose tags do not fit the gate program is not verified: its program does not run
        (`standstill` says NOT_VERIFIED) until another download brings them back.

        Raises:
            ControlError: there is no such change, tag or member.
        """
        fields = {
            "change": change,
            "tag": tag,
            "member": member,
            "off_ms": off_ms,
            "keep_values": keep_values,
        }
        await self.command("download", **_given(fields))

    async def set_mode(self, mode: str) -> None:
        """Turn the keyswitch: program, run, remote_program or remote_run.

        In the program modes the program does not scan, outputs are off and the gate is at rest;
        communication goes on and tag writes are taken. The way back to run begins with a first
        scan.

        Raises:
            ControlError: there is no such mode.
        """
        await self.command("mode", mode=mode)

    async def power_cycle(self, off_ms: float = 500) -> None:
        """Cut the power for *off_ms*, 0..60000: connections are reset and new ones refused.

        Returns at once. Tags are retentive; the program comes back with a first scan, and parts
        are numbered from another base.
        """
        await self.command("power_cycle", off_ms=off_ms)

    async def freeze_logic(self, on: bool) -> None:
        """Let the ladder stand still, or go on as if nothing had been, while communication lives.

        Outputs stay as they are, which is why a gate has to close by itself after each part.
        """
        await self.command("freeze_logic", on=on)

    async def write_log(
        self,
        *,
        tag: str | None = None,
        element: int | None = None,
        since_ns: int = 0,
        most: int = 100,
    ) -> list[Event]:
        """Return what clients wrote to the contract's tags after *since_ns*, oldest first.

        Args:
            tag: one tag only.
            element: one element of it only.
            since_ns: CLOCK_MONOTONIC; pass the newest `at_ns` to read on.
            most: 1..200; the answer has at most so many, the oldest of those there are.

        Raises:
            ControlError: there is no such tag or element, or *most* is out of range.
        """
        fields = {"tag": tag, "element": element, "since_ns": since_ns, "most": most}
        reply = await self.command("write_log", **_given(fields))
        writes: list[Event] = reply["writes"]
        return writes


def _given(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
