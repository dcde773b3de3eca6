"""Only a trusted key's signature over exactly these bytes counts."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from taktgate.bundle.errors import KeyFileError, SignatureError
from taktgate.bundle.signing import SigningKey, TrustedKeys

DATA = b'{"name": "weld-seam"}\n'


def test_what_a_trusted_key_signed_is_accepted(key: SigningKey, keys: TrustedKeys) -> None:
    keys.verify(DATA, key.sign(DATA))


@given(position=st.integers(0, len(DATA) - 1), flip=st.integers(1, 255))
def test_one_changed_byte_of_the_manifest_is_refused(
    key: SigningKey, keys: TrustedKeys, position: int, flip: int
) -> None:
    changed = bytearray(DATA)
    changed[position] ^= flip
    with pytest.raises(SignatureError, match="does not match"):
        keys.verify(bytes(changed), key.sign(DATA))


def test_an_unknown_key_is_refused_by_its_id(keys: TrustedKeys) -> None:
    stranger = SigningKey.generate()
    with pytest.raises(SignatureError, match=stranger.key_id) as caught:
        keys.verify(DATA, stranger.sign(DATA))
    assert caught.value.reason == "SIGNATURE"


def test_a_stranger_cannot_sign_under_a_trusted_id(key: SigningKey, keys: TrustedKeys) -> None:
    forged = json.loads(SigningKey.generate().sign(DATA)) | {"key_id": key.key_id}
    with pytest.raises(SignatureError, match="does not match"):
        keys.verify(DATA, json.dumps(forged).encode())


@given(signature=st.binary(max_size=300))
def test_any_other_bytes_are_no_signature(keys: TrustedKeys, signature: bytes) -> None:
    with pytest.raises(SignatureError):
        keys.verify(DATA, signature)


@pytest.mark.parametrize("signature", ["", "AAAA", "not base64!", "A" * 200])
def test_a_malformed_signature_is_refused(
    key: SigningKey, keys: TrustedKeys, signature: str
) -> None:
    document = {"schema": "1", "key_id": key.key_id, "signature": signature}
    with pytest.raises(SignatureError):
        keys.verify(DATA, json.dumps(document).encode())


def test_a_huge_signature_file_is_refused(keys: TrustedKeys) -> None:
    with pytest.raises(SignatureError, match="at most"):
        keys.verify(DATA, b" " * 5000)


def test_all_public_keys_of_a_directory_are_trusted(tmp_path: Path) -> None:
    pair = SigningKey.generate(), SigningKey.generate()
    for number, one in enumerate(pair):
        (tmp_path / f"{number}.pub.pem").write_bytes(one.public_pem())
    (tmp_path / "README.md").write_text("not a key")
    keys = TrustedKeys.load(tmp_path)
    for one in pair:
        keys.verify(DATA, one.sign(DATA))


def test_a_directory_without_keys_is_an_error_not_an_empty_trust(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"\.pub\.pem"):
        TrustedKeys.load(tmp_path)


def test_a_private_key_comes_back_from_its_file(key: SigningKey, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(b"Comment before the key\n" + key.private_pem())
    assert SigningKey.load(tmp_path / "key.pem").key_id == key.key_id


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "private.pem").write_bytes(
        other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "public.pem").write_bytes(
        other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(KeyFileError, match="Ed25519"):
        SigningKey.load(tmp_path / "private.pem")
    with pytest.raises(KeyFileError, match="Ed25519"):
        TrustedKeys.load(tmp_path / "public.pem")


@pytest.mark.parametrize("content", [b"", b"no key", b"x" * 20_000])
def test_a_broken_key_file_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.pem"
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match=r"broken\.pem"):
        SigningKey.load(path)
    with pytest.raises(KeyFileError, match=r"broken\.pem"):
        TrustedKeys.load(path)


def test_a_missing_key_file_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"absent\.pem"):
        SigningKey.load(tmp_path / "absent.pem")
