"""The real controller of a stage: server, tag memory, line program, its audit, and the ladder."""

from collections import deque
from dataclasses import replace
from typing import Any, Final, NamedTuple

from taktgate.plc.contract.tags import RESULT, RESULT_SLOTS, RESULT_TAG, STATUS_TAG, TAGS
from taktgate.standin.handshake_model.facts import STEP_NS, WATCHDOG_STEPS
from taktgate.standin.handshake_model.plc_program import Numbers, Presets
from taktgate.standin.handshake_player.ladder_twin import LadderTwin
from taktgate.standin.handshake_player.proxy import Held
from taktgate.standin.line.ladder import Rule, accepts
from taktgate.standin.line.production import Production
from taktgate.standin.line.program import LineProgram, LineSettings, Outputs
from taktgate.standin.line.records import Gate
from taktgate.standin.line.scan import ScanTask, Wiring
from taktgate.standin.line.standstill import Standstill
from taktgate.standin.line.tags_view import Command, LineTags, ResultSlot, Vision
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.server import LogixServer

_MILLISECOND: Final = 1_000_000
STEP_MS: Final = STEP_NS // _MILLISECOND
_RENUMBER: Final = 100 * RESULT_SLOTS
PIECE_ENDS: Final = (4, 8, 32, 36, 40)
"""Where the copy of a result may be cut in two: behind SeqBegin, TriggerId, Decision, the bits,
ErrorCode (see `facts.PIECES`)."""


class PartAtGate(NamedTuple):
    """A part that has reached the gate."""

    trigger_id: int
    trigger_ns: int
    is_accepted: bool
    result_seq: int
    """SeqEnd of the result that stands for it; 0 when there is none, or nobody looked."""


class PartsOnCue(Production):
    """Lets a part come in the scan that the stage says."""

    def __init__(self) -> None:
        super().__init__()
        self.is_running = True
        self.comes_now = False

    def is_due(self, now_ns: int, *, is_ready: bool) -> bool:
        """Tell whether a part comes."""
        return self.comes_now


class Controller:
    """A Logix controller with the gate program, on a clock of its own."""

    def __init__(
        self,
        settings: LineSettings,
        *,
        scan_ms: int = STEP_MS,
        rule: Rule = accepts,
        ladder: LadderTwin | None = None,
    ) -> None:
        self.now_ns = STEP_NS
        self.memory = TagMemory(symbols_of(TAGS), clock=lambda: self.now_ns)
        self.server = LogixServer(self.memory)
        self.gated: deque[PartAtGate] = deque()
        self.unsafe = 0
        """Parts that the audit says may not have passed."""
        self.findings: list[str] = []
        """What the audit holds against it, and where ladder and program disagree."""
        self.abandoned: set[int] = set()
        """Parts that were on the line when the program stopped: a first scan rejects them."""
        self._settings = settings
        self._scan_ms = scan_ms
        self._rule = rule
        self._ladder = ladder
        self._tags = LineTags(self.memory)
        self._power_up(
            Command(heartbeat=1, deadline_ms=settings.deadline_ms, enable=True, hb_fault=False)
        )

    @property
    def is_running(self) -> bool:
        """True while the key is on Run."""
        return self._task.run_state.is_scanning

    def step(self) -> None:
        """Let 100 ms pass, and the program run, unless the key is on Program."""
        self.now_ns += STEP_NS
        self.turn()

    def turn(self) -> None:
        """Have the program run, or the belt go on without it."""
        if self.is_running:
            self.scan()
        else:
            self._task.turn(self.now_ns)

    def scan(self, *, jump: int = 0) -> None:
        """Run the program once; with *jump* a part comes, numbered so much higher."""
        vision = self._tags.vision() if self._ladder is not None else None
        on_line = self._on_line()
        if jump:
            self._number_from(self._program._trigger_id + jump - 1)
        self._parts_on_cue.comes_now = jump > 0
        self._task.scan(self.now_ns)
        self._parts_on_cue.comes_now = False
        outputs = self._program.outputs
        if self._ladder is not None and vision is not None and outputs is not None:
            self.findings += self._ladder.scan(
                self.now_ns, vision, outputs, on_line=on_line, latched=self._latched()
            )

    def take_slots(self, count: int) -> None:
        """Have the next *count* numbers take their slots, as the rungs do with each part."""
        newest = self._program._trigger_id
        for trigger_id in range(newest + 1, newest + 1 + count):
            self._program._parts.take_slot(trigger_id)

    def restart(self, numbers: Numbers) -> None:
        """Power-cycle: tags are retentive, the line is empty."""
        kept = self._tags.command()
        trigger_ids = {
            Numbers.AGAIN: 0,
            Numbers.ON: kept.trigger_id,
            Numbers.ELSEWHERE: kept.trigger_id + _RENUMBER,
        }
        heartbeat = 0 if numbers is Numbers.ELSEWHERE else kept.heartbeat
        self._power_up(replace(kept, trigger_id=trigger_ids[numbers], heartbeat=heartbeat))

    def stop_program(self) -> None:
        """Turn the key to Program: the line goes on, and so do reads and writes."""
        self.abandoned.update(self._on_line())
        self._task.run_state.hold(Standstill.PROGRAM_MODE, self.now_ns)

    def run_program(self) -> None:
        """Turn the key to Run: the next scan is a first scan."""
        self._program.started_ns = self.now_ns
        self._task.run_state.lift(Standstill.PROGRAM_MODE, self.now_ns)
        if self._ladder is not None:
            self._ladder.start_program()

    def tear(self, slot: int, content: bytes, pieces: int) -> None:
        """Copy the first *pieces* of a result, as a task that is interrupted does."""
        symbol = self.memory.symbol(RESULT_TAG.name)
        assert symbol is not None
        self.memory.write(symbol, slot * RESULT.size, content[: PIECE_ENDS[pieces - 1]])

    def rest_of(self, slot: int, content: bytes, pieces: int) -> bytes:
        """Return *content* with its first *pieces* as they stand in *slot* by now."""
        end = PIECE_ENDS[pieces - 1]
        return self.memory.element(RESULT_TAG.name, slot)[:end] + content[end:]

    def undone(self, held: Held) -> bytes:
        """Return a request like *held* that writes what is there already."""
        return held.with_contents(
            lambda slot: self.memory.element(RESULT_TAG.name, slot),
            self.memory.element(STATUS_TAG.name),
        )

    def command(self) -> Command:
        """Return what VIS01_Cmd holds."""
        return self._tags.command()

    def status(self) -> dict[str, int]:
        """Return what the model looks at in the status tag, and State."""
        names = ("Heartbeat", "BootId", "LastSeq", "Ready", "State", "Fault")
        return {name: int(self.memory.load(STATUS_TAG.name, name)) for name in names}

    def slots(self) -> tuple[ResultSlot, ...]:
        """Return the result slots, as the program sees them."""
        return self._tags.vision().slots

    def _power_up(self, said: Command) -> None:
        """Begin with *said* in VIS01_Cmd: what the memory has kept, or a download brought."""
        self._program = _Program(self._settings, base=said.trigger_id, rule=self._rule)
        self._program.production = self._parts_on_cue = PartsOnCue()
        self._program.started_ns = self.now_ns
        self.abandoned.clear()
        self._task = ScanTask(
            self._program,
            self.memory,
            Wiring(pulse_trigger=lambda trigger_id: None, publish=self._note),
            scan_ms=self._scan_ms,
        )
        LineTags(self.memory).write(said)
        self._program.restart(base=None, retained=said)
        if self._ladder is not None:
            self._ladder.start_program()
            self._ladder.number_from(said.trigger_id)

    def _number_from(self, trigger_id: int) -> None:
        self._program._trigger_id = trigger_id
        if self._ladder is not None:
            self._ladder.number_from(trigger_id)

    def _latched(self) -> dict[int, bool]:
        parts = self._program._parts.by_slot()
        return {part.trigger_id: part._is_latched and not part._is_revoked for part in parts}

    def _on_line(self) -> list[int]:
        return [part.trigger_id for part in self._program._parts.by_slot()]

    def _note(self, event: dict[str, Any]) -> None:
        if event["event"] != "part":
            return
        is_accepted = event["gate"] == Gate.ACCEPT
        number, trigger_ns, sequence = (
            event[name] for name in ("trigger_id", "trigger_ns", "result_seq")
        )
        self.gated.append(PartAtGate(number, trigger_ns, is_accepted, sequence))
        if event["unsafe"]:
            self.unsafe += 1
            self.findings.append(f"the audit calls part {number} unsafe: {event}")


def settings_of(presets: Presets) -> LineSettings:
    """Return the presets of a scenario, in the line's units."""
    return LineSettings(
        deadline_ms=presets.deadline * STEP_MS,
        gate_delay_ms=presets.gate * STEP_MS,
        watchdog_ms=WATCHDOG_STEPS * STEP_MS,
    )


class _Program(LineProgram):
    """The program; its pulse begins when the controller does, as in the model.

    Without, it begins with the first scan, which is a step later.
    """

    outputs: Outputs | None = None
    """What it put out last, for the ladder beside it."""
    started_ns = 0

    def scan(self, vision: Vision, now_ns: int) -> Outputs:
        """Run the program once."""
        self.outputs = super().scan(vision, now_ns)
        return self.outputs

    def restart(self, *, base: int | None, retained: Command) -> None:
        """Make the next scan a first one."""
        super().restart(base=base, retained=retained)
        self._pulse.scan(self.started_ns)
