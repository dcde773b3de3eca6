"""Detached Ed25519 signatures over the exact bytes of a manifest.

`manifest.sig` is a small JSON document: schema, key id, signature in base64. A signature has no
expiry: a station must be able to boot years later, with the cloud absent. Revocation is the
registry's business.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taktgate.bundle.errors import KeyFileError, SignatureError

SIGNATURE_LIMIT_BYTES = 4096
KEY_FILE_LIMIT_BYTES = 16_384
PUBLIC_KEY_SUFFIX = ".pub.pem"


class _Signature(BaseModel):
    """The content of `manifest.sig`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal["1"] = Field(alias="schema")
    key_id: Annotated[str, Field(pattern=r"^ed25519:[0-9a-f]{64}$")]
    signature: Annotated[str, Field(max_length=128)]


class SigningKey:
    """A private key that signs manifests."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the key in the unencrypted PEM file *path*.

        Raises:
            KeyFileError: The file cannot be read or holds no Ed25519 private key.
        """
        try:
            key = load_pem_private_key(_read_key_file(path), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyFileError(
                f"{path}: must be an unencrypted private key in PEM: {error}"
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path}: must be an Ed25519 private key, got {type(key).__name__}")
        return cls(key)

    @classmethod
    def generate(cls) -> Self:
        """Return a new key."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def key_id(self) -> str:
        """Return "ed25519:" and the SHA-256 of the public key in hex."""
        return key_id_of(self._key.public_key())

    def sign(self, manifest: bytes) -> bytes:
        """Return the content of `manifest.sig` for the manifest bytes *manifest*."""
        signature = base64.b64encode(self._key.sign(manifest)).decode("ascii")
        document = _Signature(schema="1", key_id=self.key_id, signature=signature)
        return (document.model_dump_json(by_alias=True) + "\n").encode("ascii")

    def private_pem(self) -> bytes:
        """Return the private key as unencrypted PEM."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def public_pem(self) -> bytes:
        """Return the public key as PEM."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class TrustedKeys:
    """The public keys whose signatures this device accepts."""

    def __init__(self, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self._keys = dict(keys)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the keys in the PEM file *path*, or in all `*.pub.pem` of the directory *path*.

        Raises:
            KeyFileError: A file cannot be read or holds no Ed25519 public key, or there is none.
        """
        files = sorted(path.glob(f"*{PUBLIC_KEY_SUFFIX}")) if path.is_dir() else [path]
        if not files:
            raise KeyFileError(f"{path}: must hold at least one *{PUBLIC_KEY_SUFFIX}")
        keys = [_load_public_key(file) for file in files]
        return cls({key_id_of(key): key for key in keys})

    def verify(self, manifest: bytes, signature: bytes) -> None:
        """Accept *manifest* if *signature*, the content of `manifest.sig`, is good and trusted.

        Raises:
            SignatureError: The signature is malformed, by an unknown key, or does not match.
        """
        if len(signature) > SIGNATURE_LIMIT_BYTES:
            raise SignatureError(f"manifest.sig: must be at most {SIGNATURE_LIMIT_BYTES} bytes")
        try:
            document = _Signature.model_validate_json(signature)
            raw = base64.b64decode(document.signature, validate=True)
        except (ValidationError, binascii.Error, ValueError) as error:
            raise SignatureError(
                f"manifest.sig: must hold schema, key_id and signature: {error}"
            ) from error
        key = self._keys.get(document.key_id)
        if key is None:
            raise SignatureError(
                f"manifest.sig: key {document.key_id} is not trusted by this device"
            )
        try:
            key.verify(raw, manifest)
        except InvalidSignature as error:
            raise SignatureError("manifest.sig: does not match manifest.json") from error


def signer_of(signature: bytes) -> str:
    """Return the key id that *signature*, the content of `manifest.sig`, names: a claim only.

    Raises:
        SignatureError: It is malformed.
    """
    if len(signature) > SIGNATURE_LIMIT_BYTES:
        raise SignatureError(f"manifest.sig: must be at most {SIGNATURE_LIMIT_BYTES} bytes")
    try:
        return _Signature.model_validate_json(signature).key_id
    except ValidationError as error:
        raise SignatureError("manifest.sig: must hold schema, key_id and signature") from error


def key_id_of(key: Ed25519PublicKey) -> str:
    """Return "ed25519:" and the SHA-256 of the raw public key in hex."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"ed25519:{hashlib.sha256(raw).hexdigest()}"


def _load_public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(_read_key_file(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path}: must be a public key in PEM: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path}: must be an Ed25519 public key, got {type(key).__name__}")
    return key


def _read_key_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(KEY_FILE_LIMIT_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > KEY_FILE_LIMIT_BYTES:
        raise KeyFileError(f"{path}: must be at most {KEY_FILE_LIMIT_BYTES} bytes")
    return data
