"""What a kill in the middle of a download costs: the real stager process, killed again and again.

A registry on this machine serves at some 100 MB/s and counts what it hands over. The stager has
its order on the disk and no edgeHub; it is killed with SIGKILL at random moments of the download.
What the next process fetches again is counted against what lay on the disk; what the registry had
handed to its socket beyond that was on its way, and is told.
"""

import contextlib
import http.server
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benches.inspect_bench.agent_beside import free_port
from benches.inspect_bench.ballast import NAME, VERSION
from benches.plc_bench.figures import Line
from benches.staging_bench.outcome import BenchError

from taktgate.contracts.codec import decode, encode
from taktgate.contracts.twins import ModelOrder, StagingPhase
from taktgate.edge.process import PARENT_VARIABLE
from taktgate.staging.fetch.download_file import CHUNK_BYTES
from taktgate.staging.journal import RECORD_FILE
from taktgate.staging.slots.slots import SPOOL_SUFFIX
from taktgate.staging.states import Record, Request
from taktgate.standin.sample_registry import SampleRegistry

_PIECE_BYTES: Final = 1 << 16
_PIECE_S: Final = _PIECE_BYTES / 100e6
_SEND_BUFFER_BYTES: Final = 1 << 16
_LIMIT_S: Final = 180.0
_STATION: Final = """
station: VIS01
device_class: cpu
plc: {address: 127.0.0.1}
camera: {address: "127.0.0.1:3960"}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill."""

    handed_over_bytes: int
    """How far the registry had come."""
    on_disk_bytes: int
    """How far the file had come."""
    taken_up_at_bytes: int
    """Where the next process asked it to go on."""

    @property
    def again_bytes(self) -> int:
        """Return what lay on the disk and was fetched again."""
        return self.on_disk_bytes - self.taken_up_at_bytes

    @property
    def on_its_way_bytes(self) -> int:
        """Return what the kill has lost in sockets, and between them and the disk."""
        return self.handed_over_bytes - self.on_disk_bytes


class ResumeError(BenchError):
    """The download did not go as the bench needs it."""


def measure(
    folder: Path, bundle: Path, config: Path, *, kills: int, seed: int, say: Callable[[str], None]
) -> list[Kill]:
    """Kill the stager *kills* times in one download, then let it end.

    Raises:
        ResumeError: the download came to no end.
    """
    chance = random.Random(seed)  # noqa: S311 - moments of kills, no secret
    shutil.copytree(config, folder / "config")
    (folder / "config/station.yaml").write_text(_STATION)
    registry = SampleRegistry(folder / "registry", keys=folder / "keys")
    registry.release(bundle)
    registry.trust_in(folder / "config")
    (folder / "slots").mkdir()
    ends = [round((number + chance.random()) / kills * 0.9 * 2e8) for number in range(kills)]
    with _served(registry.directory) as served:
        model = ModelOrder(name=NAME, version=VERSION, order="o1")
        request = Request(model=model, repository=served.url)
        record = Record(phase=StagingPhase.FETCHING, request=request)
        (folder / "slots" / RECORD_FILE).write_bytes(encode(record))
        reached: list[tuple[int, int]] = []
        for number, end in enumerate(ends):
            with _stager(folder):
                _wait(partial(served.has_reached, end))
            reached.append((served.position, _on_disk_bytes(folder / "slots")))
            say(f"resume: kill {number + 1} of {kills} at {served.position / 1e6:.0f} MB")
        with _stager(folder):
            _wait(lambda: _phase(folder) is StagingPhase.STAGED)
    starts = served.starts[1:]
    return [
        Kill(handed_over_bytes=handed, on_disk_bytes=on_disk, taken_up_at_bytes=start)
        for (handed, on_disk), start in zip(reached, starts, strict=True)
    ]


def line(kills: list[Kill]) -> Line:
    """Hold the worst kill to one chunk."""
    worst = max(kill.again_bytes for kill in kills)
    on_its_way = max(kill.on_its_way_bytes for kill in kills)
    return Line(
        promise=f"after a kill at most a chunk of {CHUNK_BYTES / 2**20:.0f} MiB is fetched again",
        measured=f"worst of {len(kills)}: {worst / 2**20:.2f} MiB of what lay on the disk;"
        f" up to {on_its_way / 2**20:.2f} MiB more were on their way",
        kept=worst <= CHUNK_BYTES,
    )


class _Served:
    """The registry's server: its URL, and how far the bundle was handed over."""

    def __init__(self) -> None:
        self.url = ""
        self.position = 0
        self.starts: list[int] = []

    def has_reached(self, position: int) -> bool:
        """Tell whether the bundle was handed over up to *position*."""
        return self.position >= position


@contextlib.contextmanager
def _served(root: Path) -> Iterator[_Served]:
    state = _Served()

    class Handler(http.server.BaseHTTPRequestHandler):
        wbufsize = 0

        def do_GET(self) -> None:
            file = root / self.path.lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            size, asked = file.stat().st_size, self.headers.get("Range")
            start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(size - start))
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self._hand_over(file, start)

        def _hand_over(self, file: Path, start: int) -> None:
            if file.suffix != ".bundle":
                self.wfile.write(file.read_bytes())
                return
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            state.starts.append(start)
            state.position = start
            with file.open("rb") as content:
                content.seek(start)
                while piece := content.read(_PIECE_BYTES):
                    self.wfile.write(piece)
                    state.position += len(piece)
                    time.sleep(_PIECE_S)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def _stager(folder: Path) -> Iterator[None]:
    """Run the stager, and kill it in the end."""
    places = {
        "STATION_FILE": folder / "config/station.yaml",
        "CONFIG_DIR": folder / "config",
        "PRIVATE_DIR": folder / "private",
        "SLOTS_DIR": folder / "slots",
        "STATE_DIR": folder / "state",
        "METRICS_ADDRESS": "127.0.0.1",
        "METRICS_PORT": free_port(),
    }
    environment = {key: value for key, value in os.environ.items() if "IOTEDGE" not in key}
    environment |= {f"TAKTGATE_{name}": str(place) for name, place in places.items()}
    environment[PARENT_VARIABLE] = str(os.getpid())
    with (folder / "stager.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "taktgate.staging.stager_process"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _wait(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + _LIMIT_S
    while not holds():
        if time.monotonic() > end_s:
            raise ResumeError(f"not within {_LIMIT_S:.0f} s")
        time.sleep(0.001)


def _on_disk_bytes(slots: Path) -> int:
    return sum(file.stat().st_size for file in slots.glob(f".*{SPOOL_SUFFIX}"))


def _phase(folder: Path) -> StagingPhase:
    return decode(Record, (folder / "slots" / RECORD_FILE).read_bytes()).phase
