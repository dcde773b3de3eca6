"""From an assignment to a runner that may judge: verify, load, warm up, prove in the gaps."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from taktgate.bundle.compatibility import this_device
from taktgate.bundle.errors import BundleError
from taktgate.bundle.golden import load_golden
from taktgate.bundle.manifest import Manifest
from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.verification import VerifiedBundle, verify_directory
from taktgate.contracts.model import ModelRef
from taktgate.inspection.control import Assignment, Ready
from taktgate.inspection.decision.rule import ClassLine, Lines
from taktgate.inspection.errors import ModelRefusedError, RunFailedError
from taktgate.inspection.runner.fingerprint import runtime_fingerprint
from taktgate.inspection.runner.onnx_session import (
    RUNTIME_VERSION,
    OnnxSession,
    ProviderPolicy,
    SessionTerms,
    usable_providers,
)
from taktgate.inspection.runner.probe import UNPROBED, Probe, ProbeResult
from taktgate.inspection.runner.runner import Runner
from taktgate.inspection.runner.watchdog import Watchdog

WARM_UP_RUNS: Final = 2

AwaitGap = Callable[[int], None]
"""Returns when the line leaves room for one run; is told how many runs are still to be made."""


def load(assignment: Assignment, await_gap: AwaitGap) -> Runner:
    """Return a runner for *assignment*, fit to judge; its watchdog is still to be started.

    Raises:
        ModelRefusedError: the bundle must not judge here; `reason` and `message` say why.
    """
    try:
        bundle = verify_directory(
            Path(assignment.directory),
            TrustedKeys.load(Path(assignment.trusted_keys)),
            this_device(
                assignment.device_class,
                runtime_version=RUNTIME_VERSION,
                providers=usable_providers(cast(ProviderPolicy, assignment.provider)),
            ),
        )
        if bundle.digest != assignment.digest:
            raise ModelRefusedError(
                "DIGEST", f"the slot holds {bundle.digest}, ordered was {assignment.digest}"
            )
        return _prepare(bundle, assignment, await_gap)
    except BundleError as error:
        raise ModelRefusedError(error.reason, str(error)) from error


def _prepare(bundle: VerifiedBundle, assignment: Assignment, await_gap: AwaitGap) -> Runner:
    manifest = bundle.manifest
    session = OnnxSession(bundle.read_model(), manifest, session_terms(assignment))
    fingerprint = runtime_fingerprint(runtime_version=RUNTIME_VERSION, provider=session.provider)
    _warm_up(session)
    probed = UNPROBED
    if assignment.proven_fingerprint != fingerprint:
        probed = _prove(bundle, session, assignment.probe_limit_ms, await_gap)
    ready = Ready(
        model=ModelRef(name=manifest.name, version=manifest.version, digest=bundle.digest),
        lines=_lines(manifest),
        provider=session.provider,
        is_fallback=session.is_fallback,
        fingerprint=fingerprint,
        golden_images=probed.golden_images,
        golden_worst=probed.golden_worst,
        has_full_priority=True,
        probe_runs=probed.runs,
        probe_p50_ms=probed.p50_ms,
        probe_p99_ms=probed.p99_ms,
    )
    return Runner(
        manifest=manifest,
        session=session,
        ready=ready,
        image_gate=assignment.image_gate,
        watchdog=Watchdog(session.terminate),
    )


def session_terms(assignment: Assignment) -> SessionTerms:
    """Return how the station wants the model to be run."""
    return SessionTerms(
        threads=assignment.threads,
        spinning=assignment.spinning,
        arena=assignment.arena,
        policy=cast(ProviderPolicy, assignment.provider),
        gpu_memory_mb=assignment.gpu_memory_mb,
    )


def _warm_up(session: OnnxSession) -> None:
    """Run on a black frame: the first runs allocate, and a model that cannot run shows it here."""
    session.tensor.fill(0)
    try:
        for _ in range(WARM_UP_RUNS):
            session.run()
    except RunFailedError as error:
        raise ModelRefusedError("RUN", f"the first run failed: {error}"[:400]) from error


def _prove(
    bundle: VerifiedBundle, session: OnnxSession, limit_ms: float | None, await_gap: AwaitGap
) -> ProbeResult:
    probe = Probe(session, bundle.manifest, load_golden(bundle))
    while probe.runs_left:
        await_gap(probe.runs_left)
        probe.run()
    return probe.result(limit_ms)


def _lines(manifest: Manifest) -> Lines:
    return Lines(
        classes=tuple(
            ClassLine(name=each.name, threshold=each.threshold) for each in manifest.classes
        ),
        uncertain_low=manifest.uncertain_band.low,
        uncertain_high=manifest.uncertain_band.high,
    )
