"""A bundle as one file: a ZIP without compression whose every byte follows from its members.

Reading trusts nothing: the layout is held against the only one that `pack` writes, before a member
is read. So there is no room for tricks: no path, no link, no duplicate, no compression, no overlap,
no hidden bytes.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from taktgate.bundle import layout
from taktgate.bundle.errors import ArchiveError
from taktgate.bundle.manifest import BUNDLE_LIMIT_BYTES, Manifest, digest_of
from taktgate.bundle.read_ahead import read_ahead
from taktgate.bundle.reading import open_plain
from taktgate.bundle.signing import SigningKey

LIMIT_BYTES: Final = BUNDLE_LIMIT_BYTES
Writer: TypeAlias = Callable[[Path, Iterable[bytes]], None]
"""Writes one file from its chunks. A model may be larger than a container's memory."""
_CHUNK_BYTES: Final = 1 << 20
_END: Final = struct.Struct("<4s4H2LH")
_CENTRAL: Final = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL_BYTES: Final = 30
_NAME_BYTES: Final = 80
_ZIP64_LOCATOR_BYTES: Final = 20
_DIRECTORY_LIMIT_BYTES: Final = layout.MEMBERS_LIMIT * (_CENTRAL.size + _NAME_BYTES)
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_DOS_DATE: Final = 1 << 5 | 1
_MODE: Final = stat.S_IFREG | 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """The end record of a ZIP."""

    members: int
    directory_bytes: int
    directory_offset: int


def pack(*, manifest: Manifest, files: Mapping[str, bytes], key: SigningKey, to: Path) -> str:
    """Write the bundle of *manifest* and *files* to *to*, signed with *key*; return its digest.

    The same arguments give the same bytes.

    Raises:
        ArchiveError: The files are not those that the manifest lists, or are too large together.
    """
    listed = {its.path: its.sha256 for its in manifest.files}
    given = {path: digest_of(data) for path, data in files.items()}
    if listed != given:
        odd = sorted(path for path in {*listed, *given} if listed.get(path) != given.get(path))
        raise ArchiveError(f"files must be those that the manifest lists; they differ in {odd}")
    data = manifest.to_bytes()
    members = {**files, layout.MANIFEST: data, layout.SIGNATURE: key.sign(data)}
    if sum(map(len, members.values())) > LIMIT_BYTES:
        raise ArchiveError(f"a bundle must be at most {LIMIT_BYTES} bytes")
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name in layout.in_order(list(members)):
            archive.writestr(_info(name), members[name])
    return digest_of(data)


def unpack(
    archive: Path,
    into: Path,
    *,
    limit_bytes: int = LIMIT_BYTES,
    write: Writer | None = None,
    make_folder: Callable[[Path], None] | None = None,
) -> None:
    """Write the members of *archive* below the directory *into*, which is made if absent.

    Nothing is verified but the archive itself, see `verification`. Durability is the caller's:
    *write* may be a writer that syncs, *make_folder* makes one folder. A member that is damaged is
    known at its last chunk.

    Raises:
        ArchiveError: The file is not an archive as `pack` writes it, or larger than *limit_bytes*.
        OSError: *into* cannot be written.
    """
    save = _write if write is None else write
    with open_plain(archive) as file, _open(file, _read_end(file, limit_bytes)) as opened:
        members = _require_layout(opened.infolist(), opened.start_dir, limit_bytes)
        _require_headers(file, members, opened.start_dir)
        folder = into / layout.GOLDEN if _has_golden(members) else into
        _require_no_link(into, folder)
        if not folder.is_dir():
            (_make_folder if make_folder is None else make_folder)(folder)
        for info in members:
            with closing(_chunks(opened, info)) as chunks:
                save(into / info.filename, chunks)


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = 3
    info.external_attr = _MODE << 16
    return info


def _read_end(file: BinaryIO, limit_bytes: int) -> _End:
    """Return the end record, before `zipfile` reads as much as it promises."""
    size = file.seek(0, os.SEEK_END)
    overhead = layout.MEMBERS_LIMIT * (_LOCAL_BYTES + _NAME_BYTES) + _DIRECTORY_LIMIT_BYTES
    overhead += _END.size
    if not _END.size <= size <= limit_bytes + overhead:
        raise ArchiveError(f"an archive must be at most {limit_bytes} bytes and whole, got {size}")
    file.seek(-_END.size, os.SEEK_END)
    magic, *disks, here, total, length, offset, comment = _END.unpack(file.read(_END.size))
    if magic != b"PK\x05\x06" or any(disks) or comment or here != total:
        raise ArchiveError("an archive must end with a plain ZIP end record: cut off or no bundle")
    if total > layout.MEMBERS_LIMIT:
        raise ArchiveError(
            f"an archive must have at most {layout.MEMBERS_LIMIT} members, got {total}"
        )
    if offset + length + _END.size != size:
        raise ArchiveError("an archive must hold nothing besides its members")
    if length > _DIRECTORY_LIMIT_BYTES or _has_zip64_locator(file, size):
        raise ArchiveError("an archive must have a plain ZIP directory, no longer than its members")
    return _End(members=total, directory_bytes=length, directory_offset=offset)


def _has_zip64_locator(file: BinaryIO, size: int) -> bool:
    """Tell whether `zipfile` would believe another end record than ours."""
    file.seek(max(0, size - _END.size - _ZIP64_LOCATOR_BYTES))
    return file.read(4) == b"PK\x06\x07"


def _open(file: BinaryIO, end: _End) -> zipfile.ZipFile:
    try:
        opened = zipfile.ZipFile(file)
    # NotImplementedError is how zipfile says that it does not know a version or a compression.
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise ArchiveError(f"an archive must be a ZIP: {error}") from error
    if len(opened.infolist()) != end.members or opened.start_dir != end.directory_offset:
        raise ArchiveError("an archive must hold the members that its end record promises")
    return opened


def _require_layout(
    members: list[zipfile.ZipInfo], end_offset: int, limit_bytes: int
) -> list[zipfile.ZipInfo]:
    names = [info.orig_filename for info in members]
    for name in names:
        if not layout.is_member(name):
            raise ArchiveError(f"a member must be one of a bundle's files, got {name[:80]!r}")
    if len(set(names)) != len(names):
        raise ArchiveError("an archive must not hold one member twice")
    if names != layout.in_order(names) or names[:2] != [layout.MANIFEST, layout.SIGNATURE]:
        raise ArchiveError(
            "members must be manifest, signature, model, golden images, in this order"
        )
    if sum(info.file_size for info in members) > limit_bytes:
        raise ArchiveError(f"members must be at most {limit_bytes} bytes together")
    offset = 0
    for info in members:
        _require_plain(info, offset, limit_bytes)
        offset += _LOCAL_BYTES + len(info.filename) + info.file_size
    if offset != end_offset:
        raise ArchiveError("an archive must hold nothing besides its members")
    return members


def _require_plain(info: zipfile.ZipInfo, offset: int, limit_bytes: int) -> None:
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise ArchiveError(f"member {info.filename} must be stored without compression")
    if _traits(info) != _traits(_info(info.filename)):
        raise ArchiveError(
            f"member {info.filename} must be a plain file, mode 0644, without time, flags or extras"
        )
    if info.header_offset != offset:
        raise ArchiveError(f"member {info.filename} must follow the one before it")
    if info.file_size > layout.limit_bytes_of(info.filename, limit_bytes):
        raise ArchiveError(f"member {info.filename} is too large: {info.file_size} bytes")


def _traits(info: zipfile.ZipInfo) -> tuple[object, ...]:
    return (
        (info.create_system, info.create_version, info.extract_version, info.reserved),
        (info.external_attr, info.internal_attr, info.volume, info.flag_bits),
        (info.date_time, info.extra, info.comment),
    )


def _require_headers(file: BinaryIO, members: list[zipfile.ZipInfo], end_offset: int) -> None:
    """Refuse headers that two readers might read differently."""
    directory = b"".join(map(_directory_entry, members))
    file.seek(end_offset)
    if file.read(len(directory)) != directory:
        raise ArchiveError("the directory of an archive must be as pack writes it")
    for info in members:
        expected = _info(info.filename)
        expected.CRC, expected.file_size = info.CRC, info.file_size
        expected.compress_size = info.file_size
        header = expected.FileHeader()
        file.seek(info.header_offset)
        if file.read(len(header)) != header:
            raise ArchiveError(f"member {info.filename} must say the same in both its headers")


def _directory_entry(info: zipfile.ZipInfo) -> bytes:
    plain, size = _info(info.filename), info.file_size
    versions = (plain.create_version, plain.create_system, plain.extract_version, 0)
    lengths = (len(info.filename), 0, 0, 0, 0)
    facts = (0, zipfile.ZIP_STORED, 0, _DOS_DATE, info.CRC, size, size, *lengths)
    where = (plain.external_attr, info.header_offset)
    return _CENTRAL.pack(b"PK\x01\x02", *versions, *facts, *where) + info.filename.encode("ascii")


def _require_no_link(into: Path, folder: Path) -> None:
    """Refuse to write through a link that lay there before."""
    for place in {into, folder}:
        if place.is_symlink():
            raise ArchiveError(f"{place.name} must be a folder to unpack into, and is a link")


def _make_folder(path: Path) -> None:
    path.mkdir(parents=True)


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    path.unlink(missing_ok=True)  # never into a file that another name leads to
    with path.open("xb") as file:
        file.writelines(chunks)


def _chunks(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Generator[bytes]:
    """Yield the content of a member; a small one is not worth a thread."""
    chunks = _read(opened, info)
    yield from chunks if info.file_size <= _CHUNK_BYTES else read_ahead(chunks)


def _read(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with opened.open(info) as member:
            while chunk := member.read(_CHUNK_BYTES):
                yield chunk
    # As above; RuntimeError: the member claims to be encrypted.
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ArchiveError(f"member {info.filename} is damaged: {error}") from error


def _has_golden(members: list[zipfile.ZipInfo]) -> bool:
    return any(info.filename.startswith(f"{layout.GOLDEN}/") for info in members)
