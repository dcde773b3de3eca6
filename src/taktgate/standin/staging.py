"""A stager without process, hub or network, and a slots volume that fails on demand: for tests."""

import errno
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from opentelemetry.metrics import NoOpMeter

from taktgate.bundle.archive import pack, unpack
from taktgate.bundle.compatibility import DeviceFacts
from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.bundle.targets import BundleFacts, HilStatus, ReleaseState, bundle_path
from taktgate.bundle.verification import VerifiedBundle, verify_directory
from taktgate.contracts.activation import Activation
from taktgate.contracts.codec import decode, encode
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import RegistryTrust
from taktgate.edge.file_system import LOCAL, FileSystem, LocalFileSystem
from taktgate.staging.activation import ACTIVATION_FILE, ActivationFile
from taktgate.staging.errors import NotFoundError
from taktgate.staging.instruments import Instruments
from taktgate.staging.journal import ANNOUNCED_FILE, Journal
from taktgate.staging.orders import BackOff, OrderDesk
from taktgate.staging.registry.offers import Offer
from taktgate.staging.slots.disk import Disk
from taktgate.staging.slots.slots import Slots
from taktgate.staging.stager import Stager
from taktgate.staging.states import Request

T = TypeVar("T")

DEVICE_CLASS: Final = "cpu"
REPOSITORY: Final = "https://models.example"
_FACTS: Final = DeviceFacts(
    device_class=DEVICE_CLASS, machine="x86_64", opset_max=20, ir_max=9, runtime_version="1.17.3"
)
_SHARE: Final = {"value": 0.9, "low": 0.8, "high": 0.95}


class PowerCutError(BaseException):
    """The power is gone: nothing that catches exceptions may catch this one."""


class FaultyFileSystem(LocalFileSystem):
    """Counts what is done to a file system, and makes call number *at* fail.

    *fail* raises; what was done by then stays. A *torn* write has taken half of its bytes; another
    torn call has done its work.
    """

    def __init__(
        self, *, at: int | None = None, fail: Callable[[], None] | None = None, torn: bool = False
    ) -> None:
        self._at = at
        self._fail = fail or cut_power
        self._torn = torn
        self.calls = 0

    def create(self, path: Path, *, mode: int) -> int:
        """Make *path*."""
        return self._call(lambda: super(FaultyFileSystem, self).create(path, mode=mode))

    def extend(self, path: Path, *, size_bytes: int) -> int:
        """Open *path* at *size_bytes*."""
        return self._call(lambda: super(FaultyFileSystem, self).extend(path, size_bytes=size_bytes))

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write *data*; torn, half of it."""
        if self._is_due():
            if self._torn:
                super().write(descriptor, data[: len(data) // 2])
            self._fail()
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Sync a file."""
        self._call(lambda: super(FaultyFileSystem, self).sync(descriptor))

    def rename(self, path: Path, to: Path) -> None:
        """Rename *path*."""
        self._call(lambda: super(FaultyFileSystem, self).rename(path, to))

    def unlink(self, path: Path) -> None:
        """Remove *path*."""
        self._call(lambda: super(FaultyFileSystem, self).unlink(path))

    def make_folder(self, path: Path, *, mode: int) -> None:
        """Make *path*."""
        self._call(lambda: super(FaultyFileSystem, self).make_folder(path, mode=mode))

    def remove_folder(self, path: Path) -> None:
        """Remove *path*."""
        self._call(lambda: super(FaultyFileSystem, self).remove_folder(path))

    def sync_folder(self, path: Path) -> None:
        """Sync a folder."""
        self._call(lambda: super(FaultyFileSystem, self).sync_folder(path))

    def _call(self, call: Callable[[], T]) -> T:
        if not self._is_due():
            return call()
        if self._torn:
            call()
        self._fail()
        raise AssertionError("fail must raise")

    def _is_due(self) -> bool:
        self.calls += 1
        return self.calls - 1 == self._at


def cut_power() -> None:
    """Fail as a power cut does.

    Raises:
        PowerCutError: always.
    """
    raise PowerCutError


def fill_disk() -> None:
    """Fail as a full disk does.

    Raises:
        OSError: always.
    """
    raise OSError(errno.ENOSPC, "No space left on device")


@dataclass(slots=True)
class MemoryRegistry:
    """A registry that is a dictionary, and that counts what is fetched."""

    bundles: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, BundleFacts] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    error: Exception | None = None
    """Raised by the next look-ups while it is set."""

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
        return Offer(
            path=path,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            url=f"{REPOSITORY}/{path}",
            facts=self.facts[path],
        )

    def fetch(self, offer: Offer, *, start: int) -> Iterator[bytes]:
        """Yield the bundle in pieces of a quarter."""
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

    def verify(self, folder: Path) -> VerifiedBundle:
        """Return the bundle in *folder*."""
        return verify_directory(folder, self._keys, _FACTS)


class StagerRig:
    """A station's stager on the folder *root*. A new rig on an old folder is a restart."""

    def __init__(
        self, root: Path, *, registry: MemoryRegistry, keys: TrustedKeys, files: FileSystem = LOCAL
    ) -> None:
        self.slots_root = root / "slots"
        self.state_root = root / "state"
        for folder in (self.slots_root, self.state_root):
            folder.mkdir(parents=True, exist_ok=True)
        self.now_s = 0.0
        disk = Disk(files)
        self.journal = Journal(self.slots_root, disk=disk)
        self.slots = Slots(self.slots_root, disk=disk, gate=_Gate(keys))
        activation = ActivationFile(path=self.state_root / ACTIVATION_FILE)
        self.stager = Stager(
            journal=self.journal,
            slots=self.slots,
            disk=disk,
            registry=registry,
            activation=activation,
            waived_hil=True,
            instruments=Instruments(NoOpMeter("test"), phase=lambda: self.journal.record.phase),
        )
        self.desk = OrderDesk(
            journal=self.journal,
            stager=self.stager,
            activation=activation,
            code="test",
            clock=lambda: self.now_s,
            back_off=BackOff(chance=lambda: 0.0),
        )

    def order(self, version: str, order: str = "o1", **changes: Any) -> None:
        """Let the twin ask for *version* by *order*."""
        model = {"name": "weld-seam", "version": version, "order": order}
        self.desk.take({"model": model, "repository": REPOSITORY} | changes)

    def work(self, *, seconds: float = 0.0, check: Callable[[], None] = lambda: None) -> float:
        """Let *seconds* pass, then do what can be done now."""
        self.now_s += seconds
        return self.desk.work(check)

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
