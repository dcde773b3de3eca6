"""Clients that ask a surface without pause, each in its own way, until standard input ends.

A process of its own: in the test's it would hold up the camera and the writer that the test plays.
Prints how often which status was answered.
"""

import contextlib
import http.client
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

SIZE = 64


class Hammer:
    """Strikes at one address."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._is_over = threading.Event()
        self.answers: Counter[int] = Counter()

    def run(self) -> None:
        """Strike in every way until standard input ends."""
        ways = (self._tensor, self._raw, self._rubbish, self._states, self._order, self._half)
        threads = [threading.Thread(target=self._strike, args=(way,)) for way in ways]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        self._is_over.set()
        for thread in threads:
            thread.join()

    def _strike(self, way: Callable[[], int]) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.answers[way()] += 1

    def _ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> int:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=30)
        try:
            connection.request(method, path, body or None, {"Content-Type": kind} if body else {})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def _tensor(self) -> int:
        body = json.dumps({"tensor": [0.1] * (3 * SIZE * SIZE)}).encode()
        return self._ask("POST", "/infer", body, "application/json")

    def _raw(self) -> int:
        path = f"/infer?width={SIZE}&height={SIZE}&channels=1"
        return self._ask("POST", path, bytes(SIZE * SIZE), "application/octet-stream")

    def _rubbish(self) -> int:
        return self._ask("POST", "/infer", os.urandom(100_000), "image/png")

    def _states(self) -> int:
        return max(self._ask("GET", path) for path in ("/metrics", "/readyz"))

    def _order(self) -> int:
        body = b'{"model_name": "../../tmp/evil"}'
        return self._ask("POST", "/reload-model", body, "application/json")

    def _half(self) -> int:
        with socket.create_connection((self._host, self._port), timeout=5) as stream:
            stream.sendall(b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n{")
            time.sleep(0.05)
        return 0


if __name__ == "__main__":
    hammer = Hammer(sys.argv[1], int(sys.argv[2]))
    hammer.run()
    sys.stdout.write(json.dumps(hammer.answers))
