"""A line program on a controller in memory, under a clock that the test turns."""

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.plc.contract.tags import DECISIONS, ERROR_CODES, TAGS, slot_of
from taktgate.standin.line.ladder import Rule, accepts
from taktgate.standin.line.ladder_program import LadderProgram
from taktgate.standin.line.program import LineProgram, LineSettings, Program
from taktgate.standin.line.scan import ScanTask, Wiring
from taktgate.standin.line.standstill import RunState, Standstill
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.router import Router

MS: Final = 1_000_000
BASE: Final = 1000
FIRST: Final = BASE + 1
SCAN: Final = 5
START_NS: Final = 50_000 * MS


class Line:
    """A line whose clock the test turns. Parts come each 100 ms, the first after two heartbeats."""

    def __init__(
        self,
        *,
        rule: Rule = accepts,
        presets: LineSettings = LineSettings(),  # noqa: B008
        kind: str = "python",
        bases: Iterable[int] = (),
    ) -> None:
        self.now = START_NS
        self.memory = TagMemory(symbols_of(TAGS), clock=lambda: self.now)
        self.router = Router(self.memory)
        self.events: list[dict[str, Any]] = []
        self.pulses: list[tuple[int, int]] = []
        self.program: Program = (
            LadderProgram(presets, self.memory, base=BASE)
            if kind == "ladder"
            else LineProgram(presets, base=BASE, rule=rule)
        )
        self.run_state = RunState()
        self.task = ScanTask(
            self.program,
            self.memory,
            Wiring(pulse_trigger=self._pulse, publish=self.events.append),
            scan_ms=SCAN,
            run_state=self.run_state,
            choose_base=iter(bases).__next__ if bases else None,
        )
        self.heartbeat = 0
        self.is_alive = True
        self.is_ready = True
        self.seq = 0

    def _pulse(self, trigger_id: int) -> None:
        assert self.memory.load("VIS01_Cmd", "TriggerId") == trigger_id, "written before the pulse"
        self.pulses.append((trigger_id, self.now))

    def go(self, milliseconds: int) -> None:
        """Let time pass, with a scan every 5 ms and a vision heartbeat every 100 ms."""
        for _ in range(milliseconds // SCAN):
            self.now += SCAN * MS
            if self.is_alive and self.now // MS % 100 == 0:
                self.heartbeat += 1
                self.write("VIS01_Sts", "Heartbeat", self.heartbeat)
                self.write("VIS01_Sts", "Ready", self.is_ready)
            self.task.turn(self.now)

    def stand(self, why: Standstill, milliseconds: int) -> None:
        """Let the program stand still for a while; the rest of the world goes on."""
        self.run_state.hold(why, self.now)
        self.go(milliseconds)
        self.run_state.lift(why, self.now)

    @contextmanager
    def between_scans(self, milliseconds: int) -> Iterator[None]:
        """Do something a little after a scan and before the next."""
        self.now += milliseconds * MS
        yield
        self.now -= milliseconds * MS

    def until_trigger(self, parts: int = 1, rate: float = 10.0) -> None:
        self.go(200)
        self.program.production.run(parts=parts, rate=rate, wait_ready_s=1.0)
        while not self.pulses:
            self.go(SCAN)

    def write(self, tag: str, member: str, value: int, slot: int | None = None) -> None:
        """Write one member as a client does, through the router and into the log."""
        path = _symbol(tag) + (b"" if slot is None else bytes((0x28, slot))) + _symbol(member)
        is_bool = isinstance(value, bool)
        data = struct.pack("<HHB" if is_bool else "<HHi", 0xC1 if is_bool else 0xC4, 1, value)
        reply = self.router.answer(bytes((0x4D, len(path) // 2)) + path + data, 500)
        assert reply[2] == 0

    def result(
        self, verdict: Verdict, reason: Reason = Reason.NONE, part: int = FIRST, **members: int
    ) -> None:
        """Write a whole result for *part*, Valid last; *members* replace what would be right."""
        self.seq += 1
        right: dict[str, int] = {
            "SeqBegin": self.seq,
            "TriggerId": part,
            "Decision": DECISIONS[verdict],
            "Pass": verdict is Verdict.PASS,
            "Reject": verdict is not Verdict.PASS,
            "Late": verdict is Verdict.LATE,
            "ErrorCode": ERROR_CODES[reason],
            "SeqEnd": self.seq,
        }
        written = {**right, **members}
        is_valid = written.pop("Valid", True)
        for member, value in {"Valid": False, **written}.items():
            self.write("VIS01_Result", member, value, slot_of(part))
        if is_valid:
            self.write("VIS01_Result", "Valid", True, slot_of(part))

    def closed(self) -> dict[str, Any]:
        """Let the part reach its gate, and return its record."""
        self.go(400)
        (record,) = [event for event in self.events if event["event"] == "part"]
        return record

    def parts(self) -> list[dict[str, Any]]:
        """Return the records of the parts that have passed the gate."""
        return [event for event in self.events if event["event"] == "part"]

    def part(self, trigger_id: int) -> dict[str, Any]:
        """Return the record of a part that has passed the gate."""
        (record,) = (each for each in self.parts() if each["trigger_id"] == trigger_id)
        return record

    def command(self, member: str) -> int | float | bool:
        return self.memory.load("VIS01_Cmd", member)


def _symbol(name: str) -> bytes:
    return bytes((0x91, len(name))) + name.encode() + b"\0" * (len(name) % 2)


def facts(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["verdict"], record["reason"], record["gate"], record["why"]


CLEAN: Final = {"unsafe": False, "unexplained": False}
