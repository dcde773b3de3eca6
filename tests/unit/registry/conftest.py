from pathlib import Path

import pytest
from tests.registry_client import ReferenceClient, UnsyncedFileSystem

from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.registry.signed.admission import admitted
from taktgate.registry.signed.publishing import Publisher
from taktgate.standin.staging import tiny_bundle


class Shop:
    """A registry, what may sign bundles for it, and a station's client of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.key = SigningKey.generate()
        self.trusted = root / "trusted.pub.pem"
        self.trusted.write_bytes(self.key.public_pem())
        self.folder = root / "registry"
        self.keys = root / "keys"
        self.publisher = Publisher(self.folder, keys=self.keys, files=UnsyncedFileSystem())
        self.publisher.init()
        self.client = ReferenceClient(self.folder, root / "trust")

    def bundle(self, version: str, **changes: object) -> Path:
        tiny_bundle(self.root, self.key, version=version, changes=changes)
        return self.root / f"{version}.bundle"

    def add(self, version: str, **changes: object) -> None:
        with admitted(self.bundle(version, **changes), TrustedKeys.load(self.trusted)) as bundle:
            self.publisher.add_bundle(bundle.archive, bundle.manifest, bundle.digest)


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)
