"""The files of a registry: metadata by version, targets by digest, all static.

A change writes targets first and timestamp.json last, each file whole and durable. Cut off in
between, the stations see the old state, and the next command goes on from the new metadata. Only a
root is seen at once, since a client asks for the version after its own (TUF specification, 5.3).
"""

import datetime
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.repository import Repository

from taktgate.bundle.targets import ROLE_LIMIT_BYTES
from taktgate.edge.file_system import LOCAL, FileSystem
from taktgate.edge.files import publish
from taktgate.registry.errors import (
    KeyMissingError,
    NoRegistryError,
    NoSuchRoleError,
    RegistryError,
    RoleFullError,
)
from taktgate.registry.signed.disk import make_folders, writing
from taktgate.registry.signed.keys import KeyRing, name_of
from taktgate.registry.signed.locking import locked
from taktgate.registry.signed.placing import place
from taktgate.registry.signed.settings import RegistrySettings

METADATA: Final = "metadata"
TARGETS: Final = "targets"
TIMESTAMP_FILE: Final = "timestamp.json"
ROOT_ROLES: Final = (Root.type, Targets.type, Snapshot.type, Timestamp.type)
_VERSIONED: Final = re.compile(r"(?P<version>\d+)\.(?P<role>.+)\.json")


def utc_now() -> datetime.datetime:
    """Return the time of day, to the second, as metadata has it."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


class RegistryFiles(Repository):
    """A TUF repository in the folder *path*, signed with the keys in *keys*."""

    def __init__(
        self,
        path: Path,
        *,
        keys: KeyRing,
        files: FileSystem = LOCAL,
        clock: Callable[[], datetime.datetime] = utc_now,
    ) -> None:
        self.path = path
        self.keys = keys
        self.clock = clock
        self._files = files
        self._versions: dict[str, int] | None = None
        self._settings: RegistrySettings | None = None

    @contextmanager
    def change(self, *, signers: Sequence[str] = (Snapshot.type, Timestamp.type)) -> Iterator[None]:
        """Hold the registry; let the stations see what was changed when the block is through.

        *signers* are the roles that must be signed here for that.

        Raises:
            NoRegistryError: there is none.
            BusyError: another command holds it.
            KeyMissingError: one of *signers* cannot.
            DiskError: the folder cannot be written.
        """
        with self.held():
            self.require_complete()
            self.require_signers(*signers)
            yield
            self.publish()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other commands out while the block runs, and see what they have left.

        Raises:
            NoRegistryError: there is no such folder.
            BusyError: another command holds it.
        """
        with locked(self.path):
            self.look_again()
            yield

    def look_again(self) -> None:
        """Forget what was read: the next question is answered from the disk."""
        self._versions = self._settings = None
        self.keys.reload()

    def is_complete(self) -> bool:
        """Tell whether there is a registry that stations can read."""
        return (self.path / METADATA / TIMESTAMP_FILE).exists()

    def require_complete(self) -> None:
        """Accept if there is a registry that stations can read.

        Raises:
            NoRegistryError: there is none.
        """
        if not self.is_complete():
            raise NoRegistryError(
                f"{self.path}: no registry; make one with: taktgate registry init"
            )

    def open(self, role: str) -> Metadata[Any]:
        """Return the newest metadata of *role*, new and of version 0 if there is none.

        Raises:
            RegistryError: the file is damaged.
        """
        version = self.version(role)
        if version:
            return self.read(self.path_of(role, version))
        empty = {Root.type: Root, Snapshot.type: Snapshot, Timestamp.type: Timestamp}
        metadata: Metadata[Any] = Metadata(empty.get(role, Targets)())
        metadata.signed.version = 0
        return metadata

    def close(self, role: str, md: Metadata[Any]) -> None:
        """Sign *md* as the next version of *role* and write it.

        Raises:
            KeyMissingError: fewer keys are at hand than the role's threshold.
            RoleFullError: stations would not read so much.
            DiskError: the folder cannot be written.
        """
        previous = self.root() if role == Root.type and md.signed.version else None
        md.signed.version += 1
        self.sign(role, md, days=self.settings.days_valid.of(role), previous=previous)
        self._write(role, md)

    def sign(
        self, role: str, md: Metadata[Any], *, days: int, previous: Root | None = None
    ) -> None:
        """Sign *md* with all keys of *role* that are at hand; a root with those before it too.

        Raises:
            KeyMissingError: they are fewer than the threshold.
        """
        md.signed.expires = self.clock() + datetime.timedelta(days=days)
        md.signatures.clear()
        delegators = [md.signed, previous] if role == Root.type else [self.delegator(role)]
        for delegator in filter(None, delegators):
            for key in self.keys_of(role, delegator):
                if self.keys.holds(key):
                    md.sign(self.keys.signer(key), append=True)
        for delegator in filter(None, delegators):
            _require_threshold(role, md, delegator)

    def sign_lasting(self, role: str, days: int) -> None:
        """Write the next version of *role*, unchanged but that it is valid for *days*.

        Raises:
            KeyMissingError: fewer keys are at hand than the role's threshold.
            DiskError: the folder cannot be written.
        """
        md = self.open(role)
        md.signed.version += 1
        self.sign(role, md, days=days)
        self._write(role, md)

    def timestamp_apart(self, days: int) -> bytes:
        """Return the next timestamp, valid for *days* and not written here; go past it here.

        Raises:
            KeyMissingError: fewer keys are at hand than the role's threshold.
            DiskError: the folder cannot be written.
        """
        md = self.open(Timestamp.type)
        md.signed.version += 1
        self.sign(Timestamp.type, md, days=days)
        content = md.to_bytes()
        self.close(Timestamp.type, md)
        return content

    def begin_role(self, role: str, key: Key) -> None:
        """Write the first, empty metadata of a delegated *role* that nothing names yet.

        It comes before its delegation, so that no snapshot ever names a role without metadata.

        Raises:
            DiskError: the folder cannot be written.
        """
        days = self.settings.days_valid.of(role)
        expires = self.clock() + datetime.timedelta(days=days)
        md: Metadata[Any] = Metadata(Targets(version=1, expires=expires))
        md.sign(self.keys.signer(key))
        self._write(role, md)

    @property
    def settings(self) -> RegistrySettings:
        """Return the registry's settings.

        Raises:
            SettingsFileError: registry.json breaks a rule.
        """
        if self._settings is None:
            self._settings = RegistrySettings.read(self.path)
        return self._settings

    @property
    def targets_infos(self) -> dict[str, MetaFile]:
        """Return the newest version of every targets role."""
        roles = {Targets.type, *self.delegated_roles()}
        return {f"{role}.json": MetaFile(self.version(role)) for role in roles}

    @property
    def snapshot_info(self) -> MetaFile:
        """Return the newest version of the snapshot."""
        return MetaFile(self.version(Snapshot.type))

    def delegated_roles(self) -> list[str]:
        """Return the names of the delegated roles."""
        delegations = self.targets().delegations
        return sorted(delegations.roles) if delegations and delegations.roles else []

    def roles(self) -> list[str]:
        """Return all roles, in the order in which a client trusts them."""
        return [*ROOT_ROLES[:2], *self.delegated_roles(), *ROOT_ROLES[2:]]

    def delegator(self, role: str) -> Root | Targets:
        """Return what names the keys of *role*: the root, or the targets role."""
        return self.root() if role in ROOT_ROLES else self.targets()

    def keys_of(self, role: str, delegator: Root | Targets | None = None) -> list[Key]:
        """Return the public keys of *role*.

        Raises:
            NoSuchRoleError: there is no such role.
        """
        source = delegator or self.delegator(role)
        try:
            return [source.get_key(keyid) for keyid in source.get_delegated_role(role).keyids]
        except ValueError as error:
            raise NoSuchRoleError(f"{role}: no such role; it has {self.roles()}") from error

    def signable(self, role: str) -> bool:
        """Tell whether as many keys of *role* are at hand as must sign.

        Raises:
            NoSuchRoleError: there is no such role.
        """
        held = [key for key in self.keys_of(role) if self.keys.holds(key)]
        return len(held) >= self.delegator(role).get_delegated_role(role).threshold

    def require_signers(self, *roles: str) -> None:
        """Accept if all *roles* can be signed here: asked before anything is written.

        Raises:
            KeyMissingError: one cannot; names its keys.
            NoSuchRoleError: there is no such role.
        """
        for role in roles:
            if not self.signable(role):
                threshold = self.delegator(role).get_delegated_role(role).threshold
                names = ", ".join(map(name_of, self.keys_of(role)))
                folders = ", ".join(map(str, self.keys.folders))
                raise KeyMissingError(f"{folders}: role {role} needs {threshold} of {names}")

    def publish(self) -> None:
        """Let the stations see what was changed. Without a change it does nothing."""
        self.do_snapshot()
        self.do_timestamp()

    def place(self, path: str, content: Iterable[bytes]) -> TargetFile:
        """Write the target *path*; return its entry. It is no target yet.

        Raises:
            DiskError: the folder cannot be written.
        """
        return place(self.path / TARGETS, path, content, files=self._files)

    def write_settings(self, settings: RegistrySettings, file: str) -> None:
        """Keep *settings* in the registry's folder, which is made.

        Raises:
            DiskError: the folder cannot be written.
        """
        with writing(self.path / file):
            make_folders(self.path, files=self._files)
            publish(self.path / file, settings.to_bytes(), mode=0o644, files=self._files)

    def remove(self, names: Iterable[str]) -> None:
        """Remove the metadata files *names*, one after the other.

        Raises:
            DiskError: one cannot be removed.
        """
        folder = self.path / METADATA
        with writing(folder):
            for name in names:
                self._files.unlink(folder / name)
            self._files.sync_folder(folder)

    def version(self, role: str) -> int:
        """Return the newest version of *role*, 0 if there is none."""
        if self._versions is None:
            self._versions = self._find_versions()
        return self._versions.get(role, 0)

    def path_of(self, role: str, version: int) -> Path:
        """Return the file of a version of *role*."""
        name = TIMESTAMP_FILE if role == Timestamp.type else f"{version}.{role}.json"
        return self.path / METADATA / name

    def read(self, file: Path) -> Metadata[Any]:
        """Return the metadata in *file*.

        Raises:
            RegistryError: it is damaged.
        """
        try:
            return Metadata.from_bytes(file.read_bytes())
        except RepositoryError as error:
            raise RegistryError(f"{file}: damaged: {error}") from error

    def _write(self, role: str, md: Metadata[Any]) -> None:
        version, content = md.signed.version, md.to_bytes()
        if isinstance(md.signed, Targets) and len(content) > ROLE_LIMIT_BYTES:
            raise RoleFullError(
                f"role {role}: its metadata would have {len(content)} bytes, "
                f"stations read at most {ROLE_LIMIT_BYTES}"
            )
        file = self.path_of(role, version)
        with writing(file):
            make_folders(file.parent, files=self._files)
            publish(file, content, mode=0o644, files=self._files)
        self.version(role)
        assert self._versions is not None
        self._versions[role] = version

    def _find_versions(self) -> dict[str, int]:
        folder = self.path / METADATA
        names = [entry.name for entry in os.scandir(folder)] if folder.is_dir() else []
        found: dict[str, int] = {}
        for match in filter(None, map(_VERSIONED.fullmatch, names)):
            role = match["role"]
            found[role] = max(found.get(role, 0), int(match["version"]))
        if TIMESTAMP_FILE in names:
            found[Timestamp.type] = self.read(folder / TIMESTAMP_FILE).signed.version
        return found


def _require_threshold(role: str, md: Metadata[Any], delegator: Root | Targets) -> None:
    result = delegator.get_verification_result(role, md.signed_bytes, md.signatures)
    if not result.verified:
        names = ", ".join(map(name_of, [*result.signed.values(), *result.unsigned.values()]))
        raise KeyMissingError(
            f"role {role}: {result.threshold} of {names} must sign, {len(result.signed)} at hand"
        )
