"""The real stager process, killed in the middle of its work, with edgeHub absent all the time."""

import contextlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.tiny_bundles import Tiny, write_bundle
from tests.waiting import WITHIN_S

from taktgate.bundle.signing import SigningKey
from taktgate.contracts.codec import decode, encode
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import ModelOrder, StagingPhase
from taktgate.edge.process import PARENT_VARIABLE
from taktgate.staging.slots.gate import StationGate
from taktgate.staging.states import Record, Request
from taktgate.standin.sample_registry import SampleRegistry

STATION = """
station: VIS01
device_class: cpu
plc: {address: 127.0.0.1}
camera: {address: "127.0.0.1:3960"}
"""
MATRIX = Path(__file__).parents[2] / "config" / "device_compatibility_matrix.yaml"
Appeared = Callable[[Path], bool]


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """Return the folder of a station that has been ordered version 1.0.0 and was then cut off."""
    key = SigningKey.generate()
    for folder in ("config/trusted_keys", "slots", "state", "private"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "config" / "station.yaml").write_text(STATION)
    (tmp_path / "config" / MATRIX.name).write_bytes(MATRIX.read_bytes())
    (tmp_path / "config" / "trusted_keys" / "t.pub.pem").write_bytes(key.public_pem())
    registry = SampleRegistry(tmp_path / "registry", keys=tmp_path / "registry-keys")
    registry.trust_in(tmp_path / "config")
    registry.release(write_bundle(tmp_path, Tiny(version="1.0.0"), key))
    return tmp_path


@pytest.fixture
def slow_registry(station: Path) -> Iterator[str]:
    """Serve the registry's metadata at once, and the bundle so slowly that a kill can hit it."""
    root = station / "registry"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = root / self.path.lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            content = file.read_bytes()
            asked = self.headers.get("Range")
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            pause_s = 0.02 if file.suffix == ".bundle" else 0.0
            with contextlib.suppress(ConnectionError):
                for place in range(start, len(content), 500):
                    self.wfile.write(content[place : place + 500])
                    self.wfile.flush()
                    time.sleep(pause_s)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def order(station: Path, repository: str) -> None:
    model = ModelOrder(name="tiny", version="1.0.0", order="o1")
    request = Request(model=model, repository=repository)
    record = Record(phase=StagingPhase.FETCHING, request=request)
    (station / "slots" / "staging.json").write_bytes(encode(record))


@contextlib.contextmanager
def stager(station: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("IOTEDGE_")},
        "TAKTGATE_STATION_FILE": str(station / "config" / "station.yaml"),
        "TAKTGATE_CONFIG_DIR": str(station / "config"),
        "TAKTGATE_PRIVATE_DIR": str(station / "private"),
        "TAKTGATE_SLOTS_DIR": str(station / "slots"),
        "TAKTGATE_STATE_DIR": str(station / "state"),
        "TAKTGATE_METRICS_ADDRESS": "127.0.0.1",
        "TAKTGATE_METRICS_PORT": str(free_port()),
        PARENT_VARIABLE: str(os.getpid()),
    }
    command = [sys.executable, "-m", "taktgate.staging.stager_process"]
    process = subprocess.Popen(command, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    with server:
        return server.server_address[1]


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait, as `tests.waiting` does, but look often: what the kill is to meet is soon over."""
    end_s = time.monotonic() + 2 * WITHIN_S
    while not condition():
        assert time.monotonic() < end_s, "did not happen in time"
        time.sleep(0.0005)


def announced(station: Path) -> StagedModel | None:
    path = station / "slots" / "announced.json"
    return decode(StagedModel, path.read_bytes()) if path.exists() else None


def leftovers(station: Path) -> list[str]:
    return [path.name for path in (station / "slots").glob(".*") if path.suffix != ".lock"]


def assert_announced_verifies(station: Path) -> None:
    found = announced(station)
    assert found is not None
    gate = StationGate(config=station / "config", device_class="cpu")
    bundle = gate.verify(station / "slots" / found.slot)
    assert bundle.digest == found.model.digest


@pytest.mark.parametrize("moment", [".*.download", ".*.partial", "slot-*"])
def test_a_killed_stager_leaves_nothing_half_announced_and_goes_on(
    station: Path, slow_registry: str, moment: str
) -> None:
    order(station, slow_registry)
    with stager(station) as process:
        wait_for(lambda: any((station / "slots").glob(moment)))
        process.send_signal(signal.SIGKILL)
        process.wait()
    if announced(station) is not None:
        assert_announced_verifies(station)
    with stager(station):
        wait_for(lambda: read_record(station).phase is StagingPhase.STAGED)
        wait_for(lambda: not leftovers(station))
    assert_announced_verifies(station)


def test_sigterm_ends_even_a_download_at_once(station: Path, slow_registry: str) -> None:
    order(station, slow_registry)
    with stager(station) as process:
        wait_for(lambda: any((station / "slots").glob(".*.download")))
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_a_second_stager_keeps_its_hands_off_the_slots(station: Path) -> None:
    order(station, (station / "none").as_uri())
    with stager(station):
        wait_for(lambda: read_record(station).error is not None)  # by then it holds the lock
        with stager(station) as second:
            assert second.wait(timeout=WITHIN_S) == 3


def test_a_station_without_keys_says_so_and_goes_on_when_it_has_them(station: Path) -> None:
    key = station / "config" / "trusted_keys" / "t.pub.pem"
    content = key.read_bytes()
    key.unlink()
    order(station, (station / "registry").as_uri())
    with stager(station):
        wait_for(lambda: read_record(station).error is not None)
        record = read_record(station)
        assert record.error is not None
        assert (record.phase, record.error.reason) == (StagingPhase.FETCHING, "KEY")
        key.write_bytes(content)
        wait_for(lambda: read_record(station).phase is StagingPhase.STAGED)
    assert_announced_verifies(station)


def read_record(station: Path) -> Record:
    return decode(Record, (station / "slots" / "staging.json").read_bytes())
