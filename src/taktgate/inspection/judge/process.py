"""The judge as a process: reads its settings and the activation once, then runs the loop."""

import gc
import logging
import sys

from taktgate.contracts.outcome import Lane
from taktgate.edge.clock import MILLISECOND, kernel_boot_id, new_start_id
from taktgate.edge.lane import LaneInbox, LaneSender
from taktgate.edge.places import Places
from taktgate.edge.process import (
    end_on_sigterm,
    hold_role,
    take_realtime_priority,
)
from taktgate.edge.settings import StationSettings
from taktgate.edge.startup import run_process
from taktgate.inspection import control
from taktgate.inspection.activation_file import ActivationFiles
from taktgate.inspection.control import Load
from taktgate.inspection.errors import ActivationFileError
from taktgate.inspection.frames.evidence import EvidenceMemory
from taktgate.inspection.frames.opening import open_camera
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.judge.loop import Inboxes, JudgeLoop
from taktgate.inspection.judge.parts import Identity, Policy, Timing
from taktgate.inspection.judge.rules import Judge
from taktgate.inspection.judge.signs import Outlets
from taktgate.inspection.pool.pool import RunnerPool
from taktgate.inspection.pool.starter import Terms
from taktgate.inspection.spawning.direct import DirectStarter
from taktgate.inspection.spawning.link import SpawnerLink, is_supported
from taktgate.inspection.spawning.port import Starter

log = logging.getLogger(__name__)


def judge(places: Places, settings: StationSettings) -> int:
    """Judge until SIGTERM."""
    with hold_role(places.private / "judge.lock"), FrameRing() as ring:
        ring.touch()
        loop = _wire(places, settings, ring, _starter())
        end_on_sigterm(loop.stop)
        loop.start_with(*boot_model(places))
        if settings.realtime.judge:
            loop.has_rights(take_realtime_priority(settings.realtime.judge))
        gc.collect()
        gc.freeze()
        try:
            loop.run()
        finally:
            loop.close()
    return 0


def _starter() -> Starter:
    """Return who starts the judge's processes; begun here, before the loop and its priority."""
    if is_supported():
        return SpawnerLink()
    log.warning("no descriptors of processes here: each start of a runner holds the judge up")
    return DirectStarter()


def _wire(
    places: Places, settings: StationSettings, ring: FrameRing, starter: Starter
) -> JudgeLoop:
    identity = Identity(
        station=settings.station,
        kernel_boot_id=kernel_boot_id(),
        judge_start_id=new_start_id(),
    )
    timing = Timing(
        decision_reserve_ns=settings.judge.decision_reserve_ms * MILLISECOND,
        frame_window_ns=settings.camera.frame_window_ms * MILLISECOND,
    )
    policy = Policy(
        correlation=settings.camera.correlation,
        breaker_after=settings.judge.breaker_after,
        frozen_frames=settings.image_gate.frozen_frames,
    )
    writer = None
    if settings.lanes.local:
        writer = LaneSender(places.lane / control.WRITER_SOCKET, Lane.LOCAL)
    return JudgeLoop(
        identity,
        evidence=EvidenceMemory(places.private / control.EVIDENCE_SOCKET),
        judge=Judge(identity, timing, policy),
        pool=RunnerPool(runner_terms(places, settings), ring, starter),
        ring=ring,
        starter=starter,
        camera=open_camera(settings.camera, ring, starter),
        inboxes=Inboxes(
            line=LaneInbox(places.lane / control.JUDGE_SOCKET),
            commands=LaneInbox(places.private / control.CONTROL_SOCKET),
        ),
        outlets=Outlets(
            writer=writer, agent=LaneSender(places.private / control.AGENT_SOCKET, Lane.LOCAL)
        ),
    )


def runner_terms(places: Places, settings: StationSettings) -> Terms:
    """Return under which terms the runners of this station work."""
    return Terms(
        slots=places.slots,
        trusted_keys=places.config / "trusted_keys",
        device_class=settings.device_class,
        threads=settings.judge.threads,
        provider=settings.judge.provider,
        spinning=settings.judge.spinning,
        arena=settings.judge.arena,
        gpu_memory_mb=settings.judge.gpu_memory_mb,
        image_gate=settings.image_gate,
        standby=settings.judge.standby,
        realtime=settings.realtime.runner,
    )


def boot_model(places: Places) -> tuple[Load | None, str | None]:
    """Return the last-known-good model and the runtime it is proven under; never a trial."""
    files = ActivationFiles(folder=places.state)
    try:
        activation = files.read()
    except ActivationFileError as error:
        log.error("no model: the activation cannot be read", extra={"error": str(error)})
        return None, None
    good = activation.last_known_good
    if activation.halt is not None:
        log.error("last-known-good must not judge", extra={"reason": activation.halt.reason})
        return None, None
    if good is None:
        log.warning("no model has been confirmed on this station yet")
        return None, None
    proof = files.read_proof()
    is_proven = proof is not None and proof.digest == good.model.digest
    fingerprint = proof.fingerprint if proof is not None and is_proven else None
    return Load(slot=good.slot, digest=good.model.digest, golden=False), fingerprint


if __name__ == "__main__":
    sys.exit(run_process("inference/judge", judge))
