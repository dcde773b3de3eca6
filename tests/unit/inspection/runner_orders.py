"""What a judge would order of a runner: tiny bundles in slots of their own."""

from pathlib import Path

from tests.integration.judge_station import KEY
from tests.integration.tiny_bundles import Tiny, write_bundle

from taktgate.bundle.archive import unpack
from taktgate.bundle.manifest import digest_of
from taktgate.bundle.signing import SigningKey
from taktgate.edge.settings import ImageGateSettings
from taktgate.inspection.control import Assignment
from taktgate.inspection.runner.fingerprint import runtime_fingerprint
from taktgate.inspection.runner.onnx_session import CPU, RUNTIME_VERSION


def assignment(folder: Path, tiny: Tiny, *, is_proven: bool = True) -> Assignment:
    """Write the bundle of *tiny* and return what a judge would say of it."""
    key = SigningKey.load(KEY)
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    (keys / "dev.pub.pem").write_bytes(key.public_pem())
    slot = folder / f"slot-{tiny.version}"
    unpack(write_bundle(folder, tiny, key), slot)
    fingerprint = runtime_fingerprint(runtime_version=RUNTIME_VERSION, provider=CPU)
    return Assignment(
        directory=str(slot),
        digest=digest_of((slot / "manifest.json").read_bytes()),
        trusted_keys=str(keys),
        device_class="cpu",
        threads=1,
        spinning=False,
        provider="cpu",
        gpu_memory_mb=None,
        image_gate=ImageGateSettings(),
        proven_fingerprint=fingerprint if is_proven else None,
        probe_limit_ms=None,
        at_idle_priority=False,
    )
