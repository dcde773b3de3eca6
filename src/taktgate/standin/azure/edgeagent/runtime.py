"""The port through which edgeAgent runs modules: as local processes, or as containers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from taktgate.standin.azure.edgeagent.manifest import ModuleSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Where modules run, as `runtime.platform` reports it."""

    os: str
    architecture: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleRecipe:
    """All that is needed to make a module."""

    spec: ModuleSpec
    env: Mapping[str, str]
    """The manifest's variables, without those of the create options."""
    identity: Mapping[str, str]
    """The IOTEDGE_* variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a module's output."""

    stamped_s: float
    """When it was written, in seconds since 1970 of the world's clock."""
    stream: str
    """`stdout` or `stderr`."""
    text: str
    """With its line end, if it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogWindow:
    """Which lines are wanted, by their stamps (seconds since 1970); None has no bound."""

    since_s: float | None = None
    until_s: float | None = None

    def holds(self, stamped_s: float) -> bool:
        """Tell whether a line of that time is wanted."""
        if self.since_s is not None and stamped_s < self.since_s:
            return False
        return self.until_s is None or stamped_s <= self.until_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """What the runtime says of a module that was made."""

    is_running: bool
    exit_code: int = 0
    image_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryLogin:
    """A user of an image registry, from `runtime.settings.registryCredentials`."""

    address: str
    username: str = field(repr=False)
    password: str = field(repr=False)


class ModuleRuntime(Protocol):
    """Makes and runs modules by name. Each call but `kill` may raise StepFailedError."""

    async def open(self) -> Platform:
        """Get ready. Raises EngineUnreachableError when there is nothing that runs modules."""

    async def close(self) -> None:
        """Let go of the runtime; modules are not touched."""

    async def has_image(self, image: str) -> bool:
        """Tell whether an image is there."""

    async def pull(self, image: str, logins: Sequence[RegistryLogin]) -> None:
        """Get an image. Raises StepFailedError, with the reason, when it cannot be had."""

    async def create(self, recipe: ModuleRecipe) -> None:
        """Make a module, in place of one of that name. Raises StepFailedError without its image."""

    async def start(self, name: str) -> int:
        """Start a module; return the id of its first process."""

    async def wait(self, name: str) -> int:
        """Return the exit code once the module has ended."""

    async def stop(self, name: str, grace_s: float) -> int:
        """Ask a module to end, kill it after *grace_s*, and return its exit code."""

    async def kill(self, name: str) -> None:
        """Kill a module's processes, as a fault."""

    async def remove(self, name: str) -> None:
        """Forget a module; without effect when there is none."""

    async def state(self, name: str) -> ContainerState | None:
        """Return a module's state, or None when there is none of that name."""

    async def logs(self, name: str, window: LogWindow) -> list[LogLine]:
        """Return a module's output, oldest first. Raises StepFailedError without such a module."""


def registry_logins(runtime: Mapping[str, Any]) -> list[RegistryLogin]:
    """Return the registry users of a deployment's `runtime`; malformed ones are left out."""
    settings = runtime.get("settings")
    credentials = settings.get("registryCredentials") if isinstance(settings, Mapping) else None
    if not isinstance(credentials, Mapping):
        return []
    return [
        RegistryLogin(
            address=str(entry["address"]),
            username=str(entry.get("username", "")),
            password=str(entry.get("password", "")),
        )
        for entry in credentials.values()
        if isinstance(entry, Mapping) and "address" in entry
    ]
