"""The private keys of a registry: one PEM file each, in folders that never go to a server.

A public key carries its name in the metadata, so that a key whose file is lost can still be named.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner, Key

from taktgate.edge.file_system import LOCAL, FileSystem
from taktgate.edge.files import publish
from taktgate.registry.errors import KeyFolderError, KeyMissingError
from taktgate.registry.signed.disk import writing

NAME_FIELD: Final = "x-taktgate-name"
"""Of a public key in the metadata; TUF lets a key hold fields that a client does not know."""
_SUFFIX: Final = ".key.pem"


class KeyRing:
    """The keys in one or more folders, by name: `root-1`, `timestamp-1`, `class.cpu-1` ...

    Numbers rise: a key that replaces another one has a number that no key of its role ever had.
    """

    def __init__(self, folders: Sequence[Path], *, files: FileSystem = LOCAL) -> None:
        """Look in all *folders*; make new keys in the first."""
        self.folders = tuple(folders)
        self._files = files
        self._signers: dict[str, CryptoSigner] | None = None

    def make(self, name: str) -> Key:
        """Return the public half of the key *name*, which is made if it is not there yet.

        It is there if a command was cut off after it had made it: no metadata names it.

        Raises:
            KeyFolderError: its file holds no private key.
            DiskError: the folder cannot be written.
        """
        file = self._find(name)
        if file is None:
            file = self.folders[0] / f"{name}{_SUFFIX}"
            made = CryptoSigner.generate_ed25519().private_bytes
            with writing(file):
                self.folders[0].mkdir(parents=True, exist_ok=True, mode=0o700)
                publish(file, made, mode=0o600, files=self._files)
        signer = _load(file)
        self._by_id()[signer.public_key.keyid] = signer
        public = signer.public_key
        public.unrecognized_fields[NAME_FIELD] = name
        return public

    def signer(self, key: Key) -> CryptoSigner:
        """Return what signs for the public *key*.

        Raises:
            KeyMissingError: its private half is in none of the folders.
            KeyFolderError: a file that should hold a private key does not.
        """
        signer = self._by_id().get(key.keyid)
        if signer is None:
            folders = ", ".join(map(str, self.folders))
            raise KeyMissingError(f"{folders}: no private key {name_of(key)} ({key.keyid[:8]})")
        return signer

    def holds(self, key: Key) -> bool:
        """Tell whether the private half of *key* is in one of the folders.

        Raises:
            KeyFolderError: a file that should hold a private key does not.
        """
        return key.keyid in self._by_id()

    def path_of(self, name: str) -> Path | None:
        """Return where the key *name* lies, None if it is in none of the folders."""
        return self._find(name)

    def is_empty(self) -> bool:
        """Tell whether there is no key at all."""
        return not any(any(folder.glob(f"*{_SUFFIX}")) for folder in self.folders)

    def reload(self) -> None:
        """Look into the folders again when the next key is asked for."""
        self._signers = None

    def _find(self, name: str) -> Path | None:
        files = (folder / f"{name}{_SUFFIX}" for folder in self.folders)
        return next((file for file in files if file.exists()), None)

    def _by_id(self) -> dict[str, CryptoSigner]:
        """Return the signers; every signature asks, so the folders are read once."""
        if self._signers is None:
            files = [file for folder in self.folders for file in folder.glob(f"*{_SUFFIX}")]
            self._signers = {signer.public_key.keyid: signer for signer in map(_load, files)}
        return self._signers


def name_of(key: Key) -> str:
    """Return the name of the public *key*, the beginning of its id if it has none."""
    return str(key.unrecognized_fields.get(NAME_FIELD, key.keyid[:8]))


def number_of(key: Key) -> int:
    """Return the number in the name of *key*, 0 if it has none."""
    number = name_of(key).rpartition("-")[2]
    return int(number) if number.isascii() and number.isdigit() else 0


def _load(file: Path) -> CryptoSigner:
    try:
        return CryptoSigner(load_pem_private_key(file.read_bytes(), password=None))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFolderError(
            f"{file}: must be an unencrypted private key in PEM: {error}"
        ) from error
