"""What all scenarios share: a signed registry with small models, and what a station must trust."""

import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from tests.integration.judge_station import KEY
from tests.integration.tiny_bundles import Tiny, write_bundle
from tuf.api.metadata import Root

from taktgate.bundle.archive import unpack
from taktgate.bundle.manifest import digest_of
from taktgate.bundle.signing import SigningKey
from taktgate.contracts.model import ModelRef
from taktgate.edge.settings import load_station
from taktgate.registry.signed.rotation import rotate
from taktgate.standin.sample_registry import SampleRegistry

NAME: Final = "tiny"
BAD: Final = "9.0.0"
"""The version that gives no usable answers on the line, though it loads and passes golden."""
FORGED: Final = "8.0.0"
"""The version whose bundle is signed by a key that the station does not know."""
WEAK: Final = "8.1.0"
"""The version that does not score its golden images as it claims."""
_GAINS: Final = {"1.0.0": 8.0, "2.0.0": 9.0, "3.0.0": 10.0, BAD: 11.0}
_STATION: Final = """\
station: VIS01
device_class: cpu
plc: {address: 127.0.0.1}
camera: {address: '127.0.0.1:9', frame_window_ms: 120}
"""


def _tiny(version: str, gain: float) -> Tiny:
    """Return a model with few golden images: each costs as many states as any other."""
    return Tiny(version=version, gain=gain, greys=(0, 80, 175, 255))


@dataclass(frozen=True)
class Bundle:
    """A released model, and every byte of it."""

    model: ModelRef
    files: dict[str, bytes]


class World:
    """The registry, the config volume and the bundles in *folder*."""

    def __init__(self, folder: Path) -> None:
        """Lay it out in the empty *folder*."""
        self.folder = folder
        self.key = SigningKey.load(KEY)
        self.config = folder / "config"
        keys = self.config / "trusted_keys"
        keys.mkdir(parents=True)
        (keys / "test.pub.pem").write_bytes(self.key.public_pem())
        (folder / "station.yaml").write_text(_STATION, encoding="utf-8")
        self.settings = load_station(folder / "station.yaml")
        self._registry = SampleRegistry(folder / "registry", keys=folder / "keys")
        self._registry.trust_in(self.config)
        self.bundles = [self._release(_tiny(version, gain)) for version, gain in _GAINS.items()]
        forged = _tiny(FORGED, 12.0)
        self.unfit = [
            self._release(forged, key=SigningKey.generate()),
            self._release(replace(_tiny(WEAK, 13.0), golden_shift=0.3)),
        ]

    @property
    def repository(self) -> str:
        """Return the registry's URL."""
        return self._registry.directory.as_uri()

    @cached_property
    def by_digest(self) -> dict[str, Bundle]:
        """Return the bundles by digest."""
        return {bundle.model.digest: bundle for bundle in (*self.bundles, *self.unfit)}

    def model(self, version: str) -> ModelRef | None:
        """Return the model of *version*, None when the registry has none that is fit."""
        found = [its.model for its in self.bundles if its.model.version == version]
        return found[0] if found else None

    def digest(self, version: str) -> str:
        """Return the digest of *version*, which is there."""
        model = self.model(version)
        assert model is not None
        return model.digest

    def rotate_keys(self) -> None:
        """Give the registry a new root, signed by new keys and the old ones."""
        rotate(self._registry.publisher.files, Root.type)

    def _release(self, tiny: Tiny, *, key: SigningKey | None = None) -> Bundle:
        path = write_bundle(self.folder, tiny, key or self.key)
        self._registry.release(path)
        unpacked = self.folder / "unpacked"
        unpack(path, unpacked)
        files = {
            each.relative_to(unpacked).as_posix(): each.read_bytes()
            for each in sorted(unpacked.rglob("*"))
            if each.is_file()
        }
        shutil.rmtree(unpacked)
        digest = digest_of(files["manifest.json"])
        return Bundle(model=ModelRef(name=NAME, version=tiny.version, digest=digest), files=files)
