"""A private key's file: PKCS #8 in PEM, encrypted where there is a passphrase for it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from taktgate.registry.errors import KeyFolderError, PassphraseError

SUFFIX: Final = ".key.pem"
_ENCRYPTED: Final = b"ENCRYPTED"
"""In the first line of PKCS #8, in a header of OpenSSL's older format."""
_PASSPHRASE_LIMIT_BYTES: Final = 1023
"""As OpenSSL has it."""


def new_key(passphrase: bytes | None) -> bytes:
    """Return a new Ed25519 key as PEM, encrypted by *passphrase*; None leaves it open."""
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def signer_in(file: Path, passphrases: Sequence[bytes]) -> CryptoSigner:
    """Return what signs with the key in *file*, which one of *passphrases* opens if it must be.

    Raises:
        PassphraseError: it is encrypted, and none of them opens it.
        KeyFolderError: it holds no private key.
        OSError: it cannot be read.
    """
    content = file.read_bytes()
    if _ENCRYPTED not in content:
        return _opened(file, content, None)
    for passphrase in passphrases:
        try:
            return _opened(file, content, passphrase)
        except KeyFolderError:
            continue
    if not passphrases:
        raise PassphraseError(f"{file}: is encrypted; --passphrase-file must open it")
    raise PassphraseError(
        f"{file}: is encrypted, and must open by --passphrase-file: {len(passphrases)} tried"
    )


def passphrase_in(file: Path) -> bytes:
    """Return the passphrase in *file*, its first line, as OpenSSL reads it.

    Raises:
        PassphraseError: there is none.
        OSError: the file cannot be read.
    """
    with file.open("rb") as lines:
        passphrase = lines.readline(_PASSPHRASE_LIMIT_BYTES + 3).rstrip(b"\r\n")
    if not 1 <= len(passphrase) <= _PASSPHRASE_LIMIT_BYTES:
        raise PassphraseError(
            f"{file}: its first line must be a passphrase of 1 to {_PASSPHRASE_LIMIT_BYTES} bytes"
        )
    return passphrase


def _opened(file: Path, content: bytes, passphrase: bytes | None) -> CryptoSigner:
    try:
        return CryptoSigner(load_pem_private_key(content, password=passphrase))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFolderError(f"{file}: must be a private key in PEM: {error}") from error
