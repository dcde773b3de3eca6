"""The clients: each gives the frame to its server in the way that costs the client least."""

import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

LIMIT_S = 30.0
Pixels = NDArray[np.uint8]
Timing = dict[str, float]


class Client(Protocol):
    """Asks one server for one score after the other."""

    def request(self, frame: Pixels) -> Timing:
        """Return score, run_ns, encode_ns and total_ns."""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class HttpClient:
    """One connection that is kept, one body at a time.

    Args:
        connection: To the server.
        kind: Content type of the body.
        encode: Makes the body.
        read: Finds score and run_ns in the answer's JSON.
    """

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        *,
        kind: str = "application/octet-stream",
        encode: Callable[[Pixels], bytes | memoryview] = lambda frame: frame.data.cast("B"),
        read: Callable[[Any], Timing] = dict,
    ) -> None:
        self._connection = connection
        self._headers = {"Content-Type": kind}
        self._encode = encode
        self._read = read

    def request(self, frame: Pixels) -> Timing:
        """Return score, run_ns, encode_ns and total_ns."""
        start_ns = time.monotonic_ns()
        body = self._encode(frame)
        encoded_ns = time.monotonic_ns()
        self._connection.request("POST", "/infer", bytes(body), self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {content[:300]!r}")
        found = self._read(json.loads(content))
        end_ns = time.monotonic_ns()
        return found | {"encode_ns": encoded_ns - start_ns, "total_ns": end_ns - start_ns}

    def hang_up(self) -> None:
        """Forget a connection that failed; the next request opens a new one."""
        self._connection.close()


class MlServerClient:
    """gRPC on one channel."""

    def __init__(self, port: int) -> None:
        import grpc
        from mlserver.grpc import dataplane_pb2, dataplane_pb2_grpc

        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
        self._messages = dataplane_pb2

    def request(self, frame: Pixels) -> Timing:
        """Return score, run_ns, encode_ns and total_ns."""
        start_ns = time.monotonic_ns()
        tensor = self._messages.ModelInferRequest.InferInputTensor(
            name="frame", datatype="BYTES", shape=[1]
        )
        tensor.contents.bytes_contents.append(frame.tobytes())
        message = self._messages.ModelInferRequest(model_name="frame", inputs=[tensor])
        encoded_ns = time.monotonic_ns()
        answer = self._stub.ModelInfer(message, timeout=LIMIT_S)
        found: Timing = json.loads(answer.outputs[0].contents.bytes_contents[0])
        end_ns = time.monotonic_ns()
        return found | {"encode_ns": encoded_ns - start_ns, "total_ns": end_ns - start_ns}


def article_body(frame: Pixels) -> bytes:
    """Return the JSON that the article's service wants: 3x512x512 floats within 0..1."""
    planes = np.broadcast_to(frame, (3, *frame.shape)) if frame.ndim == 2 else frame
    chw = planes if frame.ndim == 2 else planes.transpose(2, 0, 1)
    tensor = chw.astype(np.float32) / np.float32(255)
    return json.dumps({"tensor": tensor.ravel().tolist()}).encode()


def article_answer(answer: dict[str, Any]) -> Timing:
    """Return what the article's service says about itself."""
    return {"score": answer["score"], "run_ns": answer["latency_ms"] * 1e6}
