"""What is in a registry, how far it got, and until when it is trusted."""

import datetime
from dataclasses import dataclass
from typing import Any

from tuf.api.metadata import Snapshot

from taktgate.bundle.targets import BundleFacts
from taktgate.registry.delivery.published import published
from taktgate.registry.signed.keys import name_of
from taktgate.registry.signed.repository import RegistryFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleLine:
    """A role of the registry.

    Attributes:
        version: The newest.
        seen: The version that stations see; lower only where a command was cut off.
        keys: Names of its keys.
        at_hand: Names of those whose file is in the key folders.
    """

    role: str
    version: int
    seen: int
    expires: datetime.datetime
    threshold: int
    keys: tuple[str, ...]
    at_hand: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleLine:
    """A bundle of the registry, with the size of its archive."""

    facts: BundleFacts
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A registry at one moment."""

    now: datetime.datetime
    roles: tuple[RoleLine, ...]
    bundles: tuple[BundleLine, ...]
    sources: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "roles": [
                {
                    "role": its.role,
                    "version": its.version,
                    "seen": its.seen,
                    "expires": its.expires.isoformat(),
                    "daysLeft": round((its.expires - self.now).total_seconds() / 86400, 2),
                    "threshold": its.threshold,
                    "keys": list(its.keys),
                    "atHand": list(its.at_hand),
                }
                for its in self.roles
            ],
            "bundles": [
                its.facts.model_dump(mode="json", by_alias=True) | {"size_bytes": its.size_bytes}
                for its in self.bundles
            ],
            "sources": list(self.sources),
        }


def overview(files: RegistryFiles) -> Overview:
    """Return what stations see of the registry, and what they do not see yet.

    Raises:
        NoRegistryError: there is none.
        RegistryError: a file is damaged.
    """
    files.look_again()
    state = published(files.path)
    seen = _seen_versions(files)
    bundles = [
        BundleLine(facts=BundleFacts.from_custom(target.custom), size_bytes=target.length)
        for path, target in state.targets.items()
        if path.startswith("bundles/")
    ]
    sources = {
        path.rpartition("/")[0].removeprefix("sources/")
        for path in state.targets
        if path.startswith("sources/")
    }
    return Overview(
        now=files.clock(),
        roles=tuple(_line(files, role, seen.get(role)) for role in files.roles()),
        bundles=tuple(
            sorted(
                bundles, key=lambda its: (its.facts.name, its.facts.device_class, its.facts.serial)
            )
        ),
        sources=tuple(sorted(sources)),
    )


def _line(files: RegistryFiles, role: str, seen: int | None) -> RoleLine:
    keys = files.keys_of(role)
    version = files.version(role)
    return RoleLine(
        role=role,
        version=version,
        seen=version if seen is None else seen,
        expires=files.open(role).signed.expires,
        threshold=files.delegator(role).get_delegated_role(role).threshold,
        keys=tuple(map(name_of, keys)),
        at_hand=tuple(name_of(key) for key in keys if files.keys.lies_here(key)),
    )


def _seen_versions(files: RegistryFiles) -> dict[str, int]:
    timestamp = files.timestamp()
    version = timestamp.snapshot_meta.version
    meta = files.read(files.path_of(Snapshot.type, version)).signed.meta
    roles = {name.removesuffix(".json"): its.version for name, its in meta.items()}
    new = dict.fromkeys(files.delegated_roles(), 0)
    return {**new, **roles, Snapshot.type: version}
