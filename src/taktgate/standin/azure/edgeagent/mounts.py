"""Mounts for modules that run as plain processes.

A process has no mount namespace. For every `HostConfig.Binds` entry
(`volume-or-host-path:/target[:ro]`) and every `HostConfig.Tmpfs` target a directory below the
device's directory stands in, and each environment value that is a target, or lies below one, is
rewritten to that directory. So a module must take every path from its environment; one that has
`/target` in its code would miss it.

A volume of one name is one directory, shared by all modules of the device; a tmpfs is private.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from taktgate.standin.azure.errors import ManifestError


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPlan:
    """Where the mount targets of one module are on this machine."""

    directories: Mapping[PurePosixPath, Path]

    def create(self) -> None:
        """Create the directories that do not exist."""
        for directory in self.directories.values():
            directory.mkdir(parents=True, exist_ok=True)

    def to_host(self, value: str) -> str:
        """Return an environment *value* with a mount target replaced by its directory."""
        if not value.startswith("/"):
            return value
        path = PurePosixPath(value)
        for target in sorted(self.directories, key=lambda each: len(each.parts), reverse=True):
            if path.is_relative_to(target):
                return str(self.directories[target] / path.relative_to(target))
        return value


def plan_mounts(
    module: str,
    create_options: Mapping[str, Any],
    *,
    directory: Path,
    volumes: Mapping[str, Path],
) -> MountPlan:
    """Return where a module's mount targets shall be.

    Args:
        module: The module's name.
        create_options: Its Docker create options.
        directory: The device's directory.
        volumes: Directories to use for named volumes or host paths instead of new ones.

    Raises:
        ManifestError: A bind is malformed, or a kind of mount is not supported here.
    """
    host_config = create_options.get("HostConfig") or {}
    if host_config.get("Mounts"):
        raise ManifestError(f"{module}: HostConfig.Mounts is not supported here; rule: use Binds")
    directories: dict[PurePosixPath, Path] = {}
    for bind in host_config.get("Binds") or []:
        source, target = _parse_bind(module, bind)
        given = volumes.get(source)
        directories[target] = given or volume_directory(directory, source)
    for target in host_config.get("Tmpfs") or {}:
        directories[PurePosixPath(target)] = directory / "tmpfs" / module / _file_name(target)
    return MountPlan(directories=directories)


def volume_directory(directory: Path, volume: str) -> Path:
    """Return the directory that stands in for *volume* (or a host path)."""
    return directory / "volumes" / _file_name(volume)


def _parse_bind(module: str, bind: Any) -> tuple[str, PurePosixPath]:
    parts = bind.split(":") if isinstance(bind, str) else []
    if len(parts) not in (2, 3) or not parts[0] or not parts[1].startswith("/"):
        raise ManifestError(f"{module}: bind {bind!r}; rule: source:/target[:ro]")
    return parts[0], PurePosixPath(parts[1])


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name.strip("/"))
