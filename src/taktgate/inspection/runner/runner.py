"""A runner's work on one frame: measure it, prepare it, run the model in time, answer."""

import math
import mmap
from dataclasses import dataclass

import numpy as np

from taktgate.bundle.manifest import Manifest
from taktgate.bundle.preprocessing import FrameError, Pixels, preprocess
from taktgate.edge.clock import monotonic_ns
from taktgate.edge.settings import ImageGateSettings
from taktgate.inspection.control import Ready
from taktgate.inspection.doorbell import Answer, Job, RunFault, failed
from taktgate.inspection.errors import RunFailedError, RunTerminatedError
from taktgate.inspection.frames.ring import SLOT_BYTES
from taktgate.inspection.gate.measure import measure
from taktgate.inspection.gate.rule import fault_of
from taktgate.inspection.image_facts import ImageFacts
from taktgate.inspection.runner.onnx_session import OnnxSession
from taktgate.inspection.runner.watchdog import Watchdog


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """A frame that was measured, and when."""

    arrived_ns: int
    gated_ns: int
    pixels: Pixels
    facts: ImageFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A model that may judge, and what the judge must know of it."""

    manifest: Manifest
    session: OnnxSession
    ready: Ready
    image_gate: ImageGateSettings
    watchdog: Watchdog

    def answer(self, job: Job, ring: mmap.mmap) -> Answer:
        """Return the scores for the frame that *job* points to; never raises for a bad frame.

        It returns by the job's `decide_by_ns`, or as soon after it as the model's operator that is
        under way then is through.
        """
        arrived_ns = monotonic_ns()
        if arrived_ns >= job.decide_by_ns:
            return _without_run(job, RunFault.TERMINATED, arrived_ns)
        try:
            pixels = _pixels(job, ring)
            facts = measure(pixels)
        except FrameError:
            return _without_run(job, RunFault.BAD_FRAME, arrived_ns)
        frame = _Frame(arrived_ns=arrived_ns, gated_ns=monotonic_ns(), pixels=pixels, facts=facts)
        fault = fault_of(facts, self.image_gate)
        if fault is not None:
            return _failed(job, fault, frame, start_ns=frame.gated_ns)
        return self._infer(job, frame)

    def _infer(self, job: Job, frame: _Frame) -> Answer:
        start_ns = frame.gated_ns
        try:
            preprocess(frame.pixels, self.manifest.preprocessing, out=self.session.tensor)
            start_ns = monotonic_ns()
            score, class_scores, start_ns, end_ns = self._run_until(job.decide_by_ns)
        except FrameError:
            return _failed(job, RunFault.BAD_FRAME, frame, start_ns=start_ns)
        except RunTerminatedError:
            return _failed(job, RunFault.TERMINATED, frame, start_ns=start_ns)
        except RunFailedError:
            return _failed(job, RunFault.RUN_FAILED, frame, start_ns=start_ns)
        is_finite = all(map(math.isfinite, (score, *class_scores)))
        return Answer(
            job_id=job.job_id,
            fault=RunFault.NONE if is_finite else RunFault.NON_FINITE,
            score=score,
            class_scores=class_scores,
            arrived_ns=frame.arrived_ns,
            gated_ns=frame.gated_ns,
            start_ns=start_ns,
            end_ns=end_ns,
            facts=frame.facts,
        )

    def _run_until(self, due_ns: int) -> tuple[float, tuple[float, ...], int, int]:
        """Run; the watchdog ends it at *due_ns*, and the session is fit for the next run after.

        Raises:
            RunTerminatedError: the watchdog ended it.
            RunFailedError: the runtime failed.
        """
        self.watchdog.arm(due_ns)
        try:
            return self.session.run()
        finally:
            if self.watchdog.disarm():
                self.session.renew()


def _failed(job: Job, fault: RunFault, frame: _Frame, *, start_ns: int) -> Answer:
    return failed(
        job.job_id,
        fault,
        arrived_ns=frame.arrived_ns,
        gated_ns=frame.gated_ns,
        start_ns=start_ns,
        end_ns=monotonic_ns(),
        facts=frame.facts,
    )


def _without_run(job: Job, fault: RunFault, arrived_ns: int) -> Answer:
    return failed(job.job_id, fault, start_ns=arrived_ns, end_ns=arrived_ns)


def _pixels(job: Job, ring: mmap.mmap) -> Pixels:
    """Return the frame of *job* without copying it.

    Raises:
        FrameError: its geometry does not lie within its slot.
    """
    size = job.width * job.height * job.channels
    start = job.slot * SLOT_BYTES
    if not 0 < size <= SLOT_BYTES or start + size > len(ring):
        raise FrameError(f"a frame of {size} bytes does not lie in slot {job.slot}")
    flat = np.frombuffer(ring, dtype=np.uint8, count=size, offset=start)
    if job.channels == 1:
        return flat.reshape(job.height, job.width)
    return flat.reshape(job.height, job.width, job.channels)
