"""A stager without process, hub or network: for tests."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from opentelemetry.metrics import NoOpMeter

from taktgate.bundle.archive import pack, unpack
from taktgate.bundle.compatibility import DeviceFacts
from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.reading import Heed
from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.bundle.targets import BundleFacts, HilStatus, ReleaseState, bundle_path
from taktgate.bundle.verification import VerifiedBundle, verify_directory
from taktgate.contracts.activation import Activation
from taktgate.contracts.codec import decode, encode
from taktgate.contracts.hold import HOLD_FILE, Hold
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import RegistryTrust
from taktgate.edge.file_system import LOCAL, FileSystem
from taktgate.edge.settings import StagingSettings
from taktgate.staging.activation import ACTIVATION_FILE
from taktgate.staging.assembly import Assembly, Tools
from taktgate.staging.back_off import BackOff
from taktgate.staging.errors import NotFoundError
from taktgate.staging.fetch.pace import Pace
from taktgate.staging.fetch.spool import Spool
from taktgate.staging.instruments import Instruments
from taktgate.staging.journal import ANNOUNCED_FILE, Journal
from taktgate.staging.judge_sight import NOBODY
from taktgate.staging.registry.offers import Offer
from taktgate.staging.slots.disk import Disk
from taktgate.staging.smoke.port import SmokeTest
from taktgate.staging.states import Request

T = TypeVar("T")

DEVICE_CLASS: Final = "cpu"
REPOSITORY: Final = "https://models.example"
NOON: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
SETTINGS: Final = StagingSettings(reserve_mb=0)
_FACTS: Final = DeviceFacts(
    device_class=DEVICE_CLASS, machine="x86_64", opset_max=20, ir_max=9, runtime_version="1.17.3"
)
_SHARE: Final = {"value": 0.9, "low": 0.8, "high": 0.95}


@dataclass(slots=True)
class MemoryRegistry:
    """A registry that is a dictionary, and that counts what is asked."""

    bundles: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, BundleFacts] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    """Paths that were looked up."""
    downloads: list[str] = field(default_factory=list)
    """Paths whose bytes were asked for."""
    error: Exception | None = None
    """Raised by the next look-ups while it is set."""
    heard: dict[str, Offer] = field(default_factory=dict)
    """What was said last of each path."""

    def add(self, name: str, version: str, bundle: bytes) -> None:
        """Offer *bundle* under name and version."""
        path = bundle_path(name, version, DEVICE_CLASS)
        self.bundles[path] = bundle
        self.facts[path] = _facts(bundle)

    def offer(self, request: Request) -> Offer:
        """Return what there is for *request*."""
        path = bundle_path(request.model.name, request.model.version, DEVICE_CLASS)
        self.fetched.append(path)
        if self.error is not None:
            raise self.error
        if path not in self.bundles:
            raise NotFoundError(path)
        content = self.bundles[path]
        self.heard[path] = Offer(
            path=path,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            url=f"{REPOSITORY}/{path}",
            facts=self.facts[path],
        )
        return self.heard[path]

    def recall(self, request: Request) -> Offer | None:
        """Return what was said last of *request*."""
        return self.heard.get(bundle_path(request.model.name, request.model.version, DEVICE_CLASS))

    def fetch(self, offer: Offer, *, start: int) -> Iterator[bytes]:
        """Yield the bundle in pieces of a quarter."""
        self.downloads.append(offer.path)
        if self.error is not None:
            raise self.error
        content = self.bundles[offer.path]
        size = -(-len(content) // 4)
        for place in range(start, len(content), size):
            yield content[place : place + size]

    def trust(self) -> RegistryTrust | None:
        """Return nothing: a dictionary is not signed."""
        return None


def _facts(bundle: bytes) -> BundleFacts:
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "bundle"
        archive.write_bytes(bundle)
        unpack(archive, Path(folder) / "unpacked")
        data = (Path(folder) / "unpacked/manifest.json").read_bytes()
    facts = BundleFacts.of(Manifest.parse(data), digest=digest_of(data), serial=1)
    return facts.model_copy(update={"state": ReleaseState.RELEASED, "hil": HilStatus.WAIVED})


class _Gate:
    """A gate for a device of DEVICE_CLASS."""

    def __init__(self, keys: TrustedKeys) -> None:
        self._keys = keys

    def check_self(self) -> None:
        """Find nothing to complain about."""

    def device(self) -> DeviceFacts:
        """Return a device of DEVICE_CLASS."""
        return _FACTS

    def verify(self, folder: Path, *, heed: Heed | None = None) -> VerifiedBundle:
        """Return the bundle in *folder*."""
        return verify_directory(folder, self._keys, _FACTS, heed=heed)


@dataclass(slots=True)
class MemorySmokeTest:
    """A smoke test that every model passes, and that says which ones it saw."""

    tested: list[str] = field(default_factory=list)
    """Their versions."""
    error: Exception | None = None
    """Raised by the next tests while it is set."""

    def run(self, bundle: VerifiedBundle, check: Callable[[], None]) -> None:
        """Test *bundle*."""
        self.tested.append(bundle.manifest.version)
        check()
        if self.error is not None:
            raise self.error


class StagerRig:
    """A station's stager on the folder *root*. A new rig on an old folder is a restart."""

    def __init__(
        self,
        root: Path,
        *,
        registry: MemoryRegistry,
        keys: TrustedKeys,
        files: FileSystem = LOCAL,
        smoke: SmokeTest | None = None,
        settings: StagingSettings = SETTINGS,
        pace: Pace | None = None,
    ) -> None:
        self.slots_root = root / "slots"
        self.state_root = root / "state"
        for folder in (self.slots_root, self.state_root):
            folder.mkdir(parents=True, exist_ok=True)
        self.now_s = 0.0
        self.judge = NOBODY
        disk, pace = Disk(files), pace or Pace()
        self.journal = Journal(self.slots_root, disk=disk, wall=self.wall)
        assembly = Assembly.of(
            self.journal,
            self.slots_root,
            self.state_root,
            tools=Tools(
                disk=disk,
                gate=_Gate(keys),
                registry=registry,
                smoke=smoke or MemorySmokeTest(),
                spool=lambda path: Spool(path, disk=disk, pace=pace),
                pace=pace,
                clock=self.clock,
                wall=self.wall,
                back_off=BackOff(chance=lambda: 0.0),
                judge=lambda: self.judge,
            ),
            settings=settings,
            instruments=Instruments(NoOpMeter("test"), phase=lambda: self.journal.record.phase),
            code="test",
        )
        self.slots, self.stager, self.desk = assembly.slots, assembly.stager, assembly.desk

    def clock(self) -> float:
        """Return the rig's own time, in seconds since its start."""
        return self.now_s

    def wall(self) -> datetime:
        """Return the rig's wall clock: it starts at noon."""
        return NOON + timedelta(seconds=self.now_s)

    def order(self, version: str, order: str = "o1", **changes: Any) -> None:
        """Let the twin ask for *version* by *order*."""
        model = {"name": "weld-seam", "version": version, "order": order}
        self.desk.take({"model": model, "repository": REPOSITORY} | changes)

    def work(self, *, seconds: float = 0.0, check: Callable[[], None] = lambda: None) -> float:
        """Let *seconds* pass, then do what can be done now."""
        self.now_s += seconds
        return self.desk.work(check)

    def hold(self, reason: str | None) -> None:
        """Let an operator say "not now" because of *reason*; None lifts it."""
        path = self.state_root / HOLD_FILE
        if reason is None:
            path.unlink()
        else:
            path.write_bytes(encode(Hold(contract="1.2", by="operator", reason=reason, at="")))

    def activate(self, activation: Activation) -> None:
        """Let inference's record say *activation*."""
        (self.state_root / ACTIVATION_FILE).write_bytes(encode(activation))

    def announced(self) -> StagedModel | None:
        """Return what the disk announces."""
        try:
            return decode(StagedModel, (self.slots_root / ANNOUNCED_FILE).read_bytes())
        except FileNotFoundError:
            return None

    def announced_verifies(self) -> bool:
        """Tell whether the announced slot holds, verified, what is announced."""
        announced = self.announced()
        if announced is None:
            return False
        found = self.slots.verified(announced.slot)
        return found is not None and found.model == announced.model


def tiny_bundle(
    folder: Path, key: SigningKey, *, version: str, changes: Mapping[str, object] | None = None
) -> bytes:
    """Return a signed bundle with the real layout around a model that is none.

    *changes* go into the manifest.
    """
    files = {
        "model.onnx": f"no model, but bytes of {version}".encode() * 20,
        "golden/ok.png": b"ok" * 50,
        "golden/pore.png": b"pore" * 50,
    }
    document = json.loads(json.dumps(_document(version, files) | dict(changes or {})))
    manifest = Manifest.model_validate_json(json.dumps(document))
    path = folder / f"{version}.bundle"
    pack(manifest=manifest, files=files, key=key, to=path)
    return path.read_bytes()


def _document(version: str, files: dict[str, bytes]) -> dict[str, Any]:
    golden = [
        {"id": path, "sha256": digest_of(data), "label": "ok", "score": 0.1, "tolerance": 0.02}
        for path, data in files.items()
        if path.startswith("golden/")
    ]
    listed = [
        {"path": path, "size_bytes": len(data), "sha256": digest_of(data)}
        for path, data in files.items()
    ]
    return {
        "schema": "1",
        "name": "weld-seam",
        "version": version,
        "licence": "MIT",
        "source_digest": digest_of(files["model.onnx"]),
        "device_class": DEVICE_CLASS,
        "toolchain": {"exporter": "none", "torch": "0", "onnx": "0"},
        "opset": 18,
        "ir_version": 8,
        "input": {"name": "image", "dtype": "uint8", "shape": [1, 3, 8, 8]},
        "preprocessing": {
            "width": 8,
            "height": 8,
            "resample": "bilinear",
            "channels": "grey_to_rgb",
            "scale": "in_graph",
        },
        "outputs": {"score": "scores", "class_scores": "class_scores"},
        "threshold": 0.5,
        "classes": [{"name": "pore", "threshold": 0.5}],
        "uncertain_band": {"low": 0.45, "high": 0.55},
        "golden": {"source": "bundle", "items": golden},
        "golden_claims": {
            "dataset": "none",
            "dataset_licence": "MIT",
            "split_method": "none",
            "interval_method": "none",
            "n_ok": 1,
            "n_defective": 1,
            "recall": _SHARE,
            "false_reject_rate": _SHARE,
            "precision": _SHARE,
        },
        "latency_claims": {"p50_ms": 3.0, "p95_ms": 4.0, "p99_ms": 5.0, "n": 1, "machine": "none"},
        "hil_report_digest": None,
        "files": listed,
    }
