"""The process that measures writes: one client after the other, in one thread."""

import gc
import sys
import time

from benches.hub_bench.process import serve
from benches.plc_bench.clients import OPENERS, Client, Raw, quiet, records
from benches.plc_bench.echo import EchoClient

ECHO = "TCP echo"
HIGHEST = 2**30


class Measuring:
    """Holds one open session for each client."""

    def __init__(self) -> None:
        self._clients: dict[str, Client] = {}
        self._echo: EchoClient | None = None
        self._number = 0

    def open(self, name: str, host: str, port: int) -> None:
        """Open the session of the client called *name*."""
        self.close(name)
        self._clients[name] = OPENERS[name](host, port)

    def open_echo(self, host: str, port: int) -> tuple[int, int]:
        """Connect to the echo with the sizes of the raw packet's last exchange; return them."""
        raw = self._clients["raw packet"]
        assert isinstance(raw, Raw)
        sizes = raw.sizes()
        self._echo = EchoClient((host, port), *sizes)
        return sizes

    def settle(self) -> None:
        """Freeze what is there: one client's garbage may not be collected in another's time."""
        gc.collect()
        gc.freeze()

    def run(self, name: str, count: int, results: int) -> list[int]:
        """Make *count* exchanges; return how many ns each took."""
        gc.collect()
        if name == ECHO:
            return self._run_echo(count)
        client, taken = self._clients[name], []
        for _ in range(count):
            self._number = (self._number + 1) % HIGHEST
            made, status = records(self._number, results)
            began_ns = time.perf_counter_ns()
            client.write(made, status)
            taken.append(time.perf_counter_ns() - began_ns)
        return taken

    def close(self, name: str) -> None:
        """End the session of the client called *name*, if it has one."""
        client = self._clients.pop(name, None)
        if client is not None:
            client.close()

    def _run_echo(self, count: int) -> list[int]:
        assert self._echo is not None
        taken = []
        for _ in range(count):
            began_ns = time.perf_counter_ns()
            self._echo.exchange()
            taken.append(time.perf_counter_ns() - began_ns)
        return taken


if __name__ == "__main__":
    quiet()
    serve(Measuring())
    sys.exit(0)
