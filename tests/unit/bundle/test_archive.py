"""An archive gives exactly what was packed, or nothing."""

import io
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taktgate.bundle.archive import pack, unpack
from taktgate.bundle.compatibility import DeviceFacts
from taktgate.bundle.errors import ArchiveError
from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.bundle.verification import verify_directory
from taktgate.edge.files import write_through

PLAIN = (0o100644 << 16, 3)


def tree(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def members_of(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {info.filename: opened.read(info) for info in opened.infolist()}


def write(
    path: Path, members: list[tuple[str, bytes]], change: Callable[[zipfile.ZipInfo], None]
) -> Path:
    """Write a ZIP like `pack` does, but for what *change* does to the last member."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, data) in enumerate(members, start=1):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr, info.create_system = PLAIN
            if number == len(members):
                change(info)
            archive.writestr(info, data)
    return path


def unchanged(info: zipfile.ZipInfo) -> None:
    del info


def refused(archive: Path, into: Path, match: str | None = None) -> None:
    with pytest.raises(ArchiveError, match=match) as caught:
        unpack(archive, into)
    assert caught.value.reason == "ARCHIVE"


def test_packing_twice_gives_the_same_bytes(
    manifest: Manifest, files: dict[str, bytes], key: SigningKey, archive: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again.bundle"
    digest = pack(manifest=manifest, files=files, key=key, to=again)
    assert again.read_bytes() == archive.read_bytes()
    assert digest == digest_of(manifest.to_bytes())


def test_unpacking_gives_what_was_packed(
    archive: Path, manifest: Manifest, files: dict[str, bytes], directory: Path
) -> None:
    found = tree(directory)
    assert found.pop("manifest.json") == manifest.to_bytes()
    assert found.pop("manifest.sig")
    assert found == files
    assert members_of(archive) == tree(directory)


def test_every_file_goes_through_the_given_writer(archive: Path, tmp_path: Path) -> None:
    written: dict[str, bytes] = {}
    into = tmp_path / "slot"
    unpack(archive, into, write=lambda path, data: written.update({path.name: b"".join(data)}))
    assert sorted(written) == ["manifest.json", "manifest.sig", "model.onnx", "ok.png", "pore.png"]
    assert tree(into) == {}


def test_a_big_model_is_unpacked_and_verified_in_little_memory(
    document: dict[str, Any],
    files: dict[str, bytes],
    key: SigningKey,
    keys: TrustedKeys,
    device: DeviceFacts,
    tmp_path: Path,
) -> None:
    size_bytes = 64 << 20
    model = bytes(size_bytes)
    document["files"][0] |= {"size_bytes": size_bytes, "sha256": digest_of(model)}
    document["source_digest"] = digest_of(model)
    manifest = Manifest.model_validate_json(
        Manifest.model_validate(document, strict=False).to_bytes()
    )
    path = tmp_path / "big.bundle"
    pack(manifest=manifest, files=files | {"model.onnx": model}, key=key, to=path)
    del model
    tracemalloc.start()
    try:
        unpack(path, tmp_path / "slot", write=write_through)
        verify_directory(tmp_path / "slot", keys, device)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "slot" / "model.onnx").stat().st_size == size_bytes
    assert peak_bytes < 8 << 20


@pytest.mark.parametrize("odd", [{"model.onnx": b"x"}, {"golden/new.png": b"x"}])
def test_files_that_the_manifest_does_not_list_are_not_packed(
    manifest: Manifest,
    files: dict[str, bytes],
    key: SigningKey,
    tmp_path: Path,
    odd: dict[str, bytes],
) -> None:
    with pytest.raises(ArchiveError, match=next(iter(odd))):
        pack(manifest=manifest, files=files | odd, key=key, to=tmp_path / "x.bundle")


@given(data=st.data())
@settings(deadline=None)
def test_one_changed_byte_anywhere_is_refused(
    archive: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(archive.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    place = tmp_path_factory.mktemp("mutated")
    (place / "x.bundle").write_bytes(content)
    refused(place / "x.bundle", place / "slot")


def test_an_archive_cut_off_anywhere_is_refused(archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "cut.bundle").write_bytes(content[:length])
        refused(tmp_path / "cut.bundle", tmp_path / "slot")


@given(content=st.binary(max_size=400))
@settings(deadline=None)
def test_any_other_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    place = tmp_path_factory.mktemp("other")
    (place / "x.bundle").write_bytes(content)
    refused(place / "x.bundle", place / "slot")


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        "/tmp/escaped",
        "golden/../../escaped.png",
        "golden/",
        "golden/a/b.png",
        "golden\\..\\escaped.png",
        "C:escaped.png",
        "golden/..png",
        "golden/A.png",
        "golden/x.png\n",
        "golden/\u00e9.png",
        "MODEL.ONNX",
        "run.sh",
        "",
    ],
)
def test_a_name_outside_the_allow_list_is_refused(archive: Path, tmp_path: Path, name: str) -> None:
    members = [*members_of(archive).items(), (name, b"x")]
    path = write(tmp_path / "x.bundle", members, unchanged)
    refused(path, tmp_path / "slot")
    assert not (tmp_path / "escaped").exists()
    assert not (tmp_path / "slot").exists()


def test_a_name_that_hides_behind_a_nul_is_refused(archive: Path, tmp_path: Path) -> None:
    members = [*members_of(archive).items(), ("golden/xxxxxx", b"x")]
    path = write(tmp_path / "x.bundle", members, unchanged)
    path.write_bytes(path.read_bytes().replace(b"golden/xxxxxx", b"golden/x.png\0"))
    refused(path, tmp_path / "slot")


def test_a_member_that_comes_twice_is_refused(archive: Path, tmp_path: Path) -> None:
    members = [*members_of(archive).items(), ("golden/pore.png", b"x")]
    with pytest.warns(UserWarning, match="Duplicate"):
        path = write(tmp_path / "x.bundle", members, unchanged)
    refused(path, tmp_path / "slot", "twice")


def test_members_in_another_order_are_refused(archive: Path, tmp_path: Path) -> None:
    members = list(members_of(archive).items())
    path = write(tmp_path / "x.bundle", [members[1], members[0], *members[2:]], unchanged)
    refused(path, tmp_path / "slot", "order")


@pytest.mark.parametrize("missing", ["manifest.json", "manifest.sig"])
def test_an_archive_without_manifest_or_signature_is_refused(
    archive: Path, tmp_path: Path, missing: str
) -> None:
    members = [(name, data) for name, data in members_of(archive).items() if name != missing]
    refused(write(tmp_path / "x.bundle", members, unchanged), tmp_path / "slot", "order")


def compressed(info: zipfile.ZipInfo) -> None:
    info.compress_type = zipfile.ZIP_DEFLATED


def a_link(info: zipfile.ZipInfo) -> None:
    info.external_attr = 0o120777 << 16


def a_program(info: zipfile.ZipInfo) -> None:
    info.external_attr = 0o104755 << 16


def dated(info: zipfile.ZipInfo) -> None:
    info.date_time = (2026, 1, 1, 0, 0, 0)


def commented(info: zipfile.ZipInfo) -> None:
    info.comment = b"x"


def extended(info: zipfile.ZipInfo) -> None:
    info.extra = b"\x99\x99\x02\x00xx"


@pytest.mark.parametrize("change", [compressed, a_link, a_program, dated, commented, extended])
def test_a_member_that_is_not_plain_is_refused(
    archive: Path, tmp_path: Path, change: Callable[[zipfile.ZipInfo], None]
) -> None:
    path = write(tmp_path / "x.bundle", list(members_of(archive).items()), change)
    refused(path, tmp_path / "slot")
    assert not (tmp_path / "slot").exists()


def test_a_zip_bomb_is_refused_before_it_is_read(archive: Path, tmp_path: Path) -> None:
    members = [*members_of(archive).items(), ("golden/z.png", bytes(64 << 20))]
    path = write(tmp_path / "x.bundle", members, compressed)
    assert path.stat().st_size < 1 << 20
    refused(path, tmp_path / "slot", "compression")


def test_an_archive_over_the_limit_is_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="at most 700 bytes"):
        unpack(archive, tmp_path / "slot", limit_bytes=700)
    assert not (tmp_path / "slot").exists()


def test_a_manifest_over_its_own_limit_is_refused(archive: Path, tmp_path: Path) -> None:
    members = members_of(archive) | {"manifest.json": bytes((1 << 20) + 1)}
    path = write(tmp_path / "x.bundle", list(members.items()), unchanged)
    refused(path, tmp_path / "slot", r"manifest\.json is too large")


def test_more_members_than_a_bundle_can_have_are_refused(archive: Path, tmp_path: Path) -> None:
    more = [(f"golden/n{number:05d}.png", b"") for number in range(1100)]
    path = write(tmp_path / "x.bundle", [*members_of(archive).items(), *more], unchanged)
    refused(path, tmp_path / "slot", "at most 1026 members")


@pytest.mark.parametrize(("before", "after"), [(b"#!/bin/sh\n", b""), (b"", b"more")])
def test_bytes_around_the_archive_are_refused(
    archive: Path, tmp_path: Path, before: bytes, after: bytes
) -> None:
    (tmp_path / "x.bundle").write_bytes(before + archive.read_bytes() + after)
    refused(tmp_path / "x.bundle", tmp_path / "slot")


def test_members_that_share_bytes_are_refused(archive: Path, tmp_path: Path) -> None:
    content = archive.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        second, third = (info.header_offset for info in opened.infolist()[1:3])
    old, new = third.to_bytes(4, "little"), second.to_bytes(4, "little")
    (tmp_path / "x.bundle").write_bytes(new.join(content.rsplit(old, 1)))
    refused(tmp_path / "x.bundle", tmp_path / "slot")


def test_a_missing_archive_is_refused_by_its_name(tmp_path: Path) -> None:
    refused(tmp_path / "absent.bundle", tmp_path / "slot", "absent")


def with_directory(archive: Path, directory_bytes: int, before_end: bytes = b"") -> bytes:
    """Return the archive with a directory blown up to that size, by an end record that fits."""
    content = archive.read_bytes()
    start = int.from_bytes(content[-6:-2], "little")
    filler = bytes(directory_bytes - (len(content) - 22 - start) - len(before_end))
    length = directory_bytes.to_bytes(4, "little")
    body = content[:-22] + filler + before_end
    return body + content[-22:-10] + length + content[-6:]


@pytest.mark.parametrize(
    ("directory_bytes", "before_end"), [(64 << 20, b""), (500, b"PK\x06\x07" + bytes(16))]
)
def test_a_directory_that_promises_more_than_members_is_refused_unread(
    archive: Path, tmp_path: Path, directory_bytes: int, before_end: bytes
) -> None:
    (tmp_path / "x.bundle").write_bytes(with_directory(archive, directory_bytes, before_end))
    tracemalloc.start()
    try:
        refused(tmp_path / "x.bundle", tmp_path / "slot", "plain ZIP directory")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1 << 20


@pytest.mark.timeout(20)
def test_a_pipe_in_place_of_an_archive_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.bundle")
    refused(tmp_path / "x.bundle", tmp_path / "slot", "plain file")


def test_nothing_is_written_through_a_link_that_lay_in_the_folder(
    archive: Path, tmp_path: Path
) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "slot").mkdir()
    (tmp_path / "slot" / "model.onnx").symlink_to(tmp_path / "precious")
    unpack(archive, tmp_path / "slot")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (tmp_path / "slot" / "model.onnx").is_symlink()


@pytest.mark.parametrize("link", ["slot", "slot/golden"])
def test_a_folder_that_is_a_link_is_not_unpacked_into(
    archive: Path, tmp_path: Path, link: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    refused(archive, tmp_path / "slot", "is a link")
    assert list((tmp_path / "elsewhere").iterdir()) == []
