"""Sample bundles, damaged, mixed and cut off: never half a bundle, never another one's model."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from taktgate.bundle.archive import unpack
from taktgate.bundle.compatibility import DeviceFacts
from taktgate.bundle.errors import BundleError, DigestMismatchError, SignatureError
from taktgate.bundle.manifest import Manifest
from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.bundle.verification import verify_directory

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "src/taktgate/standin/samples"
BUNDLES = sorted(SAMPLES.glob("*/*.bundle"))
WELD = SAMPLES / "weld-seam"
DEVICE = DeviceFacts(
    device_class="cpu", machine="x86_64", opset_max=20, ir_max=9, runtime_version="1.17.3"
)


class PowerCutError(BaseException):
    """The power went; nothing after it happens."""


class Disk:
    """A disk whose power goes before, within or after the write number *dies_at*."""

    def __init__(self, dies_at: int, torn: bool) -> None:
        self._left, self._torn = dies_at, torn

    def write(self, path: Path, chunks: Iterable[bytes]) -> None:
        data = b"".join(chunks)
        if self._left == 0:
            if self._torn:
                path.write_bytes(data[: len(data) // 2])
            raise PowerCutError
        path.write_bytes(data)
        self._left -= 1


@pytest.fixture(scope="module")
def keys() -> TrustedKeys:
    return TrustedKeys.load(ROOT / "config/trusted_keys")


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    """Return weld-seam 1.0.0 unpacked, free to be damaged."""
    unpack(WELD / "weld-seam-1.0.0.bundle", tmp_path / "slot")
    return tmp_path / "slot"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Return the over-rejecting bundle unpacked: as well signed as the good one."""
    unpack(WELD / "weld-seam-1.2.0-overreject.bundle", tmp_path / "other")
    return tmp_path / "other"


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.stem)
def test_every_sample_verifies_under_the_development_key(
    bundle: Path, keys: TrustedKeys, tmp_path: Path
) -> None:
    unpack(bundle, tmp_path / "slot")
    verified = verify_directory(tmp_path / "slot", keys, DEVICE)
    assert bundle.stem == f"{verified.manifest.name}-{verified.manifest.version}"
    assert bundle.parent.name == verified.manifest.name


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.stem)
def test_no_sample_verifies_where_the_development_key_is_not_trusted(
    bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "plant.pub.pem").write_bytes(SigningKey.generate().public_pem())
    unpack(bundle, tmp_path / "slot")
    with pytest.raises(SignatureError, match="not trusted"):
        verify_directory(tmp_path / "slot", TrustedKeys.load(tmp_path), DEVICE)


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("dies_at", range(13))
def test_a_power_cut_while_unpacking_leaves_nothing_that_verifies(
    keys: TrustedKeys, tmp_path: Path, dies_at: int, torn: bool
) -> None:
    slot = tmp_path / "slot"
    with pytest.raises(PowerCutError):
        unpack(WELD / "weld-seam-1.0.0.bundle", slot, write=Disk(dies_at, torn).write)
    with pytest.raises(BundleError):
        verify_directory(slot, keys, DEVICE)


def test_unpacking_again_over_a_torn_try_gives_the_bundle(
    keys: TrustedKeys, tmp_path: Path
) -> None:
    slot = tmp_path / "slot"
    with pytest.raises(PowerCutError):
        unpack(WELD / "weld-seam-1.0.0.bundle", slot, write=Disk(4, torn=True).write)
    unpack(WELD / "weld-seam-1.0.0.bundle", slot)
    assert verify_directory(slot, keys, DEVICE).manifest.version == "1.0.0"


@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("place", [0.01, 0.3, 0.6, 0.99])
def test_one_flipped_bit_of_the_weights_is_found(
    keys: TrustedKeys, slot: Path, place: float, bit: int
) -> None:
    weights = bytearray((slot / "model.onnx").read_bytes())
    weights[int(place * len(weights))] ^= 1 << bit
    (slot / "model.onnx").write_bytes(weights)
    with pytest.raises(DigestMismatchError, match=r"model\.onnx"):
        verify_directory(slot, keys, DEVICE)


def test_the_model_of_another_signed_bundle_is_refused(
    keys: TrustedKeys, slot: Path, other: Path
) -> None:
    (other / "model.onnx").replace(slot / "model.onnx")
    with pytest.raises(DigestMismatchError, match=r"model\.onnx"):
        verify_directory(slot, keys, DEVICE)


def test_the_manifest_of_another_signed_bundle_is_refused(
    keys: TrustedKeys, slot: Path, other: Path
) -> None:
    for name in ("manifest.json", "manifest.sig"):
        (other / name).replace(slot / name)
    with pytest.raises(BundleError):
        verify_directory(slot, keys, DEVICE)


def test_the_signature_of_another_signed_bundle_is_refused(
    keys: TrustedKeys, slot: Path, other: Path
) -> None:
    (other / "manifest.sig").replace(slot / "manifest.sig")
    with pytest.raises(SignatureError, match="does not match"):
        verify_directory(slot, keys, DEVICE)


def test_a_lowered_threshold_is_refused(keys: TrustedKeys, slot: Path) -> None:
    manifest = slot / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    assert '"threshold": 0.5' in text
    manifest.write_text(text.replace('"threshold": 0.5', '"threshold": 0.9'), encoding="utf-8")
    with pytest.raises(SignatureError, match="does not match"):
        verify_directory(slot, keys, DEVICE)


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.stem)
def test_no_sample_tells_of_the_machine_that_made_it(bundle: Path) -> None:
    content = bundle.read_bytes()
    for trace in (b"/tmp/", b"/home/", str(ROOT).encode(), b"site-packages"):
        assert trace not in content


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.stem)
def test_every_sample_is_written_as_it_was_read(bundle: Path, tmp_path: Path) -> None:
    unpack(bundle, tmp_path / "slot")
    data = (tmp_path / "slot/manifest.json").read_bytes()
    assert Manifest.parse(data).to_bytes() == data
