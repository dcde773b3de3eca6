"""Starting a peer: `raw` runs here, the others are a driver process in an environment of theirs."""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import numpy as np
from benches.inspect_bench.model import ROOT, BenchModel
from benches.inspect_bench.peer_stack.model_session import ModelSession
from benches.inspect_bench.peers.environment import python_of
from benches.inspect_bench.peers.port import Frame, Peer, PeerAbsentError, PeerError, PeerTiming

RAW: Final = "raw"
ARTICLE: Final = "article"
SETS: Final = {
    ARTICLE: None,
    "fastapi_raw": "bench-peers",
    "litserve": "bench-peers",
    "bentoml": "bench-peers",
    "mlserver": "bench-mlserver",
}
"""The set of each driver's environment; None is the project's own."""
NAMES: Final = (RAW, *SETS)
START_LIMIT_S: Final = 120.0
REQUEST_LIMIT_S: Final = 60.0
END_LIMIT_S: Final = 15.0
_DRIVER: Final = "benches.inspect_bench.peer_stack.driver"


def start(name: str, model: BenchModel) -> Peer:
    """Return the peer *name* (of `NAMES`) with *model*, up and warm.

    Raises:
        PeerAbsentError: It cannot be installed or does not come up; says why.
    """
    if name == RAW:
        return RawPeer(model)
    its_set = SETS[name]
    python = Path(sys.executable) if its_set is None else python_of(its_set)
    file = model.float_onnx() if name == ARTICLE else model.onnx
    return DrivenPeer(name, python, file)


class _Closing:
    """Leaves a context by closing."""

    def close(self) -> None:
        """End server and client."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class RawPeer(_Closing):
    """`session.run` in the bench's own process: the floor of all."""

    name = RAW

    def __init__(self, model: BenchModel) -> None:
        self._session = ModelSession(str(model.onnx))

    def request(self, frame: Frame) -> PeerTiming:
        """Have *frame* judged."""
        start_ns = time.monotonic_ns()
        answer = self._session.infer(np.ascontiguousarray(frame))
        total_ns = time.monotonic_ns() - start_ns
        return _timing({"encode_ns": 0, "total_ns": total_ns} | answer)


class DrivenPeer(_Closing):
    """A server and its client, behind two pipes; the client takes the times."""

    def __init__(self, name: str, python: Path, model: Path) -> None:
        self.name = name
        path = os.pathsep.join([str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")])
        self._driver = subprocess.Popen(
            [str(python), "-m", _DRIVER, name, str(model.resolve())],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            self._answer(START_LIMIT_S)
        except PeerError as error:
            self.close()
            raise PeerAbsentError(f"does not come up: {error}") from error

    def request(self, frame: Frame) -> PeerTiming:
        """Have *frame* judged.

        Raises:
            PeerError: The server refused it, or there was no answer in time.
        """
        stdin = _opened(self._driver.stdin)
        try:
            stdin.write(json.dumps({"shape": frame.shape}).encode() + b"\n")
            stdin.write(np.ascontiguousarray(frame).tobytes())
            stdin.flush()
        except BrokenPipeError as error:
            raise PeerError(f"{self.name} has ended") from error
        return _timing(self._answer(REQUEST_LIMIT_S))

    def close(self) -> None:
        """End server and client: the driver ends both when its input ends."""
        try:
            _opened(self._driver.stdin).close()
            self._driver.wait(END_LIMIT_S)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._driver.kill()
            self._driver.wait()
        for stream in (self._driver.stdout, self._driver.stderr):
            _opened(stream).close()

    def _answer(self, limit_s: float) -> dict[str, Any]:
        stdout = _opened(self._driver.stdout)
        readable, _, _ = select.select([stdout], [], [], limit_s)
        line = stdout.readline() if readable else b""
        if not line:
            raise PeerError(f"{self.name}: {self._last_words() or f'silent for {limit_s:g} s'}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self.name}: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        try:
            self._driver.wait(1.0)
        except subprocess.TimeoutExpired:
            return ""
        return _opened(self._driver.stderr).read().decode(errors="replace").strip()[-600:]


def _opened(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _timing(answer: dict[str, Any]) -> PeerTiming:
    return PeerTiming(
        total_ns=int(answer["total_ns"]),
        encode_ns=int(answer["encode_ns"]),
        run_ns=int(answer["run_ns"]),
        score=float(answer["score"]),
    )
