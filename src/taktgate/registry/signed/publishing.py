"""What a publisher does to a registry: begin it, add models, let them go out, take them back."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuf.api.metadata import DelegatedRole, Delegations, Root, TargetFile, Targets

from taktgate.bundle.manifest import Manifest
from taktgate.bundle.source import SourceModel
from taktgate.bundle.targets import (
    SOURCES_PATTERNS,
    SOURCES_ROLE,
    BundleFacts,
    ReleaseState,
    bundle_path,
    class_patterns,
    class_role,
    report_path,
    source_path,
)
from taktgate.edge.file_system import LOCAL, FileSystem
from taktgate.registry.errors import (
    DuplicateError,
    KeyFolderError,
    NoSuchBundleError,
    RegistryExistsError,
)
from taktgate.registry.signed.keys import KeyRing
from taktgate.registry.signed.releases import lowered, promoted, require_floor, revoked
from taktgate.registry.signed.reports import Report
from taktgate.registry.signed.repository import ROOT_ROLES, RegistryFiles
from taktgate.registry.signed.settings import SETTINGS_FILE, RegistrySettings

_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKeys:
    """How many root keys there are, and how many of them must sign."""

    count: int = 3
    threshold: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= self.count <= 20:
            raise ValueError(
                f"root keys must be 1 to 20 and their threshold 1 to as many, "
                f"got {self.count} and {self.threshold}"
            )


class Publisher:
    """A registry that is written."""

    def __init__(
        self,
        path: Path,
        *,
        keys: Path | Sequence[Path],
        passphrases: Sequence[bytes] = (),
        files: FileSystem = LOCAL,
    ) -> None:
        """Work on the registry in *path* with the private keys in *keys*.

        New keys are made in the first folder of *keys*, encrypted by the first of *passphrases*.
        """
        folders = [keys] if isinstance(keys, Path) else keys
        ring = KeyRing(folders, passphrases=passphrases, files=files)
        self.files = RegistryFiles(path, keys=ring, files=files)

    def init(
        self, *, root_keys: RootKeys | None = None, settings: RegistrySettings | None = None
    ) -> bytes:
        """Begin a registry with new keys; return the root metadata that stations must trust.

        Cut off, it goes on when it is called again.

        Raises:
            RegistryExistsError: there is one.
            KeyFolderError: the folder holds keys of something else.
            PassphraseError: what was cut off had another passphrase.
            DiskError: a folder cannot be written.
        """
        files = self.files
        files.look_again()
        if files.is_complete():
            raise RegistryExistsError(f"{files.path}: holds a registry already")
        if not (files.path / SETTINGS_FILE).exists():
            if not files.keys.is_empty():
                raise KeyFolderError(
                    f"{files.keys.folders[0]}: holds keys already; a registry needs its own"
                )
            files.write_settings(settings or RegistrySettings(), SETTINGS_FILE)
        with files.held():
            if not files.version(Root.type):
                self._begin_root(root_keys or RootKeys())
            self._ensure_delegated(SOURCES_ROLE, SOURCES_PATTERNS)
            files.publish()
        return files.path_of(Root.type, 1).read_bytes()

    def add_source(self, source: SourceModel, model: bytes) -> None:
        """Add a source model and its ONNX file. The same ones again change nothing.

        Raises:
            DuplicateError: the version stands for another source model.
            KeyMissingError: a key that must sign is not at hand.
        """
        contents = {"source.json": source.to_bytes(), "model.onnx": model}
        paths = {
            source_path(source.name, source.version, name): content  # type: ignore[arg-type]
            for name, content in contents.items()
        }
        with self.files.change():
            self.files.require_signers(SOURCES_ROLE)
            known = self.files.targets(SOURCES_ROLE).targets
            for path, content in paths.items():
                _require_same(known.get(path), hashlib.sha256(content).hexdigest())
            if paths.keys() <= known.keys():
                return
            with self.files.edit_targets(SOURCES_ROLE) as targets:
                for path, content in paths.items():
                    targets.targets[path] = self.files.place(path, (content,))

    def add_bundle(self, archive: Path, manifest: Manifest, digest: str) -> BundleFacts:
        """Add the bundle in *archive*, in the state REGISTERED; return its facts.

        The same bytes again change nothing. The caller has verified them: see `admission`.

        Raises:
            DuplicateError: name, version and class stand for another bundle.
            KeyMissingError: a key that must sign is not at hand.
        """
        role = class_role(manifest.device_class)
        path = bundle_path(manifest.name, manifest.version, manifest.device_class)
        with self.files.change():
            self._ensure_delegated(role, class_patterns(manifest.device_class))
            self.files.require_signers(role)
            known = self.files.targets(role).targets
            if path in known:
                _require_same(known[path], _sha256_of(archive))
                return BundleFacts.from_custom(known[path].custom)
            serials = [its.serial for its in _facts_in(known) if its.name == manifest.name]
            facts = BundleFacts.of(manifest, digest=digest, serial=1 + max(serials, default=0))
            target = self.files.place(path, _chunks_of(archive))
            with self.files.edit_targets(role) as targets:
                _set_facts(target, facts)
                targets.targets[path] = target
        return facts

    def promote(
        self,
        name: str,
        version: str,
        device_class: str,
        to: ReleaseState,
        *,
        waiver: str = "",
        report: Report | None = None,
    ) -> BundleFacts:
        """Move a bundle one step up; return its facts.

        Raises:
            NoSuchBundleError: there is none of that name, version and class.
            TransitionError: there is no such step, or HIL is neither passed nor waived.
            ReportError: the report is missing or another one than the manifest names.
            KeyMissingError: a key that must sign is not at hand.
        """
        digest = report.digest if report else None
        return self._change(
            bundle_path(name, version, device_class),
            device_class,
            lambda facts: promoted(facts, to, waiver=waiver, report=digest),
            report,
        )

    def revoke(self, name: str, version: str, device_class: str, *, note: str) -> BundleFacts:
        """Take a bundle back; return its facts.

        Raises:
            NoSuchBundleError: there is none of that name, version and class.
            TransitionError: the note is empty or too long.
            KeyMissingError: a key that must sign is not at hand.
        """
        path = bundle_path(name, version, device_class)
        return self._change(path, device_class, lambda facts: revoked(facts, note))

    def floor(self, name: str, version: str, device_class: str) -> list[BundleFacts]:
        """Make a bundle the oldest of its name that stations may run; return what went below.

        What is added later has a higher serial, so nothing can come in below the floor.

        Raises:
            NoSuchBundleError: there is none of that name, version and class.
            TransitionError: it is not released.
            KeyMissingError: a key that must sign is not at hand.
        """
        role, path = class_role(device_class), bundle_path(name, version, device_class)
        with self.files.change():
            floor = self._facts(role, path)
            require_floor(floor)
            known = _facts_in(self.files.targets(role).targets)
            changed = [after for its in known if (after := lowered(its, floor)) != its]
            if changed:
                with self.files.edit_targets(role) as targets:
                    for facts in changed:
                        its_path = bundle_path(facts.name, facts.version, device_class)
                        _set_facts(targets.targets[its_path], facts)
        return changed

    def _change(
        self,
        path: str,
        device_class: str,
        change: Callable[[BundleFacts], BundleFacts],
        report: Report | None = None,
    ) -> BundleFacts:
        role = class_role(device_class)
        with self.files.change():
            before = self._facts(role, path)
            facts = change(before)
            if facts == before:
                return facts
            with self.files.edit_targets(role) as targets:
                if report is not None:
                    its_path = report_path(device_class, report.digest)
                    targets.targets[its_path] = self.files.place(its_path, (report.content,))
                _set_facts(targets.targets[path], facts)
        return facts

    def _facts(self, role: str, path: str) -> BundleFacts:
        """Return the facts of the bundle *path*, which *role* can sign here."""
        if role not in self.files.delegated_roles():
            raise NoSuchBundleError(f"{path}: no such bundle, and none of its class")
        self.files.require_signers(role)
        target = self.files.targets(role).targets.get(path)
        if target is None:
            raise NoSuchBundleError(f"{path}: no such bundle")
        return BundleFacts.from_custom(target.custom)

    def _begin_root(self, keys: RootKeys) -> None:
        with self.files.edit_root() as root:
            root.consistent_snapshot = True
            for number in range(1, keys.count + 1):
                root.add_key(self.files.keys.make(f"root-{number}"), Root.type)
            root.roles[Root.type].threshold = keys.threshold
            for role in ROOT_ROLES[1:]:
                root.add_key(self.files.keys.make(f"{role}-1"), role)

    def _ensure_delegated(self, role: str, patterns: list[str]) -> None:
        if role in self.files.delegated_roles():
            return
        self.files.require_signers(Targets.type)
        key = self.files.keys.make(f"{role}-1")
        self.files.begin_role(role, key)
        with self.files.edit_targets() as targets:
            delegations = targets.delegations or Delegations(keys={}, roles={})
            assert delegations.roles is not None
            delegations.roles[role] = DelegatedRole(
                role, [], threshold=1, terminating=True, paths=patterns
            )
            targets.delegations = delegations
            targets.add_key(key, role)


def _require_same(known: TargetFile | None, sha256: str) -> None:
    if known is not None and known.hashes.get("sha256") != sha256:
        raise DuplicateError(f"{known.path}: stands for another file already")


def _set_facts(target: TargetFile, facts: BundleFacts) -> None:
    target.unrecognized_fields["custom"] = facts.to_custom()


def _facts_in(targets: dict[str, TargetFile]) -> list[BundleFacts]:
    return [
        BundleFacts.from_custom(target.custom)
        for path, target in targets.items()
        if path.startswith("bundles/")
    ]


def _sha256_of(archive: Path) -> str:
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _chunks_of(archive: Path) -> Iterator[bytes]:
    with archive.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            yield chunk
