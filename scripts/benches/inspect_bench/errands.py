"""What a station does besides judging: a large bundle is staged, and its metrics are scraped.

Registry, stager, agent and scraper are processes of their own, as on a station. Stager and agent
are the real ones; the bench stands for the twin, and stages the same bundle into new slots again
and again.
"""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from benches.hub_bench.process import BenchProcess
from benches.inspect_bench.agent_beside import AgentBeside, free_port
from benches.inspect_bench.ballast import write_ballast
from benches.inspect_bench.station import Station
from benches.plc_bench.figures import Line

from taktgate.standin.sample_registry import SampleRegistry

_PACKAGE: Final = "inspect_bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was done meanwhile."""

    stagings: int
    """Bundles downloaded, hashed, verified, synced and announced in full."""
    fetched_mb: float
    """An unfinished bundle's bytes too."""
    scrapes: int
    scrape_bytes: int

    def told(self) -> str:
        """Return it as a sentence."""
        return (
            f"{self.stagings} bundles staged in full, {self.fetched_mb:.0f} MB fetched,"
            f" metrics scraped {self.scrapes} times ({self.scrape_bytes / 1000:.1f} kB each)"
        )


class Errands:
    """Runs them from `begin` until the context is left."""

    def __init__(self, station: Station, bundle: Path) -> None:
        self._station = station
        self._folder = station.folder / "errands"
        self._bundle = bundle
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start the processes; nothing is done yet."""
        with self._stack:
            registry = SampleRegistry(self._folder / "registry", keys=self._folder / "keys")
            registry.release(self._bundle)
            registry.trust_in(self._station.folder / "config")
            port = _serve_files(self._stack, registry.directory)
            enter = self._stack.enter_context
            agent = enter(AgentBeside(self._station))
            self._stager = enter(BenchProcess("staging", package=_PACKAGE))
            self._scraper = enter(BenchProcess("scraper", package=_PACKAGE))
            self._stager.ask(
                "open",
                folder=str(self._folder / "stager"),
                environment=agent.environment,
                repository=f"http://127.0.0.1:{port}",
            )
            self._scraper.ask("open", url=agent.metrics_url)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        self.go_on()
        self._stack.close()

    def begin(self) -> None:
        """Start staging and scraping."""
        self._stager.ask("begin")
        self._scraper.ask("begin")

    def hold(self) -> None:
        """Stop the stager where it is, until `go_on`."""
        os.kill(self._stager.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let the stager go on."""
        os.kill(self._stager.pid, signal.SIGCONT)

    def done(self) -> Done:
        """Return what was done so far."""
        stagings, fetched_bytes = self._stager.ask("done")
        scrapes, scrape_bytes = self._scraper.ask("done")
        return Done(
            stagings=stagings,
            fetched_mb=round(fetched_bytes / 1e6, 1),
            scrapes=scrapes,
            scrape_bytes=scrape_bytes,
        )


def line(done: Done) -> Line:
    """Return whether the station was busy at all: an idle one must not pass as busy."""
    return Line(
        promise="meanwhile a bundle of 200 MB is staged and metrics are scraped",
        measured=done.told(),
        kept=done.fetched_mb > 0 and done.scrapes > 0 and done.scrape_bytes > 0,
    )


def bundle_for_errands(folder: Path) -> Path:
    """Return the large bundle, written once."""
    path = folder / "ballast.bundle"
    if not path.exists():
        write_ballast(path)
    return path


def _serve_files(stack: ExitStack, folder: Path) -> int:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    server = subprocess.Popen(
        [*command, "--directory", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(server.wait)
    stack.callback(server.kill)
    return port
