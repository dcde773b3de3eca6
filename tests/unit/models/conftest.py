"""A trained model of a few hundred bytes, its images and its description; a key that signs."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from tests.integration.tiny_bundles import SIZE, Tiny, write_bundle

from taktgate.bundle import layout
from taktgate.bundle.archive import unpack
from taktgate.bundle.signing import SigningKey
from taktgate.cli import main

ROOT = Path(__file__).parents[3]
MATRIX = ROOT / "config/device_compatibility_matrix.yaml"

DESCRIPTION: dict[str, Any] = {
    "name": "tiny",
    "version": "2.0.0",
    "licence": "MIT",
    "device_class": "cpu",
    "toolchain": {"torch": "none", "onnx": "none"},
    "preprocessing": {"resample": "none", "channels": "grey_to_rgb", "scale": "in_graph"},
    "threshold": 0.5,
    "uncertain_band": {"low": 0.45, "high": 0.55},
    "classes": [{"name": "bright", "threshold": 0.5}, {"name": "glare", "threshold": 0.5}],
    "test_images": {"dataset": "grey", "licence": "MIT", "split_method": "by brightness"},
    "origin": {
        "training_data": {"id": "grey 1", "digest": None},
        "commit": "0123abc",
        "parent": "1.0.0",
        "approver": "A. Engineer",
    },
}


def png(grey: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.full((SIZE, SIZE), grey, np.uint8)).save(data, "PNG")
    return data.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What an ML engineer has at hand."""

    folder: Path
    key: SigningKey

    @property
    def model(self) -> Path:
        return self.folder / "model.onnx"

    def describe(self, **changes: Any) -> None:
        (self.folder / "model.yaml").write_text(yaml.safe_dump(DESCRIPTION | changes))

    def pack(self, *more: str) -> int:
        given = {"--description": "model.yaml", "--golden": "gold", "--test": "test"}
        files = [word for name, at in given.items() for word in (name, str(self.folder / at))]
        options = [*files, "--key", str(self.folder / "key.pem"), "--out", str(self.folder)]
        options += ["--matrix", str(MATRIX)]
        return main(["model", "pack", str(self.model), *options, "--runs", "3", *more])

    def run(self, command: str, *words: str | Path) -> int:
        trust = ["--trusted-keys", str(self.folder / "key.pub.pem")]
        more = [*trust, "--matrix", str(MATRIX)] if command != "inspect" else trust
        return main(["model", command, *map(str, words), *([] if command == "diff" else more)])

    def bundle(self, tiny: Tiny) -> Path:
        return write_bundle(self.folder, tiny, self.key)

    def image(self, place: str, grey: int) -> Path:
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(grey))
        return path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    key = SigningKey.generate()
    (tmp_path / "key.pem").write_bytes(key.private_pem())
    (tmp_path / "key.pub.pem").write_bytes(key.public_pem())
    its = Desk(folder=tmp_path, key=key)
    unpack(its.bundle(Tiny()), tmp_path / "trained")
    (tmp_path / "trained" / layout.MODEL).rename(its.model)
    for grey in (0, 40, 80):
        its.image(f"gold/ok/{grey}.png", grey)
        its.image(f"gold/defective/{255 - grey}.png", 255 - grey)
    for grey in range(1, 120, 12):
        its.image(f"test/ok/{grey}.png", grey)
        its.image(f"test/defective/{255 - grey}.png", 255 - grey)
    its.image("test/ok/bright.png", 200)  # one that the model gets wrong
    its.describe()
    return its


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[str, str]]:
    """Return what was printed on stdout and stderr since the last look."""

    def look() -> tuple[str, str]:
        printed = capsys.readouterr()
        return printed.out, printed.err

    return look
