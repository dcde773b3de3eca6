"""The world's certificate authority is kept as long as it is fit for use."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from taktgate.standin.azure.certificates import create_authority, open_authority


def test_kept_authority_is_opened_again(tmp_path: Path) -> None:
    first = open_authority(tmp_path)
    second = open_authority(tmp_path)
    assert second.trust_bundle == first.trust_bundle
    second.server_context("hub", ["127.0.0.1"])
    served = x509.load_pem_x509_certificate((tmp_path / "hub.pem").read_bytes())
    served.verify_directly_issued_by(first.certificate)


@pytest.mark.parametrize("name", ["ca-key.pem", "hub.pem"])
def test_private_keys_are_for_their_owner_only(tmp_path: Path, name: str) -> None:
    open_authority(tmp_path).server_context("hub", ["127.0.0.1"])
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_key_of_another_authority_makes_a_new_one(tmp_path: Path) -> None:
    first = create_authority(tmp_path / "a")
    create_authority(tmp_path / "b")
    (tmp_path / "b/ca-key.pem").replace(tmp_path / "a/ca-key.pem")
    assert open_authority(tmp_path / "a").trust_bundle != first.trust_bundle


@pytest.mark.parametrize("name", ["ca.pem", "ca-key.pem"])
@pytest.mark.parametrize("content", [b"", b"no certificate", None])
def test_spoilt_or_missing_half_makes_a_new_one(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    first = open_authority(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    assert open_authority(tmp_path).trust_bundle != first.trust_bundle


def test_authority_that_ends_soon_makes_a_new_one(tmp_path: Path) -> None:
    first = create_authority(tmp_path, lifetime=timedelta(days=6))
    second = open_authority(tmp_path)
    assert second.trust_bundle != first.trust_bundle
    assert second.certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)
