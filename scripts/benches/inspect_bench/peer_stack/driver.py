"""A peer's client in a process of its own, which starts and ends the server too.

On stdin: a line of JSON {"shape": [...]}, then the frame's bytes. On stdout: a line of JSON for
each frame, after a first one {"ready": true}. It ends when stdin ends.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
from benches.inspect_bench.peer_stack import clients

STACK = "benches.inspect_bench.peer_stack"
START_LIMIT_S = 90.0
BLACK = np.zeros((512, 512), np.uint8)
COMMON = {"ORT_DISABLE_TELEMETRY": "1"}
MODEL_VARIABLE = "PEER_MODEL"
"""As in model_session.py, which loads ONNX Runtime: a client does not need it."""


@dataclass(slots=True, kw_only=True)
class Started:
    """How a server is started, and the client for it."""

    command: Sequence[str]
    client: clients.Client
    environment: dict[str, str] = field(default_factory=dict)


def fastapi_raw(folder: Path, model: str) -> Started:
    """A raw body over a unix socket."""
    path = str(folder / "http.sock")
    return Started(
        command=[sys.executable, "-m", f"{STACK}.fastapi_raw", "--socket", path],
        client=clients.HttpClient(clients.UnixConnection(path, clients.LIMIT_S)),
    )


def litserve(folder: Path, model: str) -> Started:
    """A raw body over loopback."""
    port = free_port()
    return Started(
        command=[sys.executable, "-m", f"{STACK}.litserve_server", "--port", str(port)],
        client=clients.HttpClient(connection(port)),
    )


def bentoml(folder: Path, model: str) -> Started:
    """A raw body over loopback."""
    port = free_port()
    service = f"{STACK}.bentoml_service:FrameService"
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return Started(
        command=[sys.executable, "-m", "bentoml", "serve", service, *address],
        client=clients.HttpClient(connection(port)),
        environment={"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": str(folder)},
    )


def mlserver(folder: Path, model: str) -> Started:
    """GRPC over loopback."""
    http_port, grpc_port, metrics_port = free_port(), free_port(), free_port()
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": http_port,
        "grpc_port": grpc_port,
        "metrics_port": metrics_port,
        "metrics_endpoint": None,
        "parallel_workers": 0,
        "grpc_max_message_length": 1 << 24,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    its = {"name": "frame", "implementation": f"{STACK}.mlserver_model.FrameModel"}
    (folder / "model-settings.json").write_text(json.dumps(its))
    return Started(
        command=[str(Path(sys.executable).with_name("mlserver")), "start", str(folder)],
        client=clients.MlServerClient(grpc_port),
    )


def article(folder: Path, model: str) -> Started:
    """The article's JSON over loopback."""
    port = free_port()
    (folder / "model.onnx").symlink_to(model)
    root = Path(__file__).resolve().parents[4]
    return Started(
        command=[sys.executable, str(root / "tests/article/service.py"), "--port", str(port)],
        client=clients.HttpClient(
            connection(port),
            kind="application/json",
            encode=clients.article_body,
            read=clients.article_answer,
        ),
        environment={
            "MODEL_DIR": str(folder),
            "ACTIVE_MODEL": "model",
            "ORT_THREADS": "1",
            "METRICS_PORT": str(free_port()),
        },
    )


STARTERS = {each.__name__: each for each in (fastapi_raw, litserve, bentoml, mlserver, article)}


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def connection(port: int) -> HTTPConnection:
    """Return a connection to be opened at the first request."""
    return HTTPConnection("127.0.0.1", port, timeout=clients.LIMIT_S)


def serve(name: str, model: str) -> None:
    """Start the server, answer frames until stdin ends, end the server."""
    with tempfile.TemporaryDirectory(prefix="peer-") as folder:
        started = STARTERS[name](Path(folder), model)
        environment = os.environ | COMMON | {MODEL_VARIABLE: model} | started.environment
        with (Path(folder) / "server.log").open("wb") as log:
            server = subprocess.Popen(
                started.command,
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until_up(server, started.client, Path(folder) / "server.log")
            say({"ready": True})
            answer_frames(started.client)
        finally:
            end(server)


def wait_until_up(server: "subprocess.Popen[bytes]", client: clients.Client, log: Path) -> None:
    """Ask with a black frame until there is a score."""
    end_s = time.monotonic() + START_LIMIT_S
    while True:
        try:
            client.request(BLACK)
        except Exception as error:
            if server.poll() is not None or time.monotonic() > end_s:
                tail = log.read_text(errors="replace")[-600:]
                raise SystemExit(f"{error!r}; the server said: {tail}") from error
            if isinstance(client, clients.HttpClient):
                client.hang_up()
            time.sleep(0.1)
        else:
            return


def answer_frames(client: clients.Client) -> None:
    """Send each frame on, and its timing back."""
    while header := sys.stdin.buffer.readline():
        shape = tuple(json.loads(header)["shape"])
        content = sys.stdin.buffer.read(int(np.prod(shape)))
        frame = np.frombuffer(content, np.uint8).reshape(shape)
        try:
            say(client.request(frame))
        except Exception as error:  # noqa: BLE001 - whatever it was, the bench is told
            if isinstance(client, clients.HttpClient):
                client.hang_up()  # a server ends a connection that was idle for some seconds
            say({"error": repr(error)})


def say(document: Mapping[str, object]) -> None:
    """Write one line."""
    print(json.dumps(document), flush=True)


def end(server: "subprocess.Popen[bytes]") -> None:
    """End the server and the workers that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(5)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=STARTERS)
    parser.add_argument("model")
    options = parser.parse_args()
    serve(options.name, options.model)
