"""The peers of scripts/bench inspect: what is measured is what is said, absences included."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))


def room(name: str) -> Any:
    return import_module(f"benches.inspect_bench.{name}")


def test_a_peer_that_cannot_be_installed_is_absent_by_name_and_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = room("peers.environment")
    monkeypatch.setattr(environment, "HOME", tmp_path / "file" / "below")
    (tmp_path / "file").touch()
    model = room("model").made(tmp_path, room("model").Made(work=0))
    with pytest.raises(room("peers").PeerAbsentError, match="cannot be installed"):
        room("peers").start("litserve", model)


def test_a_peer_that_does_not_come_up_is_absent_with_its_last_words(tmp_path: Path) -> None:
    model = room("model").made(tmp_path, room("model").Made(work=0))
    model.float_onnx().write_bytes(b"no model")
    with pytest.raises(room("peers").PeerAbsentError, match="does not come up"):
        room("peers").start("article", model)
