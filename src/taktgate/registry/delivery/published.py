"""What stations see of a registry: the files behind its timestamp.json, and nothing newer."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp

from taktgate.registry.errors import NoRegistryError, RegistryError
from taktgate.registry.signed.repository import METADATA, TARGETS, TIMESTAMP_FILE

TIMESTAMP_NAME: Final = f"{METADATA}/{TIMESTAMP_FILE}"
_ROOT: Final = re.compile(r"(\d+)\.root\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """A file of a registry.

    Attributes:
        name: Where it lies in a registry: "metadata/3.root.json".
        place: Where it lies here; None where *content* has it.
        sha256: 64 hex digits.
    """

    name: str
    size_bytes: int
    sha256: str
    place: Path | None = None
    content: bytes = b""

    @classmethod
    def of(cls, name: str, content: bytes) -> "StaticFile":
        """Return the file *name* with *content*."""
        sha256 = hashlib.sha256(content).hexdigest()
        return cls(name=name, size_bytes=len(content), sha256=sha256, content=content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A registry as stations see it.

    Attributes:
        roots: All versions, oldest first.
        metadata: The snapshot and the targets roles it names.
        targets: By target path; files in *registry*.
    """

    registry: Path
    timestamp: bytes
    roots: tuple[StaticFile, ...]
    metadata: tuple[StaticFile, ...]
    targets: Mapping[str, TargetFile]

    def files_of(self, paths: Iterable[str]) -> list[StaticFile]:
        """Return the files of the targets *paths*."""
        return [_target_file(self.registry, path, self.targets[path]) for path in paths]


def published(registry: Path) -> Published:
    """Return what the registry in the folder *registry* lets stations see.

    Raises:
        NoRegistryError: there is none.
        RegistryError: a file is damaged.
    """
    folder = registry / METADATA
    try:
        timestamp = (folder / TIMESTAMP_FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoRegistryError(
            f"{registry}: no registry; make one with: taktgate registry init"
        ) from error
    try:
        version = Metadata[Timestamp].from_bytes(timestamp).signed.snapshot_meta.version
        snapshot = _read(folder, f"{version}.snapshot.json")
        roles = _roles_of(snapshot)
        metadata = [snapshot, *(_read(folder, name) for name in roles)]
        targets = _targets_of(metadata[1:])
    except (RepositoryError, OSError) as error:
        raise RegistryError(f"{folder}: damaged: {error}") from error
    versions = sorted(
        int(match[1]) for match in map(_ROOT.fullmatch, _names_in(folder)) if match is not None
    )
    return Published(
        registry=registry,
        timestamp=timestamp,
        roots=tuple(_read(folder, f"{number}.root.json") for number in versions),
        metadata=tuple(metadata),
        targets=targets,
    )


def roots_before(state: Published, there: bytes) -> int:
    """Return how many roots may come before *there*, an older timestamp.json, is replaced.

    A client asks for the newest root first. As long as that root accepts the older timestamp, and
    what it names, the client goes on to see the older state.
    """
    chain = _chain(state.registry / METADATA, there)
    count = 0
    for file in state.roots:
        root = Metadata[Root].from_bytes(file.content).signed
        if not all(_is_verified(root, role, signed) for role, signed in chain.items()):
            break
        count += 1
    return count


def _chain(folder: Path, timestamp: bytes) -> dict[str, Metadata[Any]]:
    """Return the top-level metadata behind *timestamp*, as far as it is still here."""
    chain: dict[str, Metadata[Any]] = {Timestamp.type: Metadata[Timestamp].from_bytes(timestamp)}
    steps: list[tuple[str, Callable[[], int]]] = [
        (Snapshot.type, lambda: chain[Timestamp.type].signed.snapshot_meta.version),
        (Targets.type, lambda: chain[Snapshot.type].signed.meta["targets.json"].version),
    ]
    for role, version in steps:
        file = folder / f"{version()}.{role}.json"
        if not file.exists():
            break
        chain[role] = Metadata.from_bytes(file.read_bytes())
    return chain


def _is_verified(root: Root, role: str, metadata: Metadata[Any]) -> bool:
    return root.get_verification_result(role, metadata.signed_bytes, metadata.signatures).verified


def _roles_of(snapshot: StaticFile) -> list[str]:
    meta = Metadata[Snapshot].from_bytes(snapshot.content).signed.meta
    return [f"{meta[name].version}.{name}" for name in sorted(meta)]


def _targets_of(roles: Iterable[StaticFile]) -> dict[str, TargetFile]:
    targets: dict[str, TargetFile] = {}
    for role in roles:
        targets |= Metadata[Targets].from_bytes(role.content).signed.targets
    return targets


def _target_file(registry: Path, path: str, target: TargetFile) -> StaticFile:
    folder, _, name = path.rpartition("/")
    sha256 = target.hashes["sha256"]
    where = f"{TARGETS}/{folder}/{sha256}.{name}"
    return StaticFile(name=where, size_bytes=target.length, sha256=sha256, place=registry / where)


def _names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def _read(folder: Path, name: str) -> StaticFile:
    return StaticFile.of(f"{METADATA}/{name}", (folder / name).read_bytes())
