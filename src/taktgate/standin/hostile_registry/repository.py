"""A TUF repository in memory: every role can be changed, and is signed when it is asked for.

It has all keys, so it can play an honest registry, one whose keys were stolen, and a mirror that
has none: what a test does to it says which. In the spirit of python-tuf's own simulator, so that
its named cases can be told one to one.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from taktgate.bundle.targets import (
    BundleFacts,
    HilStatus,
    ReleaseState,
    bundle_path,
    class_patterns,
    class_role,
)

Answer = bytes | Callable[[], Iterator[bytes]]
"""What is sent for a file: its bytes, or a stream of no stated length."""
TOP_LEVEL: Final = (Root.type, Timestamp.type, Snapshot.type, Targets.type)
_FILE: Final = re.compile(r"(?:(?P<version>\d+)\.)?(?P<role>.+)\.json")


def in_days(days: float) -> datetime:
    """Return the time *days* from now; TUF counts whole seconds."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


@dataclass(slots=True)
class HostileRegistry:
    """A registry with one key for each role, in version 1.

    Attributes:
        roles: What is signed, by role; changed in place.
        signers: Who signs for a role. All of them do.
        roots: The published roots, by version.
        says_hashes: Whether length and hashes of metadata are signed, beside its version.
        archives: Target files, by the path of their URL below `targets/`.
        answers: What is sent instead of a file, by the path of its URL.
        asked: The paths of all requests so far.
    """

    roles: dict[str, Any] = field(default_factory=dict)
    signers: dict[str, list[CryptoSigner]] = field(default_factory=dict)
    roots: dict[int, bytes] = field(default_factory=dict)
    says_hashes: bool = False
    archives: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with empty targets, and publish."""
        for role, kind in zip(TOP_LEVEL, (Root, Timestamp, Snapshot, Targets), strict=True):
            self.roles[role] = kind(expires=in_days(30))
        self.targets.delegations = Delegations({}, {})
        for role in TOP_LEVEL:
            self.rotate(role)
        self.publish_root()

    @property
    def root(self) -> Root:
        """The next root, or the last one published."""
        root: Root = self.roles[Root.type]
        return root

    @property
    def timestamp(self) -> Timestamp:
        """The timestamp."""
        timestamp: Timestamp = self.roles[Timestamp.type]
        return timestamp

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot."""
        snapshot: Snapshot = self.roles[Snapshot.type]
        return snapshot

    @property
    def targets(self) -> Targets:
        """The top-level targets."""
        targets: Targets = self.roles[Targets.type]
        return targets

    def rotate(self, role: str, *, keys: int = 1, threshold: int = 1) -> None:
        """Give a top-level *role* new keys; the old ones sign no more, but for root."""
        old = self.signers.get(role, []) if role == Root.type else []
        new = [CryptoSigner.generate_ed25519() for _ in range(keys)]
        for keyid in list(self.root.roles[role].keyids):
            self.root.revoke_key(keyid, role)
        for signer in new:
            self.root.add_key(signer.public_key, role)
        self.root.roles[role].threshold = threshold
        self.signers[role] = new + old

    def publish_root(self, *, version: int | None = None) -> None:
        """Publish the root as it is, under the name of *version*, its own by default."""
        self.roots[version or self.root.version] = self.signed(Root.type)

    def next_root(self) -> None:
        """Publish the root as it is as the next version."""
        self.root.version += 1
        self.publish_root()

    def update_timestamp(self) -> None:
        """Let the next timestamp name the snapshot as it is."""
        self.timestamp.snapshot_meta = self._meta_of(Snapshot.type)
        self.timestamp.version += 1

    def update_snapshot(self) -> None:
        """Let the next snapshot, and the next timestamp, name all targets roles as they are."""
        for role, signed in self.roles.items():
            if isinstance(signed, Targets):
                self.snapshot.meta[f"{role}.json"] = self._meta_of(role)
        self.snapshot.version += 1
        self.update_timestamp()

    def delegate(
        self,
        role: str,
        paths: list[str],
        *,
        by: str = Targets.type,
        terminating: bool = False,
        keys: int = 1,
        threshold: int = 1,
    ) -> Targets:
        """Let *role* sign for *paths*; return its targets. Not seen before update_snapshot()."""
        delegator: Targets = self.roles[by]
        if delegator.delegations is None:
            delegator.delegations = Delegations({}, {})
        assert delegator.delegations.roles is not None
        delegator.delegations.roles[role] = DelegatedRole(role, [], threshold, terminating, paths)
        if role not in self.signers:
            self.signers[role] = [CryptoSigner.generate_ed25519() for _ in range(keys)]
        for signer in self.signers[role]:
            delegator.add_key(signer.public_key, role)
        targets: Targets = self.roles.setdefault(role, Targets(expires=in_days(30)))
        return targets

    def delegate_class(self, device_class: str) -> str:
        """Let the role of *device_class* sign what is its own; return the role."""
        role = class_role(device_class)
        self.delegate(role, class_patterns(device_class), terminating=True)
        return role

    def add_bundle(self, version: str, *, role: str, device_class: str, **facts: Any) -> str:
        """Let *role* sign a released bundle; return its path. Not seen before update_snapshot()."""
        path = bundle_path("weld-seam", version, device_class)
        content = f"no bundle, but bytes of {path}".encode() * 50
        target = TargetFile.from_data(path, content, ["sha256"])
        about = facts_of(version, device_class, **facts)
        target.unrecognized_fields["custom"] = about.to_custom()
        self.roles[role].targets[path] = target
        folder, _, name = path.rpartition("/")
        self.archives[f"{folder}/{target.hashes['sha256']}.{name}"] = content
        return path

    def signed(self, role: str) -> bytes:
        """Return the metadata of *role*, signed by all its signers."""
        metadata: Metadata[Any] = Metadata(self.roles[role])
        for signer in self.signers[role]:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def answer(self, path: str) -> Answer | None:
        """Return what is sent for the URL path *path*, None if there is nothing."""
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        folder, _, name = path.partition("/")
        if folder == "targets":
            return self.archives.get(unquote(name))
        match = _FILE.fullmatch(name)
        if folder != "metadata" or match is None:
            return None
        role = unquote(match["role"])
        if role == Root.type:
            return self.roots.get(int(match["version"] or 0))
        return self.signed(role) if role in self.roles else None

    def _meta_of(self, role: str) -> MetaFile:
        version = self.roles[role].version
        if not self.says_hashes:
            return MetaFile(version)
        content = self.signed(role)
        return MetaFile(version, len(content), {"sha256": hashlib.sha256(content).hexdigest()})


def facts_of(version: str, device_class: str, **changes: Any) -> BundleFacts:
    """Return facts of a released bundle, with *changes*."""
    digest = "sha256:" + hashlib.sha256(f"{version} {device_class}".encode()).hexdigest()
    facts = {
        "digest": digest,
        "name": "weld-seam",
        "version": version,
        "device_class": device_class,
        "source_digest": digest,
        "kind": "onnx",
        "precision": "fp32",
        "ort": None,
        "opset": 18,
        "ir_version": 8,
        "unpacked_bytes": 1000,
        "serial": 1,
        "state": ReleaseState.RELEASED,
        "hil": HilStatus.PASSED,
    }
    return BundleFacts.model_validate(facts | changes)
