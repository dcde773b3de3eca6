"""A small bundle to break: the real layout around a model that is no model."""

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from taktgate.bundle.archive import pack, unpack
from taktgate.bundle.compatibility import DeviceFacts
from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.signing import SigningKey, TrustedKeys

Document = dict[str, Any]


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 6), value, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


FILES = {
    "model.onnx": b"no model, but bytes" * 20,
    "golden/ok.png": png(10),
    "golden/pore.png": png(200),
}


def interval(value: float) -> Document:
    return {"value": value, "low": max(0.0, value - 0.01), "high": min(1.0, value + 0.01)}


DOCUMENT: Document = {
    "schema": "1",
    "name": "weld-seam",
    "version": "1.0.0",
    "licence": "MIT",
    "source_digest": digest_of(FILES["model.onnx"]),
    "device_class": "cpu",
    "toolchain": {"exporter": "torch.onnx", "torch": "2.13.0", "onnx": "1.23.2"},
    "opset": 18,
    "ir_version": 8,
    "input": {"name": "image", "dtype": "uint8", "shape": [1, 3, 512, 512]},
    "preprocessing": {
        "width": 512,
        "height": 512,
        "resample": "bilinear",
        "channels": "grey_to_rgb",
        "scale": "in_graph",
    },
    "outputs": {"score": "scores", "class_scores": "class_scores"},
    "threshold": 0.5,
    "classes": [{"name": "pore", "threshold": 0.5}, {"name": "gap", "threshold": 0.5}],
    "uncertain_band": {"low": 0.45, "high": 0.55},
    "golden": {
        "source": "bundle",
        "items": [
            {
                "id": name,
                "sha256": digest_of(FILES[name]),
                "label": label,
                "score": score,
                "tolerance": 0.02,
            }
            for name, label, score in (
                ("golden/ok.png", "ok", 0.1),
                ("golden/pore.png", "defective", 0.9),
            )
        ],
    },
    "golden_claims": {
        "dataset": "weld-seam",
        "dataset_licence": "MIT",
        "split_method": "by stream",
        "interval_method": "Wilson score, 95 %",
        "n_ok": 500,
        "n_defective": 100,
        "recall": interval(0.98),
        "false_reject_rate": interval(0.01),
        "precision": interval(0.95),
    },
    "latency_claims": {"p50_ms": 3.0, "p95_ms": 4.0, "p99_ms": 5.0, "n": 500, "machine": "test"},
    "hil_report_digest": None,
    "files": [
        {"path": path, "size_bytes": len(data), "sha256": digest_of(data)}
        for path, data in FILES.items()
    ],
}


@pytest.fixture(scope="session")
def files() -> dict[str, bytes]:
    return dict(FILES)


@pytest.fixture
def document() -> Document:
    """Return a manifest's JSON, free to be changed."""
    return copy.deepcopy(DOCUMENT)


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    return Manifest.model_validate_json(Manifest.model_validate(DOCUMENT, strict=False).to_bytes())


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="session")
def keys(key: SigningKey, tmp_path_factory: pytest.TempPathFactory) -> TrustedKeys:
    file = tmp_path_factory.mktemp("keys") / "test.pub.pem"
    file.write_bytes(key.public_pem())
    return TrustedKeys.load(file)


@pytest.fixture(scope="session")
def device() -> DeviceFacts:
    return DeviceFacts(
        device_class="cpu", machine="x86_64", opset_max=20, ir_max=9, runtime_version="1.17.3"
    )


@pytest.fixture(scope="session")
def archive(manifest: Manifest, key: SigningKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a good bundle, not to be changed."""
    path = tmp_path_factory.mktemp("good") / "weld-seam-1.0.0.bundle"
    pack(manifest=manifest, files=FILES, key=key, to=path)
    return path


@pytest.fixture
def directory(archive: Path, tmp_path: Path) -> Path:
    """Return a good bundle unpacked, free to be changed."""
    unpack(archive, tmp_path / "slot")
    return tmp_path / "slot"


@pytest.fixture
def signed_directory(key: SigningKey, directory: Path) -> Callable[[Document], Path]:
    """Return a maker of unpacked bundles whose manifest says something else, yet is signed."""

    def sign(changed: Document) -> Path:
        data = Manifest.model_validate(changed, strict=False).to_bytes()
        (directory / "manifest.json").write_bytes(data)
        (directory / "manifest.sig").write_bytes(key.sign(data))
        return directory

    return sign
