"""A published file is old or new, never torn."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from taktgate.edge.files import publish, write_through


class PowerCutError(BaseException):
    """The machine lost power here."""


def test_publish_replaces_the_content(tmp_path: Path) -> None:
    path = tmp_path / "pointer.json"
    publish(path, b"old")
    publish(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("cut_at", range(1, 6))
def test_a_power_cut_at_any_call_leaves_old_or_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_at: int
) -> None:
    path = tmp_path / "pointer.json"
    publish(path, b"old")
    calls = 0

    def cut_after(real: object) -> object:
        def call(*arguments: object, **named: object) -> object:
            nonlocal calls
            calls += 1
            if calls == cut_at:
                raise PowerCutError
            return real(*arguments, **named)  # type: ignore[operator]

        return call

    with monkeypatch.context() as patch:
        for name in ("open", "fsync"):
            patch.setattr(os, name, cut_after(getattr(os, name)))
        patch.setattr(Path, "replace", cut_after(Path.replace))
        with suppress(PowerCutError):
            publish(path, b"new")
    assert path.read_bytes() in (b"old", b"new")


def test_a_full_disk_leaves_the_old_content_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pointer.json"
    publish(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        publish(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_through_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_through(path, b"first")
    with pytest.raises(FileExistsError):
        write_through(path, b"second")
    assert path.read_bytes() == b"first"


def test_write_through_takes_chunks_and_leaves_no_half_file_when_they_end_in_an_error(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.onnx"
    write_through(path, iter([b"fir", b"st"]))
    assert path.read_bytes() == b"first"

    def damaged() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        write_through(tmp_path / "half.onnx", damaged())
    assert list(tmp_path.iterdir()) == [path]
