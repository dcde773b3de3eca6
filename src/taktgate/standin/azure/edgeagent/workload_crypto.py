"""What the workload API does with a module's secrets.

Azure/iotedge edgelet/edgelet-http-workload/src/module/data and module/cert.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from taktgate.standin.azure.certificates import IssuedCertificate
from taktgate.standin.azure.edgeagent.errors import InvalidInputError

NONCE_BYTES = 12


class CertificateIssuer(Protocol):
    """The device's edge CA."""

    def issue(
        self, common_name: str, names: Sequence[str], *, is_server: bool
    ) -> IssuedCertificate:
        """Return a new key with its certificate for *names* (DNS, IP address or URI)."""


class ModuleSecrets:
    """Signs and encrypts for one module; the same key gives the same answers after a restart."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        # aziot-edged has a key of the device; one of the module keeps modules apart as well.
        self._cipher = AESGCM(hmac.digest(key, b"encryption", "sha256"))

    def sign(self, data: str) -> str:
        """Return the HMAC-SHA256 of base64 *data*, as base64. Raises InvalidInputError."""
        return _text(hmac.digest(self._key, _bytes("data", data), "sha256"))

    def encrypt(self, plaintext: str, vector: str, owner: str) -> str:
        """Return base64 *plaintext* encrypted for *owner*, as base64. Raises InvalidInputError."""
        nonce = _nonce(_bytes("initializationVector", vector))
        content = _bytes("plaintext", plaintext)
        return _text(self._cipher.encrypt(nonce, content, owner.encode()))

    def decrypt(self, ciphertext: str, vector: str, owner: str) -> str:
        """Return what `encrypt` was given. Raises InvalidInputError if it was not the same."""
        nonce = _nonce(_bytes("initializationVector", vector))
        content = _bytes("ciphertext", ciphertext)
        try:
            return _text(self._cipher.decrypt(nonce, content, owner.encode()))
        except (InvalidTag, ValueError):
            rule = "encrypted by this module with this vector"
            raise InvalidInputError(f"ciphertext; rule: {rule}") from None


def _nonce(vector: bytes) -> bytes:
    """Return a nonce of the cipher's length: modules choose vectors of any."""
    return hashlib.sha256(vector).digest()[:NONCE_BYTES]


def _bytes(field: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInputError(f"field {field} is not base64") from None


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
