"""Golden images are the ones that were signed, or there are none."""

import importlib.util
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taktgate.bundle.compatibility import DeviceFacts
from taktgate.bundle.errors import DigestMismatchError, GoldenUnavailableError
from taktgate.bundle.golden import load_golden
from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.verification import VerifiedBundle, verify_directory

HAS_ELPV = importlib.util.find_spec("elpv_dataset") is not None
CELL = "images/cell0004.png"


@pytest.fixture
def bundle(directory: Path, keys: TrustedKeys, device: DeviceFacts) -> VerifiedBundle:
    return verify_directory(directory, keys, device)


def elpv(bundle: VerifiedBundle, document: dict[str, Any], sha256: str) -> VerifiedBundle:
    """Return *bundle* with one golden image in the installed package."""
    item = document["golden"]["items"][0] | {"id": CELL, "sha256": sha256}
    document["golden"] = {"source": "elpv-dataset", "items": [item]}
    document["files"] = document["files"][:1]
    return replace(bundle, manifest=Manifest.parse(json.dumps(document).encode()))


def png_of_black(side: int) -> bytes:
    """Return a PNG that says it is *side* x *side* RGB pixels, and has none of them."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def test_golden_images_come_with_their_scores(bundle: VerifiedBundle) -> None:
    ok, pore = load_golden(bundle)
    assert (ok.id, ok.label, ok.score, ok.tolerance) == ("golden/ok.png", "ok", 0.1, 0.02)
    assert pore.label == "defective"
    assert ok.pixels.shape == (4, 6)
    assert ok.pixels.dtype == "uint8"
    assert (int(ok.pixels.max()), int(pore.pixels.min())) == (10, 200)


def test_a_golden_image_swapped_after_verification_is_refused(bundle: VerifiedBundle) -> None:
    (bundle.directory / "golden/ok.png").write_bytes(
        (bundle.directory / "golden/pore.png").read_bytes()
    )
    with pytest.raises(DigestMismatchError, match=r"golden/ok\.png"):
        load_golden(bundle)


def test_a_golden_image_that_vanished_makes_the_set_unavailable(bundle: VerifiedBundle) -> None:
    (bundle.directory / "golden/ok.png").unlink()
    with pytest.raises(GoldenUnavailableError, match=r"golden/ok\.png") as caught:
        load_golden(bundle)
    assert caught.value.reason == "GOLDEN"


def test_signed_bytes_that_are_no_png_make_the_set_unavailable(
    signed_directory: Callable[[dict[str, Any]], Path],
    document: dict[str, Any],
    keys: TrustedKeys,
    device: DeviceFacts,
) -> None:
    for entry in (document["golden"]["items"][0], document["files"][1]):
        entry["sha256"] = digest_of(b"no PNG")
    document["files"][1]["size_bytes"] = len(b"no PNG")
    directory = signed_directory(document)
    (directory / "golden/ok.png").write_bytes(b"no PNG")
    with pytest.raises(GoldenUnavailableError, match="no PNG"):
        load_golden(verify_directory(directory, keys, device))


@pytest.mark.skipif(not HAS_ELPV, reason="elpv-dataset is not installed")
def test_an_image_of_the_installed_package_is_found_and_checked(
    bundle: VerifiedBundle, document: dict[str, Any]
) -> None:
    spec = importlib.util.find_spec("elpv_dataset")
    assert spec is not None
    assert spec.origin is not None
    data = (Path(spec.origin).parent / "data" / CELL).read_bytes()
    (image,) = load_golden(elpv(bundle, document, digest_of(data)))
    assert image.pixels.shape == (300, 300)


@pytest.mark.skipif(not HAS_ELPV, reason="elpv-dataset is not installed")
def test_another_image_in_the_installed_package_is_refused(
    bundle: VerifiedBundle, document: dict[str, Any]
) -> None:
    with pytest.raises(DigestMismatchError, match=CELL):
        load_golden(elpv(bundle, document, "sha256:" + "0" * 64))


def test_without_the_package_its_golden_images_are_unavailable(
    bundle: VerifiedBundle, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(GoldenUnavailableError, match="elpv-dataset"):
        load_golden(elpv(bundle, document, "sha256:" + "0" * 64))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [12_000, 20_000], ids=["our limit", "the decoder's"])
def test_a_small_file_of_very_many_pixels_is_refused_before_it_is_decoded(
    bundle: VerifiedBundle, side: int
) -> None:
    data = png_of_black(side)
    (bundle.directory / "golden/ok.png").write_bytes(data)
    item = bundle.manifest.golden.items[0].model_copy(update={"sha256": digest_of(data)})
    golden = bundle.manifest.golden.model_copy(update={"items": (item,)})
    many = replace(bundle, manifest=bundle.manifest.model_copy(update={"golden": golden}))
    with pytest.raises(GoldenUnavailableError, match="pixels"):
        load_golden(many)
