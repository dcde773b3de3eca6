"""A control surface as the agent runs it, over real TCP, with real infer service and real bundles.

In the place of judge and agent stands a test: it says what is live, and runs the agent's errands.
"""

import http.client
import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.integration.tiny_bundles import Tiny, write_bundle
from tests.waiting import WITHIN_S, wait_until

from taktgate.bundle.archive import unpack
from taktgate.bundle.compatibility import installed_runtime
from taktgate.bundle.manifest import digest_of
from taktgate.bundle.signing import SigningKey
from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation, Rollback, SlotRef
from taktgate.contracts.model import ModelRef
from taktgate.edge.camera_settings import NetworkCameraSettings
from taktgate.edge.clock import monotonic_ns
from taktgate.edge.places import Places
from taktgate.edge.settings import JudgeSettings, PlcSettings, StationSettings, SurfaceSettings
from taktgate.inspection.activation_file import ActivationFiles
from taktgate.inspection.agent.activator import Activator, Surroundings
from taktgate.inspection.agent.surface_orders import SurfaceOrders
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.hold_file import HoldFile
from taktgate.inspection.runner.fingerprint import runtime_fingerprint
from taktgate.inspection.surface.board import Facts, LiveModel, StatusBoard
from taktgate.inspection.surface.limits import Limits
from taktgate.inspection.surface.server import DEFAULT_LIMITS, Agent, Surface, bind

KEY = Path(__file__).parents[2] / "src/taktgate/standin/samples/development-signing-key.pem"
TOKEN = "a-token-of-this-test"
FINGERPRINT = runtime_fingerprint(
    runtime_version=installed_runtime() or "", provider="CPUExecutionProvider"
)
"""As if the judge's runner had passed golden here: the infer service's need not do it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of the surface."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class SurfaceStation:
    """The folders of one station and the surface on them."""

    def __init__(self, folder: Path, *, infer_limit_ms: int, limits: Limits) -> None:
        self.folder = folder
        for name in ("lane", "private", "slots", "state", "config/trusted_keys"):
            (folder / name).mkdir(parents=True)
        self.key = SigningKey.load(KEY)
        (folder / "config/trusted_keys/dev.pub.pem").write_bytes(self.key.public_pem())
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN + "\n")
        self.places = Places(
            station_file=folder / "station.yaml",
            config=folder / "config",
            lane=folder / "lane",
            private=folder / "private",
            slots=folder / "slots",
            state=folder / "state",
            records=folder / "state/records",
            metrics_address="127.0.0.1",
            metrics_port=1,
            control_token_file=self.token_file,
        )
        self.settings = StationSettings(
            station="VIS01",
            device_class="cpu",
            plc=PlcSettings(address="127.0.0.1"),
            camera=NetworkCameraSettings(address="127.0.0.1:1"),
            judge=JudgeSettings(provider="cpu"),
            surface=SurfaceSettings(infer_limit_ms=infer_limit_ms),
        )
        self.board = StatusBoard()
        self.audits: list[Rollback] = []
        self.activator = self._activator()
        self._errands: queue.Queue[Callable[[Activator], None]] = queue.Queue()
        self.is_agent_deaf = False
        self.unheard: list[Callable[[Activator], None]] = []
        self.surface = Surface(
            self.places,
            self.settings,
            Agent(
                board=self.board,
                operator=SurfaceOrders(self._take, HoldFile(folder=self.places.state)),
            ),
            limits=limits,
            at_idle_priority=False,
        )
        listener = bind("127.0.0.1", 0)
        self.port: int = listener.getsockname()[1]
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self.surface.serve, args=(listener,)),
            threading.Thread(target=self._run_errands),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        wait_until(self._is_served)

    def _is_served(self) -> bool:
        try:
            return bool(self.get("/healthz").status)
        except OSError:
            return False

    def stop(self) -> None:
        self.surface.stop()
        self._is_over.set()
        for thread in self._threads:
            thread.join(timeout=WITHIN_S)
        assert not any(thread.is_alive() for thread in self._threads)

    def shelve(self, tiny: Tiny, slot: str) -> ModelRef:
        """Put a bundle into *slot*."""
        folder = self.folder / "slots" / slot
        unpack(write_bundle(self.folder, tiny, self.key), folder)
        manifest = (folder / "manifest.json").read_bytes()
        facts = json.loads(manifest)
        return ModelRef(name=facts["name"], version=facts["version"], digest=digest_of(manifest))

    def make_live(self, model: ModelRef, slot: str) -> None:
        """Say that *model* judges."""
        live = LiveModel(
            model=model,
            slot=slot,
            fingerprint=FINGERPRINT,
            provider="CPUExecutionProvider",
            is_fallback=False,
        )
        self.board.facts = Facts(
            turned_ns=monotonic_ns(),
            phase="idle",
            live=live,
            is_judge_silent=False,
            is_ready=True,
            reason="",
            is_enabled=True,
        )

    def turn(self, **changes: Any) -> None:
        """Let the agent's loop turn, with *changes* on the board."""
        self.board.facts = replace(self.board.facts, turned_ns=monotonic_ns(), **changes)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.ask("GET", path, b"", headers)

    def post(
        self, path: str, body: bytes, kind: str = "application/json", **headers: str
    ) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, body, {"Content-Type": kind, **named})

    def reload(self, request: object, token: str | None = TOKEN) -> Answer:
        return self.order("/reload-model", request, token)

    def order(self, path: str, request: object, token: str | None = TOKEN) -> Answer:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.post(path, json.dumps(request).encode(), **headers)

    def ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            response = connection.getresponse()
            said = {name.lower(): value for name, value in response.getheaders()}
            return Answer(status=response.status, headers=said, body=response.read())
        finally:
            connection.close()

    def raw(self, data: bytes, *, wait_s: float = WITHIN_S) -> bytes:
        """Send bytes as they are; return what comes until the surface closes or *wait_s*."""
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as stream:
            try:
                stream.sendall(data)
                while piece := stream.recv(65536):
                    answer += piece
            except (TimeoutError, ConnectionError):
                pass
        return answer

    def _activator(self) -> Activator:
        files = ActivationFiles(folder=self.places.state)
        world = Surroundings(
            memory=files,
            command=lambda _: None,
            audit=self.audits.append,
            alarm=lambda _: None,
            clock=monotonic_ns,
            wall_clock=lambda: "now",
        )
        return Activator(Activation(contract=CONTRACT_VERSION, generation=0), SETTINGS, world)

    def confirm(self, model: ModelRef, slot: str, *, blocked: tuple[Rollback, ...] = ()) -> None:
        """Make *model* last-known-good in the agent's memory, before any request."""
        ref = SlotRef(model=model, order="o1", slot=slot)
        activation = Activation(
            contract=CONTRACT_VERSION,
            generation=1,
            last_known_good=ref,
            settled_order="o1",
            blocked=blocked,
        )
        self.places.state.joinpath("activation.json").unlink(missing_ok=True)
        self.activator._ledger.save(activation)

    def _take(self, errand: Callable[[Activator], None]) -> bool:
        (self.unheard.append if self.is_agent_deaf else self._errands.put)(errand)
        return True

    def run_unheard_errands(self) -> None:
        """Do what was asked of the agent while it was deaf."""
        for errand in self.unheard:
            errand(self.activator)

    def _run_errands(self) -> None:
        while not self._is_over.is_set():
            try:
                self._errands.get(timeout=0.05)(self.activator)
            except queue.Empty:
                continue


SETTINGS = GuardrailSettings()


@contextmanager
def surface_station(
    folder: Path, *, infer_limit_ms: int = 10_000, limits: Limits = DEFAULT_LIMITS
) -> Iterator[SurfaceStation]:
    """Give a running surface that is ended afterwards, whatever happened."""
    station = SurfaceStation(folder, infer_limit_ms=infer_limit_ms, limits=limits)
    station.start()
    try:
        yield station
    finally:
        station.stop()
