"""The files of a registry: metadata by version, targets by digest, all static.

A change writes targets first and timestamp.json last, each file whole. Cut off in between, the
stations see the old state, and the next change goes on from the new metadata.
"""

import datetime
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import Key
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

from taktgate.edge.files import publish
from taktgate.registry.errors import KeyMissingError, NoRegistryError
from taktgate.registry.keys import KeyFolder

log = logging.getLogger(__name__)

METADATA: Final = "metadata"
TARGETS: Final = "targets"
DAYS_VALID: Final[Mapping[str, int]] = {
    Root.type: 365,
    Targets.type: 365,
    Snapshot.type: 7,
    Timestamp.type: 1,
}
"""Until when metadata is trusted; delegated roles are as the targets role."""
_VERSIONED: Final = re.compile(r"(?P<version>\d+)\.(?P<role>.+)\.json")


class RegistryFiles(Repository):
    """A TUF repository in the folder *path*, signed with the keys in *keys*."""

    def __init__(
        self, path: Path, *, keys: KeyFolder, days_valid: Mapping[str, int] = DAYS_VALID
    ) -> None:
        self.path = path
        self.keys = keys
        self._days_valid = days_valid

    def open(self, role: str) -> Metadata[Any]:
        """Return the newest metadata of *role*, new and of version 0 if there is none."""
        newest = self._newest(role)
        if newest is not None:
            return Metadata.from_bytes(newest.read_bytes())
        empty = {Root.type: Root, Snapshot.type: Snapshot, Timestamp.type: Timestamp}
        metadata: Metadata[Any] = Metadata(empty.get(role, Targets)())
        metadata.signed.version = 0
        return metadata

    def close(self, role: str, md: Metadata[Any]) -> None:
        """Sign *md* as the next version of *role* and write it.

        Raises:
            KeyMissingError: fewer keys are at hand than the role's threshold.
            OSError: the folder cannot be written.
        """
        md.signed.version += 1
        days = self._days_valid.get(role, self._days_valid[Targets.type])
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        md.signed.expires = now + datetime.timedelta(days=days)
        md.signatures.clear()
        keys, threshold = self._signers_of(role, md)
        for key in keys:
            if self.keys.holds(key):
                md.sign(self.keys.signer(key), append=True)
        if len(md.signatures) < threshold:
            raise KeyMissingError(
                f"role {role}: {threshold} of {len(keys)} keys must sign, "
                f"{len(md.signatures)} at hand"
            )
        folder = self.path / METADATA
        folder.mkdir(parents=True, exist_ok=True)
        publish(folder / self._file_name(role, md.signed.version), md.to_bytes(), mode=0o644)

    @property
    def targets_infos(self) -> dict[str, MetaFile]:
        """Return the newest version of every targets role."""
        roles = {Targets.type, *self.delegated_roles()}
        return {f"{role}.json": MetaFile(self.targets(role).version) for role in roles}

    @property
    def snapshot_info(self) -> MetaFile:
        """Return the newest version of the snapshot."""
        return MetaFile(self.snapshot().version)

    def delegated_roles(self) -> list[str]:
        """Return the names of the delegated roles."""
        delegations = self.targets().delegations
        return sorted(delegations.roles) if delegations and delegations.roles else []

    def publish(self) -> None:
        """Let the stations see what was changed."""
        self.do_snapshot()
        self.do_timestamp()

    def place(self, path: str, content: bytes) -> TargetFile:
        """Write the target *path*; return its entry. It is no target yet."""
        target = TargetFile.from_data(path, content, ["sha256"])
        folder, _, name = path.rpartition("/")
        file = self.path / TARGETS / folder / f"{target.hashes['sha256']}.{name}"
        file.parent.mkdir(parents=True, exist_ok=True)
        publish(file, content, mode=0o644)
        return target

    def require_exists(self) -> None:
        """Raise NoRegistryError if the folder holds no registry."""
        if self._newest(Root.type) is None:
            raise NoRegistryError(
                f"{self.path}: no registry; make one with: taktgate registry init"
            )

    def _signers_of(self, role: str, md: Metadata[Any]) -> tuple[list[Key], int]:
        delegator = md.signed if role == Root.type else self._delegator(role)
        delegated = delegator.get_delegated_role(role)
        return [delegator.get_key(keyid) for keyid in delegated.keyids], delegated.threshold

    def _delegator(self, role: str) -> Root | Targets:
        return (
            self.root() if role in (Targets.type, Snapshot.type, Timestamp.type) else self.targets()
        )

    def _newest(self, role: str) -> Path | None:
        folder = self.path / METADATA
        if role == Timestamp.type:
            file = folder / "timestamp.json"
            return file if file.exists() else None
        found = [
            (int(match["version"]), file)
            for file in folder.glob("*.json")
            if (match := _VERSIONED.fullmatch(file.name)) and match["role"] == role
        ]
        return max(found)[1] if found else None

    def _file_name(self, role: str, version: int) -> str:
        return "timestamp.json" if role == Timestamp.type else f"{version}.{role}.json"
