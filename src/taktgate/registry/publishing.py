"""What a publisher does to a registry: begin it, add models, let them go out, take them back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from taktgate.bundle.manifest import Manifest
from taktgate.bundle.source import SourceModel
from taktgate.bundle.targets import (
    SOURCES_PATTERNS,
    SOURCES_ROLE,
    BundleFacts,
    HilStatus,
    ReleaseState,
    bundle_path,
    class_patterns,
    class_role,
    source_path,
)
from taktgate.registry.errors import DuplicateError, NoSuchBundleError, TransitionError
from taktgate.registry.keys import KeyFolder
from taktgate.registry.repository import METADATA, RegistryFiles

_ONLINE_ROLES: Final = (Targets.type, Snapshot.type, Timestamp.type)
S = ReleaseState
STEPS: Final = frozenset(
    {
        (S.REGISTERED, S.CI_PASSED),
        (S.CI_PASSED, S.HIL_PASSED),
        (S.HIL_PASSED, S.RELEASED),
        (S.CI_PASSED, S.RELEASED),
    }
)
"""The ways up; RELEASED straight from CI_PASSED needs a waiver. Down, to REVOKED, goes from all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKeys:
    """How many root keys there are, and how many of them must sign."""

    count: int = 3
    threshold: int = 2


class Publisher:
    """A registry that is written."""

    def __init__(self, path: Path, *, keys: Path) -> None:
        """Work on the registry in *path* with the private keys in *keys*."""
        self.files = RegistryFiles(path, keys=KeyFolder(path=keys))

    def init(self, *, root_keys: RootKeys | None = None) -> bytes:
        """Begin a registry with new keys; return the root metadata that stations must trust."""
        keys = root_keys or RootKeys()
        folder = self.files.keys
        with self.files.edit_root() as root:
            root.consistent_snapshot = True
            for number in range(1, keys.count + 1):
                root.add_key(folder.create(f"root-{number}").public_key, Root.type)
            root.roles[Root.type].threshold = keys.threshold
            for role in _ONLINE_ROLES:
                root.add_key(folder.create(f"{role}-1").public_key, role)
        with self.files.edit_targets() as targets:
            targets.delegations = Delegations(keys={}, roles={})
        self._delegate(SOURCES_ROLE, SOURCES_PATTERNS)
        self.files.publish()
        return (self.files.path / METADATA / "1.root.json").read_bytes()

    def add_source(self, source: SourceModel, model: bytes) -> None:
        """Add a source model and its ONNX file.

        Raises:
            DuplicateError: the version stands for another source model.
        """
        self.files.require_exists()
        files = {"source.json": source.to_bytes(), "model.onnx": model}
        with self.files.edit_targets(SOURCES_ROLE) as targets:
            for name, content in files.items():
                path = source_path(source.name, source.version, name)  # type: ignore[arg-type]
                self._require_new(targets.targets.get(path), content)
                targets.targets[path] = self.files.place(path, content)
        self.files.publish()

    def add_bundle(self, archive: Path, manifest: Manifest, digest: str) -> BundleFacts:
        """Add the bundle in *archive*, in the state REGISTERED; return its facts.

        Raises:
            DuplicateError: name, version and class stand for another bundle.
        """
        self.files.require_exists()
        role = class_role(manifest.device_class)
        if role not in self.files.delegated_roles():
            self._delegate(role, class_patterns(manifest.device_class))
        path = bundle_path(manifest.name, manifest.version, manifest.device_class)
        content = archive.read_bytes()
        with self.files.edit_targets(role) as targets:
            self._require_new(targets.targets.get(path), content)
            serial = 1 + max((facts.serial for facts in _facts_in(targets)), default=0)
            facts = BundleFacts.of(manifest, digest=digest, serial=serial)
            target = self.files.place(path, content)
            target.unrecognized_fields["custom"] = facts.to_custom()
            targets.targets[path] = target
        self.files.publish()
        return facts

    def promote(
        self, name: str, version: str, device_class: str, to: ReleaseState, *, waiver: str = ""
    ) -> BundleFacts:
        """Move a bundle one step up; return its facts.

        Raises:
            NoSuchBundleError: there is none of that name, version and class.
            TransitionError: there is no such step, or HIL is neither passed nor waived.
        """

        def step(facts: BundleFacts) -> BundleFacts:
            if (facts.state, to) not in STEPS:
                raise TransitionError(f"{name} {version}: {facts.state} cannot become {to}")
            hil = {S.HIL_PASSED: HilStatus.PASSED}.get(to, facts.hil)
            if to is S.RELEASED and facts.state is S.CI_PASSED:
                if not waiver:
                    raise TransitionError(f"{name} {version}: HIL must be passed or waived")
                return facts.model_copy(
                    update={"state": to, "hil": HilStatus.WAIVED, "note": waiver}
                )
            return facts.model_copy(update={"state": to, "hil": hil})

        return self._change(name, version, device_class, step)

    def revoke(self, name: str, version: str, device_class: str, *, note: str) -> BundleFacts:
        """Take a bundle back; return its facts.

        Raises:
            NoSuchBundleError: there is none of that name, version and class.
        """
        update = {"state": S.REVOKED, "note": note}
        return self._change(
            name, version, device_class, lambda facts: facts.model_copy(update=update)
        )

    def _change(
        self,
        name: str,
        version: str,
        device_class: str,
        change: Callable[[BundleFacts], BundleFacts],
    ) -> BundleFacts:
        self.files.require_exists()
        path, role = bundle_path(name, version, device_class), class_role(device_class)
        if role not in self.files.delegated_roles():
            raise NoSuchBundleError(path)
        with self.files.edit_targets(role) as targets:
            if path not in targets.targets:
                raise NoSuchBundleError(path)
            target = targets.targets[path]
            facts = change(BundleFacts.from_custom(target.custom))
            target.unrecognized_fields["custom"] = facts.to_custom()
        self.files.publish()
        return facts

    def _delegate(self, role: str, patterns: list[str]) -> None:
        key = self.files.keys.create(f"{role}-1").public_key
        with self.files.edit_targets() as targets:
            assert targets.delegations is not None
            assert targets.delegations.roles is not None
            targets.delegations.roles[role] = DelegatedRole(
                role, [], threshold=1, terminating=True, paths=patterns
            )
            targets.add_key(key, role)
        with self.files.edit_targets(role):
            pass  # its first version, empty

    def _require_new(self, known: TargetFile | None, content: bytes) -> None:
        if known is None:
            return
        if (
            known.length != len(content)
            or known.hashes != TargetFile.from_data(known.path, content, ["sha256"]).hashes
        ):
            raise DuplicateError(f"{known.path} stands for another file already")


def _facts_in(targets: Targets) -> list[BundleFacts]:
    return [
        BundleFacts.from_custom(target.custom)
        for path, target in targets.targets.items()
        if path.startswith("bundles/")
    ]
