"""The work on one question of `/infer`: its body decoded, its model loaded, one run in time."""

import select
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.edge.clock import MILLISECOND, SECOND, monotonic_ns
from taktgate.inspection.control import Load, Ready, Refused, RunnerState
from taktgate.inspection.doorbell import Answer, Job, RunFault
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.pool.events import Answered
from taktgate.inspection.pool.pool import RunnerPool
from taktgate.inspection.pool.starter import Terms
from taktgate.inspection.spawning.direct import DirectStarter
from taktgate.inspection.surface.board import LiveModel
from taktgate.inspection.surface.decoder_link import DecoderLink
from taktgate.inspection.surface.decoder_wire import Shape
from taktgate.inspection.surface.errors import (
    FAIL_SAFE_HINT,
    BadInputError,
    UnavailableError,
)
from taktgate.inspection.surface.pixels import Layout, Media, Task
from taktgate.inspection.surface.slots import SlotBundle, SlotCatalog

_POLL_S: Final = 0.1
_REAP_S: Final = 0.01
_GRACE_NS: Final = 300 * MILLISECOND
_END_LIMIT_NS: Final = 5 * SECOND
_SLOT: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request to `/infer`."""

    body: bytes
    media: Media
    layout: Layout = Layout.UINT8_HWC
    width: int | None = None
    height: int | None = None
    channels: int | None = None
    give_up_ns: int
    """After this nobody waits for the reply any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model says of one picture, and which model."""

    answer: Answer
    ready: Ready
    correlation_id: str | None


class InferWork:
    """The processes behind the infer service, for its thread alone."""

    def __init__(
        self, terms: Terms, catalog: SlotCatalog, ring: FrameRing, *, run_limit_ns: int
    ) -> None:
        self._pool = RunnerPool(terms, ring, DirectStarter())
        self._decoder = DecoderLink()
        self._catalog = catalog
        self._ring = ring
        self._run_limit_ns = run_limit_ns
        self._served: SlotBundle | None = None
        self._jobs = 0

    def answer(self, question: Question, live: LiveModel | None) -> Reply:
        """Return the reply to *question* by the model *live*.

        Raises:
            BadInputError: the question breaks a rule.
            UnavailableError: no answer now, or not in time.
        """
        if monotonic_ns() >= question.give_up_ns:
            raise UnavailableError(f"it waited too long for its turn. {FAIL_SAFE_HINT}")
        if live is None:
            raise UnavailableError("no model is live")
        served = self._follow(live)
        task = _task(question, served)
        shape, pixels = self._decoder.read(task, question.body, until_ns=question.give_up_ns)
        ready = self._await_ready(served, question.give_up_ns)
        self._ring.memory(_SLOT)[: len(pixels)] = pixels
        answer = self._run(served, shape)
        if answer.fault is RunFault.BAD_FRAME:
            spec = served.manifest.preprocessing
            raise BadInputError(
                f"the model takes {spec.width}x{spec.height} only, "
                f"got {shape.width}x{shape.height}",
                field="body",
            )
        return Reply(answer=answer, ready=ready, correlation_id=shape.correlation_id)

    def tend(self) -> None:
        """Take in what the runner says though nobody asks."""
        self._pump(0.0)

    def pids(self) -> tuple[int, ...]:
        """Return the processes that run now."""
        runners = [model.pid for model in self._pool.models()]
        return tuple(pid for pid in (self._decoder.pid, *runners) if pid is not None)

    def close(self) -> None:
        """End all processes; they are gone when this returns."""
        runners = [model.pid for model in self._pool.models() if model.pid is not None]
        self._pool.close()
        self._decoder.close()
        self._served = None
        until_ns = monotonic_ns() + _END_LIMIT_NS
        while any(Path(f"/proc/{pid}").exists() for pid in runners) and monotonic_ns() < until_ns:
            time.sleep(_REAP_S)
            self._pool.tick(None, monotonic_ns(), is_gap=True)

    def _follow(self, live: LiveModel) -> SlotBundle:
        """Have a runner for the model that judges; return what its manifest says."""
        digest = live.model.digest
        if self._served is None or self._served.model.digest != digest:
            found = self._catalog.read(live.slot)
            if found is None or found.model.digest != digest:
                raise UnavailableError("the live model's slot cannot be read")
            self._pool.close()
            self._served = found
        load = Load(slot=live.slot, digest=digest, golden=False)
        # The judge's runner has passed golden with this bundle under this very runtime.
        self._pool.load(
            load,
            proven_fingerprint=live.fingerprint,
            at_idle_priority=False,  # the service's thread is, or is not
            now_ns=monotonic_ns(),
        )
        self._pump(0.0)
        return self._served

    def _await_ready(self, served: SlotBundle, until_ns: int) -> Ready:
        digest = served.model.digest
        while monotonic_ns() < until_ns:
            held = next(each for each in self._pool.models() if each.digest == digest)
            if held.state is RunnerState.READY and held.ready is not None:
                return held.ready
            if held.state is RunnerState.REFUSED:
                refused = held.refused or Refused(reason="DIED", message="")
                raise UnavailableError(f"the model is refused: {refused.reason}")
            self._pump(_POLL_S)
        raise UnavailableError("the infer service's runner is still loading")

    def _run(self, served: SlotBundle, shape: Shape) -> Answer:
        runner = self._pool.runner(served.model.digest)
        if runner is None:
            raise UnavailableError("the infer service's runner has just ended")
        self._jobs += 1
        until_ns = monotonic_ns() + self._run_limit_ns
        job = Job(
            job_id=self._jobs,
            slot=_SLOT,
            width=shape.width,
            height=shape.height,
            channels=shape.channels,
            decide_by_ns=until_ns,
        )
        self._pool.dispatch(runner, job)
        # The runner ends a run at `until_ns` by itself; only one that does not is killed.
        while monotonic_ns() < until_ns + _GRACE_NS and self._serves(served, runner):
            for answer in self._pump(_POLL_S):
                if answer.job_id == job.job_id:
                    return self._in_time(answer)
        self._pool.kill(runner, "hangs")
        raise self._timeout()

    def _serves(self, served: SlotBundle, runner: int) -> bool:
        return self._pool.runner(served.model.digest) == runner

    def _in_time(self, answer: Answer) -> Answer:
        if answer.fault is RunFault.TERMINATED:
            raise self._timeout()
        return answer

    def _timeout(self) -> UnavailableError:
        limit_ms = self._run_limit_ns // MILLISECOND
        return UnavailableError(f"Inference exceeded {limit_ms} ms timeout. {FAIL_SAFE_HINT}")

    def _pump(self, wait_s: float) -> list[Answer]:
        """Let the pool do its work, for at most *wait_s*; return the answers that came."""
        events = self._pool.tick(None, monotonic_ns(), is_gap=True)
        posts = self._pool.listening()
        readable, _, _ = select.select(posts, [], [], wait_s)
        for post in readable:
            events += self._pool.receive(post, monotonic_ns())
        return [event.answer for event in events if isinstance(event, Answered)]


def _task(question: Question, served: SlotBundle) -> Task:
    manifest = served.manifest
    return Task(
        media=question.media,
        layout=question.layout,
        width=question.width,
        height=question.height,
        channels=question.channels,
        model_width=manifest.preprocessing.width,
        model_height=manifest.preprocessing.height,
        threshold=manifest.threshold,
    )
