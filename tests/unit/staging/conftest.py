"""One station's stager with a registry in memory."""

from pathlib import Path

import pytest

from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.standin.staging import MemoryRegistry, StagerRig, tiny_bundle


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="session")
def keys(key: SigningKey, tmp_path_factory: pytest.TempPathFactory) -> TrustedKeys:
    file = tmp_path_factory.mktemp("keys") / "test.pub.pem"
    file.write_bytes(key.public_pem())
    return TrustedKeys.load(file)


@pytest.fixture
def registry(key: SigningKey, tmp_path: Path) -> MemoryRegistry:
    """Offer versions 1.0.0 and 2.0.0."""
    registry = MemoryRegistry()
    for version in ("1.0.0", "2.0.0"):
        registry.add("weld-seam", version, tiny_bundle(tmp_path, key, version=version))
    return registry


@pytest.fixture
def rig(tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys) -> StagerRig:
    return StagerRig(tmp_path, registry=registry, keys=keys)
