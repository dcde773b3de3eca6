"""A signed registry on this machine, with keys of its own: for demos, benches and tests."""

import tempfile
from pathlib import Path
from typing import Final

from taktgate.bundle import layout
from taktgate.bundle.archive import unpack
from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.targets import BundleFacts, ReleaseState
from taktgate.registry.signed.publishing import Publisher
from taktgate.staging.registry.client import TRUSTED_ROOT_FILE

_WAIVER: Final = "a sample; no hardware stands behind it"


class SampleRegistry:
    """A registry whose bundles are released as soon as they are in it."""

    def __init__(self, directory: Path, *, keys: Path) -> None:
        """Begin a registry in *directory*, with its private keys in *keys*."""
        self.directory = directory
        self.publisher = Publisher(directory, keys=keys)
        self._root = self.publisher.init()

    def trust_in(self, config: Path) -> None:
        """Let the station with the folder *config* trust this registry."""
        config.mkdir(parents=True, exist_ok=True)
        (config / TRUSTED_ROOT_FILE).write_bytes(self._root)

    def release(self, bundle: Path) -> BundleFacts:
        """Add *bundle* and release it to the stations.

        Raises:
            BundleError: it is no bundle.
            RegistryError: another one has its name, version and class.
        """
        with tempfile.TemporaryDirectory() as folder:
            unpack(bundle, Path(folder))
            data = (Path(folder) / layout.MANIFEST).read_bytes()
        manifest = Manifest.parse(data)
        named = (manifest.name, manifest.version, manifest.device_class)
        self.publisher.add_bundle(bundle, manifest, digest_of(data))
        self.publisher.promote(*named, ReleaseState.CI_PASSED)
        return self.publisher.promote(*named, ReleaseState.RELEASED, waiver=_WAIVER)
