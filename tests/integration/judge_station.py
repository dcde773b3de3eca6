"""A judge as it runs on a station, and a test in the place of camera, PLC writer and agent."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.integration.tiny_bundles import SIZE, Tiny, write_bundle

from taktgate.bundle.archive import unpack
from taktgate.bundle.manifest import digest_of
from taktgate.bundle.signing import SigningKey
from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation, SlotRef
from taktgate.contracts.codec import decode, encode
from taktgate.contracts.line import Beat, LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import VerdictEnvelope, open_envelope
from taktgate.edge.clock import MILLISECOND, kernel_boot_id, monotonic_ns, new_start_id
from taktgate.edge.lane import Datagram, LaneInbox, LaneSender
from taktgate.inspection import control
from taktgate.inspection.control import Happening, JudgeEvent, JudgeStatus, Ready, RunnerState
from taktgate.inspection.frames.frame_wire import FrameHeader, encode_header
from taktgate.inspection.opinions import ShadowPair
from taktgate.standin.imagesets.port import Split
from taktgate.standin.imagesets.weld import WeldSeams

SAMPLES = Path(__file__).parents[2] / "src/taktgate/standin/samples"
WELD = SAMPLES / "weld-seam/weld-seam-1.0.0.bundle"
KEY = SAMPLES / "development-signing-key.pem"
PATIENCE_S = 60.0
DEADLINE_MS, WINDOW_MS = 1500, 250
"""Room for a machine that holds judge or test up; a test of lateness takes others."""
Frame = NDArray[np.uint8]


@dataclass(slots=True, kw_only=True)
class Heard:
    """What the judge has said so far, to the writer and to the agent."""

    verdicts: list[VerdictEnvelope] = field(default_factory=list)
    copies: list[VerdictEnvelope] = field(default_factory=list)
    beats: list[Beat] = field(default_factory=list)
    events: list[JudgeEvent] = field(default_factory=list)
    pairs: list[ShadowPair] = field(default_factory=list)
    to_writer: set[str] = field(default_factory=set)
    """Kinds of datagrams."""
    status: JudgeStatus | None = None


class Camera:
    """A camera that sends what it is told to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._client: socket.socket | None = None
        self._next_id = 1

    def accept(self) -> None:
        if self._client is not None:
            self._client.close()
        self._listener.settimeout(PATIENCE_S)
        self._client, _ = self._listener.accept()
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, pixels: Frame, *, exposure_ns: int | None = None) -> int:
        """Send one frame; return its exposure time."""
        height, width = pixels.shape[:2]
        data = pixels.tobytes()
        header = FrameHeader(
            frame_id=self._next_id,
            width=width,
            height=height,
            channels=1 if pixels.ndim == 2 else 3,
            payload_bytes=len(data),
            exposure_ns=monotonic_ns() if exposure_ns is None else exposure_ns,
            crc32=zlib.crc32(data),
        )
        self._next_id += 1
        self.send_raw(encode_header(header) + data)
        return header.exposure_ns

    def send_raw(self, data: bytes) -> None:
        assert self._client is not None
        self._client.sendall(data)

    def hang_up(self) -> None:
        assert self._client is not None
        self._client.close()
        self._client = None

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._listener.close()


class JudgeStation:
    """The folders, sockets and process of one judge under test."""

    has_agent = False
    """True where the real agent runs: then the test does not hear what the judge tells it."""

    def __init__(
        self,
        folder: Path,
        *,
        deadline_ms: int = DEADLINE_MS,
        window_ms: int = WINDOW_MS,
        settings: str = "",
    ) -> None:
        self.folder = folder
        self.camera = Camera()
        self.heard = Heard()
        self.deadline_ms = deadline_ms
        self.takt_s = window_ms / 1000 + 0.005
        self._next_part_s = 0.0
        self.epoch, self._writer_id, self._sequence = 77, new_start_id(), 0
        self.trigger_id = 100
        self.lane = Lane.LOCAL
        """The lane that line states are said to come by."""
        self._last_read_ns = monotonic_ns()
        for name in ("lane", "private", "slots", "state", "config/trusted_keys"):
            (folder / name).mkdir(parents=True)
        (folder / "station.yaml").write_text(
            "station: VIS01\ndevice_class: cpu\nplc: {address: 127.0.0.1}\n"
            f"camera: {{address: '127.0.0.1:{self.camera.port}', frame_window_ms: {window_ms}}}\n"
            + settings
        )
        key = SigningKey.load(KEY)
        self.key = key
        (folder / "config/trusted_keys/dev.pub.pem").write_bytes(key.public_pem())
        self.environment = {
            **os.environ,
            "TAKTGATE_STATION_FILE": str(folder / "station.yaml"),
            "TAKTGATE_CONFIG_DIR": str(folder / "config"),
            "TAKTGATE_LANE_DIR": str(folder / "lane"),
            "TAKTGATE_PRIVATE_DIR": str(folder / "private"),
            "TAKTGATE_SLOTS_DIR": str(folder / "slots"),
            "TAKTGATE_STATE_DIR": str(folder / "state"),
        }
        self._writer = LaneInbox(folder / "lane" / control.WRITER_SOCKET)
        self._agent = LaneInbox(
            folder / "private" / ("unused.sock" if self.has_agent else control.AGENT_SOCKET)
        )
        self._lines = {
            lane: LaneSender(folder / "lane" / control.JUDGE_SOCKET, lane)
            for lane in (Lane.LOCAL, Lane.EDGEHUB)
        }
        self._commands = LaneSender(folder / "private" / control.CONTROL_SOCKET, Lane.LOCAL)
        self.process: subprocess.Popen[bytes] | None = None

    def install(self, bundle: Path, slot: str, *, confirmed: bool = False) -> ModelRef:
        """Put *bundle* into *slot*; *confirmed* makes it last-known-good."""
        unpack(bundle, self.folder / "slots" / slot)
        return self.register(slot, confirmed=confirmed)

    def install_tiny(self, tiny: Tiny, slot: str, *, confirmed: bool = False) -> ModelRef:
        """Put a tiny bundle into *slot*."""
        return self.install(write_bundle(self.folder, tiny, self.key), slot, confirmed=confirmed)

    def register(self, slot: str, *, confirmed: bool) -> ModelRef:
        """Return the model in *slot*; *confirmed* makes it last-known-good."""
        manifest = (self.folder / "slots" / slot / "manifest.json").read_bytes()
        facts: dict[str, Any] = json.loads(manifest)
        ref = ModelRef(name=facts["name"], version=facts["version"], digest=digest_of(manifest))
        if confirmed:
            activation = Activation(
                contract=CONTRACT_VERSION,
                generation=1,
                last_known_good=SlotRef(model=ref, order="o1", slot=slot),
                settled_order="o1",
            )
            (self.folder / "state/activation.json").write_bytes(encode(activation))
        return ref

    def start(self) -> None:
        with (self.folder / "judge.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "taktgate.inspection.judge.process"],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.camera.accept()

    def start_ready(self) -> None:
        """Start, and keep the line's signs of life up until the judge is ready."""
        self.heard.beats.clear()
        self.heard.status = None
        self.start()
        self.wait(lambda: self.is_ready and self.heard.status is not None)
        self.wait(lambda: self.heard.status is not None and self.heard.status.is_ready)

    def kill_judge(self) -> None:
        """Kill it, and take its last words in: they shall not be held for those of the next."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.listen(0)

    @property
    def is_ready(self) -> bool:
        return bool(self.heard.beats) and self.heard.beats[-1].ready

    @property
    def log(self) -> str:
        return (self.folder / "judge.log").read_text()

    def ready_of(self, digest: str) -> Ready:
        """Return what the runner of *digest* said when it came up."""
        for model in () if self.heard.status is None else self.heard.status.models:
            if model.digest == digest and model.ready is not None:
                return model.ready
        raise AssertionError(f"{digest} is not ready: {self.heard.status}")

    def runner_pid(self, digest: str) -> int | None:
        """Return the process id of the ready runner of *digest*."""
        for model in () if self.heard.status is None else self.heard.status.models:
            if model.digest == digest and model.state is RunnerState.READY:
                return model.pid
        return None

    def happened(self, happening: Happening) -> list[JudgeEvent]:
        return [event for event in self.heard.events if event.happening is happening]

    def command(self, kind: str, command: object) -> None:
        self._commands.send(kind, encode(command))

    def line(self, *, is_edge: bool, enable: bool = True) -> LineState:
        """Send what the writer would have read just now."""
        self._sequence += 1
        now_ns = monotonic_ns()
        state = LineState(
            contract=CONTRACT_VERSION,
            station="VIS01",
            kernel_boot_id=kernel_boot_id(),
            writer_start_id=self._writer_id,
            plc_epoch=self.epoch,
            sequence=self._sequence,
            trigger_id=self.trigger_id,
            is_edge=is_edge,
            deadline_ms=self.deadline_ms,
            enable=enable,
            observed_after_ns=max(self._last_read_ns, now_ns - 10 * MILLISECOND),
            observed_ns=now_ns,
        )
        self._last_read_ns = now_ns
        self._lines[self.lane].send(control.KIND_LINE, encode(state))
        return state

    def part(self, pixels: Frame | None, *, skipped: int = 0) -> int:
        """Let one part come, a takt after the one before: trigger, then its frame, if any.

        So many are *skipped* before it.
        """
        self.wait(lambda: time.monotonic() >= self._next_part_s)
        self._next_part_s = time.monotonic() + self.takt_s
        self.trigger_id += 1 + skipped
        self._last_read_ns = monotonic_ns()
        exposure_ns = monotonic_ns()
        self.line(is_edge=True)
        if pixels is not None:
            self.camera.send(pixels, exposure_ns=exposure_ns)
        return self.trigger_id

    def judged(self, pixels: Frame | None, *, skipped: int = 0) -> VerdictEnvelope:
        """Let one part come and return its verdict."""
        trigger_id = self.part(pixels, skipped=skipped)
        self.wait(lambda: self.verdict(trigger_id) is not None)
        verdict = self.verdict(trigger_id)
        assert verdict is not None
        return verdict

    def verdict(self, trigger_id: int) -> VerdictEnvelope | None:
        found = [each for each in self.heard.verdicts if each.trigger_id == trigger_id]
        assert len(found) <= 1, f"two verdicts for one part: {found}"
        return found[0] if found else None

    def listen(self, seconds: float) -> None:
        """Take in what the judge says for at most *seconds*, until something came."""
        readable, _, _ = select.select([self._writer, self._agent], [], [], seconds)
        for inbox in readable:
            while (datagram := inbox.receive()) is not None:
                self._take(datagram, is_for_writer=inbox is self._writer)

    def _take(self, datagram: Datagram, *, is_for_writer: bool) -> None:
        heard, kind, payload = self.heard, datagram.kind, datagram.payload
        if is_for_writer:
            heard.to_writer.add(kind)
        if kind == control.KIND_VERDICT:
            (heard.verdicts if is_for_writer else heard.copies).append(open_envelope(payload))
        elif kind == control.KIND_BEAT and is_for_writer:
            heard.beats.append(decode(Beat, payload))
        elif kind == control.KIND_EVENT:
            heard.events.append(decode(JudgeEvent, payload))
        elif kind == control.KIND_PAIR:
            heard.pairs.append(decode(ShadowPair, payload))
        elif kind == control.KIND_STATUS:
            heard.status = decode(JudgeStatus, payload)

    def wait(self, condition: Callable[[], bool], *, limit_s: float = PATIENCE_S) -> None:
        """Run the line's idle life until *condition* holds."""
        end = time.monotonic() + limit_s
        next_line = 0.0
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {limit_s} s\n{self.log[-3000:]}")
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + 0.1
                self.line(is_edge=False)
            self.listen(0.02)

    def wait_for_quiet(self, seconds: float) -> None:
        """Run the line's idle life for *seconds*."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.camera.close()
        for inbox in (self._writer, self._agent):
            inbox.close()
        for sender in (*self._lines.values(), self._commands):
            sender.close()


@contextmanager
def judge_station(
    folder: Path,
    *,
    deadline_ms: int = DEADLINE_MS,
    window_ms: int = WINDOW_MS,
    settings: str = "",
) -> Iterator[JudgeStation]:
    """Give a station whose judge is ended afterwards, whatever happened."""
    station = JudgeStation(folder, deadline_ms=deadline_ms, window_ms=window_ms, settings=settings)
    try:
        yield station
    finally:
        station.close()


def children(pid: int) -> list[int]:
    """Return the processes that *pid* has started and that are there, dead or alive."""
    with suppress(FileNotFoundError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def offspring(pid: int) -> list[int]:
    """Return its children, theirs, and so on."""
    return [each for child in children(pid) for each in (child, *offspring(child))]


def is_alive(pid: int) -> bool:
    """Tell whether a process still runs; a zombie that nobody reaps does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def flat(grey: int) -> Frame:
    """Return a frame for the tiny model: dark passes, bright fails."""
    return np.full((SIZE, SIZE), grey, np.uint8)


def weld_frames(count: int, *, defective: bool | None = None) -> list[Frame]:
    """Return frames of the line's split, all sound or all defective if asked for."""
    images = WeldSeams(Split.LINE, size=400, defective_share=0.5)
    wanted = [
        index
        for index in range(len(images))
        if defective is None or (images.label(index) == "defective") == defective
    ]
    return [images.item(index).pixels for index in wanted[:count]]
