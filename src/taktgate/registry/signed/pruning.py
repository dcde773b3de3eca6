"""Old metadata that no client can ask for any more.

A client reads timestamp.json, then the snapshot that it names, then the roles that this one names,
and it may have read the timestamp a while ago, or from a copy that lagged behind. So neither the
age of a file nor what the newest timestamp names tells when an older snapshot has had its day. Its
own expiry does: whoever gets it later refuses it. A client judges by the time at which it began,
hence a grace on top.

Roots stay for good, since clients walk them one by one. Targets stay too: metadata names them all.
"""

import datetime
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Signed, Snapshot

from taktgate.registry.errors import RegistryError
from taktgate.registry.signed.repository import METADATA, RegistryFiles

GRACE: Final = datetime.timedelta(hours=24)
"""So long a client may take from its start to its last question; a station takes seconds."""
_VERSIONED: Final = re.compile(r"(?P<version>[1-9]\d*)\.(?P<role>.+)\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was removed, or would be.

    Attributes:
        removed: Names of the files in the folder "metadata".
        kept: How many files stay there.
    """

    removed: tuple[str, ...]
    kept: int


def prune(files: RegistryFiles, *, is_trial: bool = False) -> Pruned:
    """Remove what no client can ask for any more, or only say what that is; needs no key.

    Raises:
        NoRegistryError: there is none.
        RegistryError: a file is damaged.
        DiskError: a file cannot be removed; those before it are, which does no harm.
    """
    with files.held():
        files.require_complete()
        folder = files.path / METADATA
        found = outdated(
            [file.name for file in folder.glob("[!.]*")],
            read=lambda name: (folder / name).read_bytes(),
            seen=files.timestamp().snapshot_meta.version,
            now=files.clock(),
        )
        if not is_trial:
            files.remove(found.removed)
    return found


def outdated(
    names: Collection[str],
    *,
    read: Callable[[str], bytes],
    seen: int,
    now: datetime.datetime,
) -> Pruned:
    """Return which of the metadata files *names* no client can ask for any more.

    Snapshots come first: cut off in between, none that stays names what is gone. What is newer than
    what clients see is not published yet, and stays.

    Args:
        names: the files of a folder "metadata".
        read: returns the content of one of them.
        seen: the version of the snapshot that clients see.
        now: the time of day.

    Raises:
        RegistryError: a file is damaged.
    """
    files = {file for name in names if (file := _File.of(name)) is not None}
    present = _File(role=Snapshot.type, version=seen)
    snapshots = {
        file: _snapshot(file, read)
        for file in files | {present}
        if file.role == Snapshot.type and file.version <= seen
    }
    valid = [
        file for file, its in snapshots.items() if file == present or its.expires > now - GRACE
    ]
    needed = set(valid).union(*(_named(snapshots[file]) for file in valid))
    newest = {file.role: file.version for file in (present, *_named(snapshots[present]))}
    gone = [file for file in files - needed if file.version < newest.get(file.role, 0)]
    gone.sort(key=lambda file: (file.role != Snapshot.type, file.role, file.version))
    return Pruned(removed=tuple(file.name for file in gone), kept=len(names) - len(gone))


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    role: str
    version: int

    @classmethod
    def of(cls, name: str) -> "_File | None":
        match = _VERSIONED.fullmatch(name)
        return match and cls(role=match["role"], version=int(match["version"]))

    @property
    def name(self) -> str:
        return f"{self.version}.{self.role}.json"


def _named(snapshot: Snapshot) -> set[_File]:
    return {
        _File(role=name.removesuffix(".json"), version=its.version)
        for name, its in snapshot.meta.items()
    }


def _snapshot(file: _File, read: Callable[[str], bytes]) -> Snapshot:
    try:
        signed: Signed = Metadata[Any].from_bytes(read(file.name)).signed
    except (RepositoryError, FileNotFoundError) as error:
        raise RegistryError(f"{METADATA}/{file.name}: damaged: {error}") from error
    if not isinstance(signed, Snapshot):
        raise RegistryError(f"{METADATA}/{file.name}: damaged: it is no snapshot")
    return signed
