"""The private keys of a registry: one file each, in folders that never go to a server.

A public key carries its name in the metadata, so that a key whose file is lost can still be named.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from securesystemslib.signer import CryptoSigner, Key

from taktgate.edge.file_system import LOCAL, FileSystem
from taktgate.edge.files import publish
from taktgate.registry.errors import KeyMissingError, PassphraseError
from taktgate.registry.signed.disk import writing
from taktgate.registry.signed.key_files import SUFFIX, new_key, signer_in

NAME_FIELD: Final = "x-taktgate-name"
"""Of a public key in the metadata; TUF lets a key hold fields that a client does not know."""


class KeyRing:
    """The keys in one or more folders, by name: `root-1`, `timestamp-1`, `class.cpu-1` ...

    Numbers rise: a key that replaces another one has a number that no key of its role ever had.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        passphrases: Sequence[bytes] = (),
        files: FileSystem = LOCAL,
    ) -> None:
        """Look in all *folders*, make new keys in the first.

        Any of *passphrases* may open an encrypted key; new keys are encrypted by the first.
        """
        self.folders = tuple(folders)
        self._passphrases = tuple(passphrases)
        self._files = files
        self._locked: dict[str, PassphraseError] = {}
        self._signers: dict[str, CryptoSigner] | None = None

    def make(self, name: str) -> Key:
        """Return the public half of the key *name*, which is made if it is not there yet.

        It is there if a command was cut off after it had made it: no metadata names it.

        Raises:
            KeyFolderError: its file holds no private key.
            PassphraseError: its file is encrypted, and no passphrase at hand opens it.
            DiskError: the folder cannot be written.
        """
        file = self._find(name)
        if file is None:
            file = self.folders[0] / f"{name}{SUFFIX}"
            made = new_key(next(iter(self._passphrases), None))
            with writing(file):
                self.folders[0].mkdir(parents=True, exist_ok=True, mode=0o700)
                publish(file, made, mode=0o600, files=self._files)
        signer = signer_in(file, self._passphrases)
        self._by_id()[signer.public_key.keyid] = signer
        public = signer.public_key
        public.unrecognized_fields[NAME_FIELD] = name
        return public

    def signer(self, key: Key) -> CryptoSigner:
        """Return what signs for the public *key*.

        Raises:
            KeyMissingError: its private half is in none of the folders.
            PassphraseError: its file is encrypted, and no passphrase at hand opens it.
            KeyFolderError: a file that should hold a private key does not.
        """
        if not self.holds(key):
            folders = ", ".join(map(str, self.folders))
            raise KeyMissingError(f"{folders}: no private key {name_of(key)} ({key.keyid[:8]})")
        return self._by_id()[key.keyid]

    def holds(self, key: Key) -> bool:
        """Tell whether the private half of *key* is in one of the folders.

        Raises:
            PassphraseError: its file is encrypted, and no passphrase at hand opens it.
            KeyFolderError: a file that should hold a private key does not.
        """
        if key.keyid in self._by_id():
            return True
        if name_of(key) in self._locked:
            raise self._locked[name_of(key)]
        return False

    def lies_here(self, key: Key) -> bool:
        """Tell whether the file of *key* is in one of the folders, be it locked or not.

        Raises:
            KeyFolderError: a file that should hold a private key does not.
        """
        return key.keyid in self._by_id() or name_of(key) in self._locked

    def path_of(self, name: str) -> Path | None:
        """Return where the key *name* lies, None if it is in none of the folders."""
        return self._find(name)

    def is_empty(self) -> bool:
        """Tell whether there is no key at all."""
        return not any(any(folder.glob(f"*{SUFFIX}")) for folder in self.folders)

    def reload(self) -> None:
        """Look into the folders again when the next key is asked for."""
        self._signers = None

    def _find(self, name: str) -> Path | None:
        files = (folder / f"{name}{SUFFIX}" for folder in self.folders)
        return next((file for file in files if file.exists()), None)

    def _by_id(self) -> dict[str, CryptoSigner]:
        """Return the signers; every signature asks, so the folders are read once."""
        if self._signers is None:
            self._signers, self._locked = {}, {}
            for file in (file for folder in self.folders for file in folder.glob(f"*{SUFFIX}")):
                try:
                    signer = signer_in(file, self._passphrases)
                except PassphraseError as error:  # it matters to those who need this key
                    self._locked[file.name.removesuffix(SUFFIX)] = error
                else:
                    self._signers[signer.public_key.keyid] = signer
        return self._signers


def name_of(key: Key) -> str:
    """Return the name of the public *key*, the beginning of its id if it has none."""
    return str(key.unrecognized_fields.get(NAME_FIELD, key.keyid[:8]))


def number_of(key: Key) -> int:
    """Return the number in the name of *key*, 0 if it has none."""
    number = name_of(key).rpartition("-")[2]
    return int(number) if number.isascii() and number.isdigit() else 0
