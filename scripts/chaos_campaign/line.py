"""The module under attack, and the line around it: camera, PLC writer, stager, an asker."""

import contextlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.integration.judge_station import flat
from tests.integration.test_judge_and_agent import ModuleStation
from tests.integration.tiny_bundles import SIZE, Tiny, expected_score

from chaos_campaign.history import SentPart
from taktgate.contracts.model import ModelRef
from taktgate.edge.clock import MILLISECOND, SECOND, monotonic_ns, new_start_id
from taktgate.edge.lane import LaneInbox

ROOT: Final = Path(__file__).resolve().parents[2]
MODELS: Final = (Tiny(version="1.0.0"), Tiny(version="2.0.0", gain=10.0))
"""Both right, and told apart by their scores."""
GUARDRAILS: Final = """
shadow_parts: 20
trial_parts: 20
cool_down_parts: 0
latency: {budget_ms: 10000, probe_limit_ms: null}
inference_failure: {consecutive: 100}
over_reject: {min_parts: 100000, min_baseline_parts: 20, default_baseline: 0.5}
escape_or_disagreement: {min_parts: 100000}
"""
"""Models go quickly through their phases, and no fault of ours is held against them."""
_BEAT_LIMIT_NS: Final = 500 * MILLISECOND
_LINE_NS: Final = 100 * MILLISECOND
_SEND_S: Final = 0.5
_WINDOW_MS: Final = 28


class ChaosLine(ModuleStation):
    """Lets parts come at random intervals and keeps what was said of each."""

    def __init__(self, folder: Path, dice: random.Random, *, per_s: tuple[float, float]) -> None:
        self.surface_port = _free_port()
        super().__init__(
            folder,
            window_ms=_WINDOW_MS,
            settings=f"surface: {{port: {self.surface_port}}}\nrecords: {{images: all}}\n",
        )
        (folder / "config/guardrails.yaml").write_text(GUARDRAILS)
        self.parts: dict[int, SentPart] = {}
        self.unknown: list[int] = []
        """TriggerIds of verdicts that no part of this line has."""
        self.untrue: list[str] = []
        """What the judge said of itself that was not so."""
        self.starts = 0
        self.began_ns = monotonic_ns()
        self._dice = dice
        self._per_s = per_s
        self._seen = 0
        self._next_part_ns = self._next_line_ns = 0
        self._takes_verdicts_from_ns = 0
        self.models: list[ModelRef] = []
        self._orders = 0

    @property
    def scores(self) -> dict[str, dict[int, float]]:
        """Return what each model says to each brightness."""
        return {
            ref.digest: {grey: expected_score(grey, tiny) for grey in range(256)}
            for ref, tiny in zip(self.models, MODELS, strict=True)
        }

    def begin(self) -> None:
        """Start the module with the first model and wait until it has been confirmed."""
        slots = ("a", "b")
        self.models = [
            self.install_tiny(tiny, slot) for tiny, slot in zip(MODELS, slots, strict=True)
        ]
        self.order_next()
        self.metrics_port = _free_port()
        self.start_supervisor()
        self.live_until(lambda: self.good == self.models[0], limit_s=60)

    def start_supervisor(self) -> None:
        """Start the module's first process, as edgeAgent would."""
        self.starts += 1
        environment = {
            **self.environment,
            "TAKTGATE_METRICS_ADDRESS": "127.0.0.1",
            "TAKTGATE_METRICS_PORT": str(self.metrics_port),
        }
        with (self.folder / "judge.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "modules/inference/main.py")],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def order_next(self) -> None:
        """Announce the other model under a new order, as the stager would."""
        model = self._orders % len(self.models)
        self._orders += 1
        self.announce(self.models[model], ("a", "b")[model], f"o{self._orders}")

    def live_until(self, holds: Callable[[], bool], *, limit_s: float) -> bool:
        """Let parts come until *holds*; return False when it does not in time."""
        end_ns = monotonic_ns() + int(limit_s * SECOND)
        while not holds():
            if monotonic_ns() >= end_ns:
                return False
            self._turn()
        return True

    def rest(self, seconds: float) -> None:
        """Let no part come for *seconds*, but keep the line's signs of life up."""
        end_ns = monotonic_ns() + int(seconds * SECOND)
        while monotonic_ns() < end_ns:
            self._next_part_ns = monotonic_ns() + SECOND
            self._turn()

    def writer_is_deaf_for(self, seconds: float) -> None:
        """Let the writer read nothing that it is told for a while."""
        self._takes_verdicts_from_ns = monotonic_ns() + int(seconds * SECOND)

    def writer_restarts(self) -> None:
        """Go on as another start of the writer."""
        self._writer_id, self._sequence = new_start_id(), 0

    def camera_hangs_up(self) -> None:
        """End the camera's connection; the judge connects anew."""
        self.camera._client, client = None, self.camera._client
        if client is not None:
            client.close()

    def ask(self) -> None:
        """Ask `POST /infer` from a thread of its own: its runner and decoder come up."""
        threading.Thread(target=self._ask, daemon=True).start()

    def metrics(self) -> dict[str, float]:
        """Return `taktgate_judge_count` by what it counts; nothing while nobody answers."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        counts = {}
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(url, timeout=3) as page,
        ):
            for line in page.read().decode().splitlines():
                if line.startswith("taktgate_judge_count{"):
                    name, value = line.rsplit(" ", 1)
                    counts[name.split('what="')[1].split('"')[0]] = float(value)
        return counts

    def _ask(self) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.surface_port}/infer",
            data=bytes(SIZE * SIZE * 3),
            headers={"Content-Type": f"application/octet-stream; shape={SIZE},{SIZE},3"},
        )
        with contextlib.suppress(OSError):  # refused, late, or gone: no part's concern
            urllib.request.urlopen(request, timeout=10).close()  # noqa: S310

    def _turn(self) -> None:
        now_ns = monotonic_ns()
        if now_ns >= self._next_line_ns:
            self._next_line_ns = now_ns + _LINE_NS
            self.line(is_edge=False)
        if now_ns >= self._next_part_ns:
            self._next_part_ns = now_ns + int(SECOND / self._dice.uniform(*self._per_s))
            self._send_part()
        due_ns = min(self._next_line_ns, self._next_part_ns)
        self._listen(max(0.0, (due_ns - monotonic_ns()) / SECOND))

    def _listen(self, seconds: float) -> None:
        camera = self.camera._listener
        is_deaf = monotonic_ns() < self._takes_verdicts_from_ns
        sources: list[socket.socket | LaneInbox] = [camera] if is_deaf else [camera, self._writer]
        readable, _, _ = select.select(sources, [], [], seconds)
        if camera in readable:
            with contextlib.suppress(OSError):
                self.camera.accept()
                assert self.camera._client is not None
                self.camera._client.settimeout(_SEND_S)
        if self._writer in readable:
            while (datagram := self._writer.receive()) is not None:
                self._take(datagram, is_for_writer=True)
            self._file_verdicts()

    def _file_verdicts(self) -> None:
        for envelope in self.heard.verdicts[self._seen :]:
            part = self.parts.get(envelope.trigger_id)
            if part is None:
                self.unknown.append(envelope.trigger_id)
                continue
            part.envelopes.append(envelope)
            part.heard_ns.append(monotonic_ns())
        self._seen = len(self.heard.verdicts)

    def _send_part(self) -> None:
        is_defective = self._dice.random() < 0.5
        grey = self._dice.randint(180, 250) if is_defective else self._dice.randint(5, 75)
        sent_ns = monotonic_ns()
        was_ready = self._is_ready_now(sent_ns)
        trigger_id: int | None = None
        self.trigger_id += 1
        self._last_read_ns = exposure_ns = sent_ns
        trigger_id = self.line(is_edge=True).trigger_id
        has_frame = True
        try:
            self.camera.send(flat(grey), exposure_ns=exposure_ns)
        except (AssertionError, OSError):  # no judge has connected, or it does not read
            self.camera_hangs_up()
            has_frame = False
        self.parts[trigger_id] = SentPart(
            trigger_id=trigger_id,
            sent_ns=sent_ns,
            deadline_ns=sent_ns + self.deadline_ms * MILLISECOND,
            grey=grey if has_frame else None,
            is_defective=is_defective,
            was_ready=was_ready,
        )

    def _is_ready_now(self, now_ns: int) -> bool:
        beat = self.heard.beats[-1] if self.heard.beats else None
        return beat is not None and beat.ready and now_ns - beat.sent_ns < _BEAT_LIMIT_NS

    def close(self) -> None:
        """End the module; what is stopped goes on first, or it could not end."""
        for pid in self.pids("taktgate") + self.pids("modules/inference"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        super().close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
