"""The private keys of a registry: one PEM file each, in a folder that never goes to a server."""

from dataclasses import dataclass
from pathlib import Path

from securesystemslib.signer import CryptoSigner, Key

from taktgate.edge.files import publish
from taktgate.registry.errors import KeyMissingError

_SUFFIX = ".key.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFolder:
    """Keys by name: `root-1`, `timestamp-1`, `class.cpu-1` ..."""

    path: Path

    def create(self, name: str) -> CryptoSigner:
        """Make the key *name*; return what signs with it.

        Raises:
            OSError: the folder cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        signer = CryptoSigner.generate_ed25519()
        publish(self.path / f"{name}{_SUFFIX}", signer.private_bytes, mode=0o600)
        return signer

    def signer(self, key: Key) -> CryptoSigner:
        """Return what signs for the public *key*.

        Raises:
            KeyMissingError: its private half is not in this folder.
        """
        for file in sorted(self.path.glob(f"*{_SUFFIX}")):
            signer = _load(file)
            if signer.public_key.keyid == key.keyid:
                return signer
        raise KeyMissingError(f"{self.path}: holds no private key for {key.keyid}")

    def holds(self, key: Key) -> bool:
        """Tell whether the private half of *key* is in this folder."""
        try:
            self.signer(key)
        except KeyMissingError:
            return False
        return True


def _load(file: Path) -> CryptoSigner:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return CryptoSigner(load_pem_private_key(file.read_bytes(), password=None))
