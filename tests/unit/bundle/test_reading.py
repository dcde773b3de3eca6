"""A file is opened once, and only if it is a plain one of the right size."""

import os
from pathlib import Path

import pytest

from taktgate.bundle.errors import ArchiveError, DigestMismatchError
from taktgate.bundle.manifest import BundleFile, digest_of
from taktgate.bundle.reading import open_plain, read_listed, read_small, require_listed

CONTENT = b"the model"
LISTED = BundleFile(path="model.onnx", size_bytes=len(CONTENT), sha256=digest_of(CONTENT))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(CONTENT)
    return path


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")
    with pytest.raises(ArchiveError, match="plain file"):
        open_plain(tmp_path / "model.onnx")


def test_a_link_is_refused_even_to_the_right_file(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(ArchiveError, match="link"):
        open_plain(tmp_path / "link")


@pytest.mark.parametrize("path", ["/dev/zero", "/proc"])
def test_a_device_and_a_folder_are_refused(path: str) -> None:
    with pytest.raises(ArchiveError, match="plain file"):
        open_plain(Path(path))


def test_a_file_over_its_limit_is_read_no_further(file: Path) -> None:
    with pytest.raises(ArchiveError, match="at most 8 bytes"):
        read_small(file, limit_bytes=8)
    assert read_small(file, limit_bytes=9) == CONTENT


@pytest.mark.timeout(20)
def test_a_sparse_file_of_a_terabyte_is_refused_by_its_size(file: Path) -> None:
    os.truncate(file, 1 << 40)
    with pytest.raises(DigestMismatchError, match="must have 9 bytes"):
        require_listed(file, LISTED)
    with pytest.raises(DigestMismatchError, match="must have 9 bytes"):
        read_listed(file, LISTED)


def test_other_bytes_of_the_same_size_are_refused(file: Path) -> None:
    file.write_bytes(b"the modem")
    for look in (require_listed, read_listed):
        with pytest.raises(DigestMismatchError, match="digest"):
            look(file, LISTED)


def test_the_listed_bytes_are_returned(file: Path) -> None:
    require_listed(file, LISTED)
    assert read_listed(file, LISTED) == CONTENT
