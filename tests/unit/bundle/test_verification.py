"""No bundle counts as verified unless every part of it is as it was signed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taktgate.bundle.compatibility import DeviceFacts
from taktgate.bundle.errors import (
    ArchiveError,
    BundleError,
    DigestMismatchError,
    IncompatibleError,
    ManifestError,
    SignatureError,
)
from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.bundle.verification import verify_content, verify_directory

MEMBERS = ("manifest.json", "manifest.sig", "model.onnx", "golden/ok.png", "golden/pore.png")


def test_a_good_bundle_is_verified(
    directory: Path, keys: TrustedKeys, device: DeviceFacts, manifest: Manifest
) -> None:
    bundle = verify_directory(directory, keys, device)
    assert bundle.manifest == manifest
    assert bundle.digest == digest_of((directory / "manifest.json").read_bytes())
    assert bundle.model_path == directory / "model.onnx"


@given(name=st.sampled_from(MEMBERS), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_one_changed_byte_of_any_member_is_refused(
    directory: Path, keys: TrustedKeys, device: DeviceFacts, name: str, data: st.DataObject
) -> None:
    path = directory / name
    good = path.read_bytes()
    changed = bytearray(good)
    changed[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(changed)
    try:
        with pytest.raises((SignatureError, DigestMismatchError)):
            verify_directory(directory, keys, device)
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_missing_member_is_refused(
    directory: Path, keys: TrustedKeys, device: DeviceFacts, name: str
) -> None:
    (directory / name).unlink()
    with pytest.raises(ArchiveError, match=name):
        verify_directory(directory, keys, device)


@pytest.mark.parametrize("name", ["golden/more.png", "model.onnx.data", "golden/x.sh"])
def test_a_file_too_many_is_refused(
    directory: Path, keys: TrustedKeys, device: DeviceFacts, name: str
) -> None:
    (directory / name).write_bytes(b"x")
    with pytest.raises(ArchiveError):
        verify_directory(directory, keys, device)


def test_a_folder_too_many_is_refused(
    directory: Path, keys: TrustedKeys, device: DeviceFacts
) -> None:
    (directory / "more").mkdir()
    with pytest.raises(ArchiveError, match="more"):
        verify_directory(directory, keys, device)


@pytest.mark.parametrize("name", [*MEMBERS, "golden"])
def test_a_link_to_the_right_bytes_is_refused(
    directory: Path, keys: TrustedKeys, device: DeviceFacts, name: str, tmp_path: Path
) -> None:
    target = tmp_path / "moved"
    (directory / name).rename(target)
    (directory / name).symlink_to(target)
    with pytest.raises(ArchiveError, match="plain file"):
        verify_directory(directory, keys, device)


def test_a_shorter_model_is_refused(
    directory: Path, keys: TrustedKeys, device: DeviceFacts
) -> None:
    model = directory / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(DigestMismatchError, match="bytes") as caught:
        verify_directory(directory, keys, device)
    assert caught.value.reason == "DIGEST"


def test_a_bundle_of_an_unknown_key_is_refused_before_it_is_read(
    directory: Path, keys: TrustedKeys, device: DeviceFacts
) -> None:
    (directory / "manifest.json").write_bytes(b"not even JSON")
    (directory / "manifest.sig").write_bytes(SigningKey.generate().sign(b"not even JSON"))
    with pytest.raises(SignatureError):
        verify_directory(directory, keys, device)


def test_a_signed_manifest_still_has_to_keep_the_rules(
    directory: Path, key: SigningKey, keys: TrustedKeys, device: DeviceFacts
) -> None:
    (directory / "manifest.json").write_bytes(b"{}")
    (directory / "manifest.sig").write_bytes(key.sign(b"{}"))
    with pytest.raises(ManifestError):
        verify_directory(directory, keys, device)


def test_a_signed_bundle_for_another_device_is_refused(
    signed_directory: Callable[[dict[str, Any]], Path],
    document: dict[str, Any],
    keys: TrustedKeys,
    device: DeviceFacts,
) -> None:
    directory = signed_directory(document | {"device_class": "jetson-orin-nx-8gb-jp60"})
    with pytest.raises(IncompatibleError, match="device_class") as caught:
        verify_directory(directory, keys, device)
    assert caught.value.reason == "INCOMPATIBLE"


def test_a_manifest_over_its_limit_is_refused_unread(
    directory: Path, keys: TrustedKeys, device: DeviceFacts
) -> None:
    (directory / "manifest.json").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(ArchiveError, match="at most"):
        verify_directory(directory, keys, device)


def test_a_missing_directory_is_refused(
    tmp_path: Path, keys: TrustedKeys, device: DeviceFacts
) -> None:
    with pytest.raises(BundleError, match="cannot be listed"):
        verify_directory(tmp_path / "absent", keys, device)


def test_verifying_loads_no_numpy_no_images_and_no_runtime() -> None:
    code = (
        "import sys, taktgate.bundle.verification;"
        "print(sorted({'numpy', 'PIL', 'onnxruntime', 'torch'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_model_that_is_swapped_after_the_look_is_never_returned(
    directory: Path, keys: TrustedKeys, device: DeviceFacts
) -> None:
    bundle = verify_directory(directory, keys, device)
    model = bundle.read_model()
    (directory / "model.onnx").write_bytes(bytes(len(model)))
    with pytest.raises(DigestMismatchError, match="digest"):
        bundle.read_model()


def test_a_model_that_becomes_a_link_after_the_look_is_never_followed(
    directory: Path, keys: TrustedKeys, device: DeviceFacts, tmp_path: Path
) -> None:
    bundle = verify_directory(directory, keys, device)
    (directory / "model.onnx").rename(tmp_path / "moved")
    (directory / "model.onnx").symlink_to(tmp_path / "moved")
    with pytest.raises(ArchiveError):
        bundle.read_model()


def test_a_second_name_of_the_model_gives_no_way_in(
    directory: Path, keys: TrustedKeys, device: DeviceFacts, tmp_path: Path
) -> None:
    (tmp_path / "second").hardlink_to(directory / "model.onnx")
    bundle = verify_directory(directory, keys, device)
    with (tmp_path / "second").open("r+b") as file:
        file.write(b"evil")
    with pytest.raises(DigestMismatchError):
        bundle.read_model()


@pytest.mark.parametrize("below", ["", "golden"])
def test_a_folder_with_more_files_than_a_bundle_can_have_is_not_listed_to_its_end(
    directory: Path, keys: TrustedKeys, device: DeviceFacts, below: str
) -> None:
    for number in range(1100):
        (directory / below / f"n{number}").touch()
    with pytest.raises(ArchiveError, match="at most 1026 files"):
        verify_directory(directory, keys, device)


def test_content_is_verified_for_whatever_device(
    signed_directory: Callable[[dict[str, Any]], Path],
    document: dict[str, Any],
    keys: TrustedKeys,
    device: DeviceFacts,
) -> None:
    directory = signed_directory(document | {"device_class": "another"})
    assert verify_content(directory, keys).manifest.device_class == "another"
    with pytest.raises(IncompatibleError):
        verify_directory(directory, keys, device)
