"""The real agent beside the bench: it hears all that the judge says, and none of its words count.

The bench is the judge's agent, since it has to hear the part notes. What it hears it hands on to
the real agent, which lives in a private folder of its own and serves the metrics.
"""

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Final, Self

from benches.inspect_bench.inbox import Letter
from benches.inspect_bench.station import Station, StationError

from taktgate.contracts.outcome import Lane
from taktgate.edge.lane import LaneSender
from taktgate.inspection import control

_UP_S: Final = 20.0
_END_S: Final = 5.0
_FAILED_TRIES_PAUSE_S: Final = 0.1


class AgentBeside:
    """One agent, from entering to leaving the context."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._private = station.folder / "agent-private"
        self._state = station.folder / "agent-state"
        port = free_port()
        self.metrics_url = f"http://127.0.0.1:{port}/metrics"
        self._places = {
            "TAKTGATE_PRIVATE_DIR": str(self._private),
            "TAKTGATE_STATE_DIR": str(self._state),
            "TAKTGATE_METRICS_ADDRESS": "127.0.0.1",
            "TAKTGATE_METRICS_PORT": str(port),
        }

    def __enter__(self) -> Self:
        """Start it and wait until it serves its metrics.

        Raises:
            StationError: it does not.
        """
        self._private.mkdir()
        shutil.copytree(self._station.folder / "state", self._state)
        self._to_agent = LaneSender(self._private / control.AGENT_SOCKET, Lane.LOCAL)
        self._log = (self._station.folder / "agent.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "taktgate.inspection.agent.process"],
            env=self.environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._station.on_agent_letter = self._hand_on
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    @property
    def environment(self) -> dict[str, str]:
        """Return what tells a process of this agent's station where things are."""
        return self._station.environment() | self._places

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._station.on_agent_letter = lambda letter: None
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._to_agent.close()
        self._log.close()

    def _hand_on(self, letter: Letter) -> None:
        self._to_agent.send(letter.kind, letter.payload)

    def _wait(self) -> None:
        end_s = time.monotonic() + _UP_S
        while time.monotonic() < end_s and self._process.poll() is None:
            self._station.pass_time(_FAILED_TRIES_PAUSE_S)
            try:
                with urllib.request.urlopen(self.metrics_url, timeout=1):  # noqa: S310 - http on loopback
                    return
            except urllib.error.URLError:
                continue
        raise StationError(f"the agent serves no metrics; exit code {self._process.poll()}")


def free_port() -> int:
    """Return a port that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
