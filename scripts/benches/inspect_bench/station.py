"""The real judge process with its runners; the bench is its camera, PLC writer and agent."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import yaml
from benches.inspect_bench.camera import Camera
from benches.inspect_bench.frames import Pixels
from benches.inspect_bench.inbox import Letter, StampedInbox
from benches.inspect_bench.model import KEY, BenchModel
from benches.inspect_bench.parts import SeenPart
from benches.inspect_bench.timeline import Timeline

from taktgate.bundle.signing import SigningKey
from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation, SlotRef
from taktgate.contracts.codec import decode, encode
from taktgate.contracts.line import Beat, LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import open_envelope
from taktgate.edge.clock import MILLISECOND, SECOND, kernel_boot_id, monotonic_ns, new_start_id
from taktgate.edge.lane import LaneSender
from taktgate.inspection import control
from taktgate.inspection.control import JudgeEvent, JudgeStatus, RunnerState

KIND_PART: Final = "part"
START_S: Final = 60.0
_LINE_NS: Final = 100 * MILLISECOND
_END_S: Final = 5.0
_MOST_LATE_NS: Final = 4 * MILLISECOND
_GAP: Final = 0.6
"""Of a period: by then the part before has its verdict, and there is time until the next."""
_NAME: Final = "VIS01"


class StationError(Exception):
    """The judge did not become or do what it should in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Priorities:
    """What judge and runner ask for in station.yaml; 0 is none."""

    judge: int = 0
    runner: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the station is set up."""

    deadline_ms: int = 200
    reserve_ms: int = 50
    window_ms: int = 25
    """Shorter than the takt: from the trigger until its frame is complete."""
    standby: bool = True
    priorities: Priorities = Priorities()

    def document(self, camera_port: int) -> dict[str, Any]:
        """Return the content of station.yaml; what is not named has its default."""
        return {
            "station": _NAME,
            "device_class": "cpu",
            "plc": {"address": "127.0.0.1"},
            "camera": {"address": f"127.0.0.1:{camera_port}", "frame_window_ms": self.window_ms},
            "judge": {
                "decision_reserve_ms": self.reserve_ms,
                "standby": self.standby,
                "breaker_after": 100,  # what is measured is each fault, not the station's patience
            },
            "image_gate": {
                "dark_share_max": 0.98,
                "saturated_share_max": 0.98,
                "frozen_frames": 3,
            },
            "realtime": {"judge": self.priorities.judge, "runner": self.priorities.runner},
        }


class Station:
    """One start of the judge, from entering to leaving the context."""

    def __init__(self, folder: Path, *, live: BenchModel, terms: Terms | None = None) -> None:
        self.folder = folder
        self.terms = terms or Terms()
        self.camera = Camera()
        self.parts: dict[int, SeenPart] = {}
        self.events: list[JudgeEvent] = []
        self.status: JudgeStatus | None = None
        self.on_verdict: Callable[[SeenPart], None] = lambda part: None
        self.on_event: Callable[[JudgeEvent], None] = lambda event: None
        self.on_agent_letter: Callable[[Letter], None] = lambda letter: None
        """Sees everything that the judge tells its agent: for an agent beside the bench."""
        self.left_out = 0
        """Parts that the bench itself was too late for."""
        self._live = live
        self._by_sequence: dict[int, SeenPart] = {}
        self._beat: Beat | None = None
        self._trigger_id, self._sequence = 100, 0
        self._writer_id, self._epoch = new_start_id(), 77
        self._is_line_alive = False
        self._lay_out()
        self._writer = StampedInbox(folder / "lane" / control.WRITER_SOCKET, self._from_judge)
        self._agent = StampedInbox(folder / "private" / control.AGENT_SOCKET, self._to_agent)
        self._line = LaneSender(folder / "lane" / control.JUDGE_SOCKET, Lane.LOCAL)
        self._commands = LaneSender(folder / "private" / control.CONTROL_SOCKET, Lane.LOCAL)
        self.timeline = Timeline([self._writer, self._agent])

    def _lay_out(self) -> None:
        """Make the folders of a station whose last-known-good is the live model, proven here."""
        folder = self.folder
        for name in ("lane", "private", "slots", "state", "config/trusted_keys"):
            (folder / name).mkdir(parents=True)
        public = SigningKey.load(KEY).public_pem()
        (folder / "config/trusted_keys/bench.pub.pem").write_bytes(public)
        document = self.terms.document(self.camera.port)
        (folder / "station.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        good = SlotRef(model=reference(self._live), order="o1", slot=self.install(self._live))
        activation = Activation(
            contract=CONTRACT_VERSION, generation=1, last_known_good=good, settled_order="o1"
        )
        (folder / "state/activation.json").write_bytes(encode(activation))

    def install(self, model: BenchModel) -> str:
        """Put *model* on the slots volume; return the name of its slot."""
        slot = f"slot-{model.digest.partition(':')[2][:16]}"
        shutil.copytree(model.slot, self.folder / "slots" / slot, dirs_exist_ok=True)
        return slot

    def __enter__(self) -> Self:
        """Start the judge and wait until it is ready for parts."""
        self._process = self._popen()
        try:
            self.camera.accept()
            self._keep_line_alive()
            self.until(lambda: self.is_ready, START_S, "the judge is ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the judge and its runners."""
        self._process.send_signal(signal.SIGTERM)
        for process in (self._process, self._log):  # the log ends with the last to hold its pipe
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.camera.close()
        for end in (self._writer, self._agent, self._line, self._commands):
            end.close()

    def environment(self) -> dict[str, str]:
        """Return what tells a process of this station where things are."""
        places = {
            "STATION_FILE": "station.yaml",
            "CONFIG_DIR": "config",
            "LANE_DIR": "lane",
            "PRIVATE_DIR": "private",
            "SLOTS_DIR": "slots",
            "STATE_DIR": "state",
            "RECORDS_DIR": "records",
        }
        named = {f"TAKTGATE_{name}": str(self.folder / path) for name, path in places.items()}
        return {**os.environ, **named, "TAKTGATE_PARENT_PID": str(os.getpid())}

    @property
    def pid(self) -> int:
        """Return the judge's process id."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Tell whether the judge says of itself that it could judge a part."""
        status, beat = self.status, self._beat
        return status is not None and status.is_ready and beat is not None and beat.ready

    def said(self) -> str:
        """Return the end of what the judge and its runners logged."""
        return (self.folder / "judge.log").read_text(errors="replace")[-2000:]

    def until(self, holds: Callable[[], bool], limit_s: float, what: str) -> None:
        """Let time pass until *holds*.

        Raises:
            StationError: it does not within *limit_s*, or the judge has ended.
        """
        if not self.timeline.run(lambda: holds() or self._has_ended(), limit_s=limit_s):
            raise StationError(f"not within {limit_s:g} s: {what}; last said: {self.said()}")
        if self._has_ended():
            raise StationError(f"the judge has ended: {self._process.poll()}: {self.said()}")

    def live_runner(self) -> int | None:
        """Return the process id of the runner that judges."""
        status = self.status
        for model in () if status is None else status.models:
            if (
                status is not None
                and model.digest == status.live
                and model.state is RunnerState.READY
            ):
                return model.pid
        return None

    def pass_time(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.timeline.run(lambda: False, limit_s=seconds)

    def command(self, kind: str, document: object) -> None:
        """Tell the judge what its agent would."""
        self._commands.send(kind, encode(document))

    def part(self, frame: Pixels, due_ns: int | None = None) -> SeenPart:
        """Let one part come now: its trigger, then its frame."""
        self._trigger_id += 1
        now_ns = monotonic_ns()
        state = self._send_line(is_edge=True)
        exposure_ns = self.camera.send(frame)
        deadline_ns = state.observed_after_ns + self.terms.deadline_ms * MILLISECOND
        part = SeenPart(
            trigger_id=self._trigger_id,
            frame=frame,
            due_ns=now_ns if due_ns is None else due_ns,
            sent_ns=now_ns,
            exposure_ns=exposure_ns,
            frame_sent_ns=monotonic_ns(),
            decide_by_ns=deadline_ns - self.terms.reserve_ms * MILLISECOND,
        )
        self.parts[part.trigger_id] = part
        return part

    def feed(
        self,
        frames: Sequence[Pixels],
        *,
        count: int,
        per_s: float,
        between: Callable[[int], None] | None = None,
    ) -> list[SeenPart]:
        """Let *count* parts come at their times, whatever becomes of the others (open loop).

        A part that the bench cannot let come in time is left out, and counted: its frame would
        meet the next one's window, which no camera does. *between* is called in the gap behind
        each part, with the number of its frame.

        Raises:
            StationError: a part is without a verdict long after its deadline, or the judge ended.
        """
        fed: list[SeenPart] = []
        for frame in frames:
            self.camera.prepare(frame)
        period_ns = round(SECOND / per_s)
        first_ns = monotonic_ns() + period_ns
        for number in range(count):
            due_ns = first_ns + number * period_ns
            which = number % len(frames)
            self.timeline.at(due_ns, partial(self._feed_one, frames[which], due_ns, fed))
            if between is not None:
                self.timeline.at(due_ns + round(_GAP * period_ns), partial(between, which))
        end_ns = first_ns + count * period_ns

        def is_over() -> bool:
            return monotonic_ns() >= end_ns and all(part.envelope is not None for part in fed)

        self.until(is_over, count / per_s + START_S, "a verdict for each part")
        return fed

    def _feed_one(self, frame: Pixels, due_ns: int, fed: list[SeenPart]) -> None:
        if self.is_in_time(due_ns):
            fed.append(self.part(frame, due_ns))

    def is_in_time(self, due_ns: int) -> bool:
        """Tell whether the part of *due_ns* can still come; one that cannot is counted."""
        if monotonic_ns() - due_ns <= _MOST_LATE_NS:
            return True
        self.left_out += 1
        return False

    def _popen(self) -> "subprocess.Popen[bytes]":
        """Start the judge; what it says goes through a pipe, as in a container: no disk waits."""
        with (self.folder / "judge.log").open("ab") as log:
            self._log = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log)
        assert self._log.stdin is not None
        with self._log.stdin as pipe:
            return subprocess.Popen(
                [sys.executable, "-m", "taktgate.inspection.judge.process"],
                env=self.environment(),
                stdout=pipe,
                stderr=subprocess.STDOUT,
            )

    def _has_ended(self) -> bool:
        return self._process.poll() is not None

    def _keep_line_alive(self) -> None:
        self._send_line(is_edge=False)
        self.timeline.at(monotonic_ns() + _LINE_NS, self._keep_line_alive)

    def _send_line(self, *, is_edge: bool) -> LineState:
        """Send what the writer would have read from the PLC just now."""
        self._sequence += 1
        now_ns = monotonic_ns()
        state = LineState(
            contract=CONTRACT_VERSION,
            station=_NAME,
            kernel_boot_id=kernel_boot_id(),
            writer_start_id=self._writer_id,
            plc_epoch=self._epoch,
            sequence=self._sequence,
            trigger_id=self._trigger_id,
            is_edge=is_edge,
            deadline_ms=self.terms.deadline_ms,
            enable=True,
            observed_after_ns=now_ns,
            observed_ns=now_ns,
        )
        self._line.send(control.KIND_LINE, encode(state))
        return state

    def _from_judge(self, letter: Letter) -> None:
        if letter.kind == control.KIND_BEAT:
            self._beat = decode(Beat, letter.payload)
        elif letter.kind == control.KIND_VERDICT:
            self._take_verdict(letter)

    def _take_verdict(self, letter: Letter) -> None:
        envelope = open_envelope(letter.payload)
        part = self.parts.get(envelope.trigger_id)
        if part is None:
            return
        if part.envelope is not None:
            raise StationError(f"two verdicts for part {part.trigger_id}")
        part.envelope, part.verdict_ns, part.seen_ns = envelope, letter.sent_ns, letter.seen_ns
        self._by_sequence[envelope.sequence] = part
        self.on_verdict(part)

    def _to_agent(self, letter: Letter) -> None:
        self.on_agent_letter(letter)
        if letter.kind == control.KIND_STATUS:
            self.status = decode(JudgeStatus, letter.payload)
        elif letter.kind == control.KIND_EVENT:
            event = decode(JudgeEvent, letter.payload)
            self.events.append(event)
            self.on_event(event)
        elif letter.kind == KIND_PART:
            self._take_note(json.loads(letter.payload))

    def _take_note(self, note: Mapping[str, Any]) -> None:
        part, frame = self._by_sequence.pop(note["sequence"], None), note.get("frame")
        if part is not None and frame is not None:
            part.arrived_ns, part.gated_ns = frame.get("arrived_ns"), frame.get("gated_ns")


def reference(model: BenchModel) -> ModelRef:
    """Return how the contracts name *model*."""
    return ModelRef(name=model.name, version=model.version, digest=model.digest)
