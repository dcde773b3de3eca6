"""A runner's work: check a bundle, load it, warm it up, prove it, then answer frame by frame."""

import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np

from taktgate.bundle.compatibility import this_device
from taktgate.bundle.errors import BundleError
from taktgate.bundle.golden import GoldenImage, load_golden
from taktgate.bundle.manifest import Manifest
from taktgate.bundle.preprocessing import FrameError, Pixels, preprocess
from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.verification import VerifiedBundle, verify_directory
from taktgate.contracts.model import ModelRef
from taktgate.edge.clock import monotonic_ns
from taktgate.inspection.control import Assignment, Ready
from taktgate.inspection.doorbell import Answer, Job, RunFault, failed
from taktgate.inspection.errors import ModelRefusedError, RunFailedError
from taktgate.inspection.frames.ring import SLOT_BYTES
from taktgate.inspection.judge.decision import ClassLine, Lines
from taktgate.inspection.runner.fingerprint import runtime_fingerprint
from taktgate.inspection.runner.onnx_session import RUNTIME_VERSION, OnnxSession, ProviderPolicy

WARM_UP_RUNS: Final = 2
GOLDEN_SUBSET: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A model that may judge, and what the judge must know of it."""

    manifest: Manifest
    session: OnnxSession
    ready: Ready

    def answer(self, job: Job, ring: mmap.mmap) -> Answer:
        """Return the scores for the frame that *job* points to; never raises for a bad frame."""
        arrived_ns = monotonic_ns()
        try:
            preprocess(_pixels(job, ring), self.manifest.preprocessing, out=self.session.tensor)
        except FrameError:
            return failed(
                job.job_id, RunFault.BAD_FRAME, start_ns=arrived_ns, end_ns=monotonic_ns()
            )
        try:
            score, class_scores, start_ns, end_ns = self.session.run()
        except RunFailedError:
            return failed(
                job.job_id, RunFault.RUN_FAILED, start_ns=arrived_ns, end_ns=monotonic_ns()
            )
        is_finite = all(map(math.isfinite, (score, *class_scores)))
        return Answer(
            job_id=job.job_id,
            fault=RunFault.NONE if is_finite else RunFault.NON_FINITE,
            score=score,
            class_scores=class_scores,
            arrived_ns=arrived_ns,
            gated_ns=arrived_ns,
            start_ns=start_ns,
            end_ns=end_ns,
            facts=None,
        )


def load(assignment: Assignment) -> Runner:
    """Return a runner for *assignment*, fit to judge.

    Raises:
        ModelRefusedError: the bundle must not judge here; `reason` and `message` say why.
    """
    try:
        bundle = verify_directory(
            Path(assignment.directory),
            TrustedKeys.load(Path(assignment.trusted_keys)),
            this_device(assignment.device_class, runtime_version=RUNTIME_VERSION),
        )
        if bundle.digest != assignment.digest:
            raise ModelRefusedError(
                "DIGEST", f"the slot holds {bundle.digest}, ordered was {assignment.digest}"
            )
        return _prepare(bundle, assignment)
    except BundleError as error:
        raise ModelRefusedError(error.reason, str(error)) from error


def _prepare(bundle: VerifiedBundle, assignment: Assignment) -> Runner:
    manifest = bundle.manifest
    session = OnnxSession(
        str(bundle.model_path),
        manifest,
        threads=assignment.threads,
        policy=cast(ProviderPolicy, assignment.provider),
    )
    fingerprint = runtime_fingerprint(runtime_version=RUNTIME_VERSION, provider=session.provider)
    _warm_up(session)
    images: tuple[GoldenImage, ...] = ()
    if assignment.proven_fingerprint != fingerprint:
        images = _subset(load_golden(bundle))
    worst = max((_deviation(image, session, manifest) for image in images), default=0.0)
    ready = Ready(
        model=ModelRef(name=manifest.name, version=manifest.version, digest=bundle.digest),
        lines=_lines(manifest),
        provider=session.provider,
        is_fallback=session.is_fallback,
        fingerprint=fingerprint,
        golden_images=len(images),
        golden_worst=round(worst, 4),
        has_full_priority=True,
    )
    return Runner(manifest=manifest, session=session, ready=ready)


def _warm_up(session: OnnxSession) -> None:
    """Run on a black frame: the first runs allocate, and a model that cannot run shows it here."""
    session.tensor.fill(0)
    try:
        for _ in range(WARM_UP_RUNS):
            session.run()
    except RunFailedError as error:
        raise ModelRefusedError("RUN", f"the first run failed: {error}"[:400]) from error


def _subset(images: tuple[GoldenImage, ...]) -> tuple[GoldenImage, ...]:
    """Return up to GOLDEN_SUBSET images, evenly spread, so that both kinds are among them."""
    if len(images) <= GOLDEN_SUBSET:
        return images
    step = len(images) / GOLDEN_SUBSET
    return tuple(images[int(index * step)] for index in range(GOLDEN_SUBSET))


def _deviation(image: GoldenImage, session: OnnxSession, manifest: Manifest) -> float:
    """Return how much of its tolerance *image* used up; refuse the model beyond 1."""
    try:
        preprocess(image.pixels, manifest.preprocessing, out=session.tensor)
        score, class_scores, _, _ = session.run()
    except (FrameError, RunFailedError) as error:
        raise ModelRefusedError("GOLDEN", f"golden image {image.id}: {error}"[:400]) from error
    if not all(map(math.isfinite, (score, *class_scores))):
        raise ModelRefusedError("NON_FINITE", f"golden image {image.id}: the score is not finite")
    deviation = abs(score - image.score)
    if not deviation <= image.tolerance:
        raise ModelRefusedError(
            "GOLDEN",
            f"golden image {image.id}: score {score:.4f}, must be {image.score:.4f} "
            f"within {image.tolerance}",
        )
    return deviation / image.tolerance


def _lines(manifest: Manifest) -> Lines:
    return Lines(
        classes=tuple(
            ClassLine(name=each.name, threshold=each.threshold) for each in manifest.classes
        ),
        uncertain_low=manifest.uncertain_band.low,
        uncertain_high=manifest.uncertain_band.high,
    )


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
