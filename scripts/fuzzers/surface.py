"""The control surface: damaged requests of every kind over real TCP, to a real infer service.

No request is answered 500 or with a status that the OpenAPI document does not name, each error has
its shape, no request without the token orders anything, and a good question gets the same score
before and after.
"""

import asyncio
import json
import tempfile
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from fuzzers.campaign import BrokenPromiseError
from fuzzers.mutation import mutate_bytes, smaller_sequences
from fuzzers.surface_requests import SurfaceCase, make_case
from taktgate.bundle.archive import unpack
from taktgate.bundle.compatibility import installed_runtime
from taktgate.bundle.manifest import digest_of
from taktgate.bundle.signing import SigningKey
from taktgate.contracts.model import ModelRef
from taktgate.edge.clock import monotonic_ns
from taktgate.edge.places import Places
from taktgate.edge.settings import StationSettings, load_yaml
from taktgate.inspection.agent.surface_orders import SurfaceOrders
from taktgate.inspection.hold_file import HoldFile
from taktgate.inspection.runner.fingerprint import runtime_fingerprint
from taktgate.inspection.surface.board import Facts, LiveModel, StatusBoard
from taktgate.inspection.surface.limits import Limits
from taktgate.inspection.surface.server import Agent, Surface, bind

ROOT: Final = Path(__file__).parents[2]
SAMPLES: Final = ROOT / "src/taktgate/standin/samples"
LIMITS: Final = Limits(body_s=0.1, request_s=0.2, keep_alive_s=0)
"""Short ones: many a damaged request promises more bytes than it has."""
STATUSES: Final = frozenset((200, 202, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 503))
LOOK_EVERY: Final = 50
"""Requests between two good questions."""
ANSWER_LIMIT_S: Final = 30.0


class SurfaceTarget:
    """Sends requests to a surface."""

    name = "surface"

    def __init__(self, port: int, good: bytes) -> None:
        self._port = port
        self._good = good
        self._score: Any = None
        self._requests = 0
        self.orders = 0
        """What was asked of the agent: no request of this campaign has the token."""

    def make(self, random: Random) -> SurfaceCase:
        """Return a request, damaged in its parts or as a whole."""
        case = make_case(random)
        if random.random() < 0.2:
            return replace(case, raw=mutate_bytes(random, case.encode()))
        return case

    async def check(self, case: SurfaceCase) -> None:
        """Send *case*, look at the answer, and now and then ask a good question."""
        status, body = _parse(await self._send(case.raw or case.encode()))
        if status is not None:
            _check_answer(case, status, body)
        if self.orders:
            raise BrokenPromiseError("no request without the token orders anything")
        self._requests += 1
        if self._requests % LOOK_EVERY == 0 and await self.look() != self._score:
            raise BrokenPromiseError("a good question gets the same score before and after")

    def smaller(self, case: SurfaceCase) -> Iterable[SurfaceCase]:
        """Return cases with shorter bytes."""
        if case.raw:
            for raw in smaller_sequences(case.raw):
                yield replace(case, raw=raw)
            return
        for body in smaller_sequences(case.body):
            yield replace(case, body=body)

    def show(self, case: SurfaceCase) -> str:
        """Return the bytes that were sent."""
        return repr(case.raw or case.encode())

    async def look(self) -> Any:
        """Ask the good question; return its score."""
        status, body = _parse(await self._send(self._good))
        if status != 200:
            raise BrokenPromiseError(f"a good question is answered; got {status} {body[:200]!r}")
        self._score = json.loads(body)["score"] if self._score is None else self._score
        return json.loads(body)["score"]

    async def _send(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(data)
            async with asyncio.timeout(ANSWER_LIMIT_S):
                return await reader.read(-1)
        except TimeoutError:
            raise BrokenPromiseError("every connection is answered or closed in time") from None
        except ConnectionError:
            return b""
        finally:
            writer.close()


def _parse(answer: bytes) -> tuple[int | None, bytes]:
    """Return status and body of the first answer; no status when the connection was closed."""
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    return (int(words[1]), body) if len(words) == 3 else (None, b"")


def _check_answer(case: SurfaceCase, status: int, body: bytes) -> None:
    kind = f"{case.method} {case.path.partition('?')[0]}"
    if status not in STATUSES:
        raise BrokenPromiseError(f"a documented status; {kind} got {status} {body[:200]!r}")
    # uvicorn itself answers in plain text what is no HTTP, or too much at once.
    if status < 400 or body.startswith((b"Invalid HTTP request", b"Service Unavailable")):
        return
    try:
        document = json.loads(body.partition(b"HTTP/1.1 ")[0])
    except ValueError:
        document = None
    if case.method == "HEAD" and not body:
        return
    if not isinstance(document, dict) or not {"detail", "status", "ready"} & document.keys():
        raise BrokenPromiseError(f"an error has its shape; {kind} {status} got {body[:200]!r}")


@asynccontextmanager
async def open_surface() -> AsyncIterator[SurfaceTarget]:
    """Open the target on a station of its own, whose live model is the weld-seam sample."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, _surface(Path(folder)) as target:
        await target.look()
        yield target


@dataclass(slots=True, kw_only=True)
class _Orders:
    target: SurfaceTarget | None = None

    def take(self, _: object) -> bool:
        if self.target is not None:
            self.target.orders += 1
        return False


@contextmanager
def _surface(folder: Path) -> Iterator[SurfaceTarget]:
    places, orders, board = _places(folder), _Orders(), StatusBoard()
    unpack(SAMPLES / "weld-seam/weld-seam-1.0.0.bundle", places.slots / "weld")
    settings = load_yaml(ROOT / "config/station.yaml", StationSettings)
    surface = Surface(
        places,
        settings,
        Agent(board=board, operator=SurfaceOrders(orders.take, HoldFile(folder=places.state))),
        limits=LIMITS,
        at_idle_priority=False,
    )
    listener = bind("127.0.0.1", 0)
    target = SurfaceTarget(listener.getsockname()[1], _good_question())
    orders.target = target
    board.facts = _facts(places.slots / "weld")
    thread = threading.Thread(target=surface.serve, args=(listener,))
    thread.start()
    try:
        yield target
    finally:
        surface.stop()
        thread.join(timeout=30)


def _good_question() -> bytes:
    body = bytes(400 * 400)
    path = "/infer?width=400&height=400&channels=1"
    kind = "application/octet-stream"
    return SurfaceCase(method="POST", path=path, kind=kind, body=body).encode()


def _places(folder: Path) -> Places:
    for name in ("slots", "state", "keys/trusted_keys"):
        (folder / name).mkdir(parents=True)
    key = SigningKey.load(SAMPLES / "development-signing-key.pem")
    (folder / "keys/trusted_keys/dev.pub.pem").write_bytes(key.public_pem())
    (folder / "token").write_text("a token that no case has")
    return Places(
        station_file=folder / "station.yaml",
        config=folder / "keys",
        lane=folder,
        private=folder,
        slots=folder / "slots",
        state=folder / "state",
        records=folder / "state/records",
        metrics_address="127.0.0.1",
        metrics_port=1,
        control_token_file=folder / "token",
    )


def _facts(slot: Path) -> Facts:
    manifest = (slot / "manifest.json").read_bytes()
    said = json.loads(manifest)
    provider = "CPUExecutionProvider"
    fingerprint = runtime_fingerprint(runtime_version=installed_runtime() or "", provider=provider)
    live = LiveModel(
        model=ModelRef(name=said["name"], version=said["version"], digest=digest_of(manifest)),
        slot=slot.name,
        fingerprint=fingerprint,
        provider=provider,
        is_fallback=False,
    )
    return Facts(turned_ns=monotonic_ns(), live=live, is_judge_silent=False, is_ready=True)
