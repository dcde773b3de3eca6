"""Starts runner processes under this station's terms, and sees them off."""

from dataclasses import dataclass
from pathlib import Path

from taktgate.edge.settings import ImageGateSettings
from taktgate.inspection.control import Assignment
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.pool.link import RunnerLink
from taktgate.inspection.pool.pooled_model import PooledModel, RunnerProcess
from taktgate.inspection.spawning.port import Starter

_NO_GATE = ImageGateSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which every runner of this station works."""

    slots: Path
    trusted_keys: Path
    device_class: str
    threads: int
    provider: str
    spinning: bool = False
    arena: bool = True
    gpu_memory_mb: int | None = None
    image_gate: ImageGateSettings = _NO_GATE
    standby: bool = False
    realtime: int = 0
    """SCHED_FIFO priority of the live runner; 0: none."""


def assignment_of(terms: Terms, model: PooledModel, *, at_idle_priority: bool) -> Assignment:
    """Return what a runner for the model of *model* is told."""
    return Assignment(
        directory=str(terms.slots / model.load.slot),
        digest=model.load.digest,
        trusted_keys=str(terms.trusted_keys),
        device_class=terms.device_class,
        threads=terms.threads,
        spinning=terms.spinning,
        arena=terms.arena,
        provider=terms.provider,
        gpu_memory_mb=terms.gpu_memory_mb,
        image_gate=terms.image_gate,
        proven_fingerprint=model.proven_fingerprint,
        probe_limit_ms=model.load.probe_limit_ms,
        at_idle_priority=at_idle_priority,
    )


class RunnerStarter:
    """All runner processes of one judge, from the first to the last."""

    def __init__(self, terms: Terms, ring: FrameRing, starter: Starter) -> None:
        self._terms = terms
        self._starter = starter
        self._ring = ring
        self._ending: list[RunnerLink] = []
        self.last_runner = 0
        """Runners are numbered from 1."""

    def start(self, model: PooledModel, now_ns: int, *, at_idle_priority: bool) -> RunnerProcess:
        """Start a runner for the model of *model*.

        Raises:
            OSError: no process is to be had.
        """
        assignment = assignment_of(self._terms, model, at_idle_priority=at_idle_priority)
        self.last_runner += 1
        link = RunnerLink(assignment, self._ring, self._starter)
        return RunnerProcess(runner=self.last_runner, link=link, since_ns=now_ns)

    def end(self, process: RunnerProcess) -> None:
        """End a runner; nobody waits for it."""
        process.link.close()
        self._ending.append(process.link)

    def reap(self) -> None:
        """Take the exit codes of those that have ended."""
        self._ending = [link for link in self._ending if not link.reap()]
