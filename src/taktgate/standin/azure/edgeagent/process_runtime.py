"""Modules as local processes: an image is a command, a mount is a directory."""

import json
import logging
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from taktgate.edge import files
from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.edgeagent.errors import StepFailedError
from taktgate.standin.azure.edgeagent.logs.module_log import ModuleLog
from taktgate.standin.azure.edgeagent.manifest import ModuleSpec
from taktgate.standin.azure.edgeagent.module_process import ModuleProcess
from taktgate.standin.azure.edgeagent.mounts import plan_mounts
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.edgeagent.runtime import (
    ContainerState,
    LogLine,
    LogWindow,
    ModuleRecipe,
    Platform,
    RegistryLogin,
)
from taktgate.standin.azure.errors import ManifestError

log = logging.getLogger(__name__)

PULLED_FILE = "images.json"


@dataclass(slots=True, kw_only=True)
class _Made:
    """A module that was made; the counterpart of a container."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    process: ModuleProcess | None = None
    exit_code: int = 0


class ProcessRuntime:
    """Runs the modules of one device as processes of this machine."""

    def __init__(
        self, images: ProcessImages, *, directory: Path, volumes: Mapping[str, Path], clock: Clock
    ) -> None:
        """Prepare; nothing is written before a module is made.

        Args:
            images: The commands that stand in for images.
            directory: The device's directory: volumes, logs, working directories.
            volumes: Directories to use for named volumes or host paths instead of new ones.
            clock: Stamps the lines of logs.
        """
        self._images = images
        self._directory = directory
        self._volumes = volumes
        self._clock = clock
        self._made: dict[str, _Made] = {}
        self._logs: dict[str, ModuleLog] = {}

    async def open(self) -> Platform:
        """Return this machine's platform."""
        return Platform(
            os=platform.system().lower(),
            architecture=os.uname().machine,
            version=platform.release(),
        )

    async def close(self) -> None:
        """Nothing is held open."""

    async def has_image(self, image: str) -> bool:
        """Tell whether an image was pulled on this device before."""
        return image in self._pulled()

    async def pull(self, image: str, logins: Sequence[RegistryLogin]) -> None:
        """Note that an image is there.

        Raises:
            StepFailedError: No command stands in for it.
        """
        try:
            self._images.command(image)
        except ManifestError as error:
            raise StepFailedError(f"Could not pull image {image}: {error}") from error
        pulled = self._pulled()
        if image not in pulled:
            content = json.dumps(sorted({*pulled, image})).encode()
            self._directory.mkdir(parents=True, exist_ok=True)
            files.publish(self._directory / PULLED_FILE, content)

    async def create(self, recipe: ModuleRecipe) -> None:
        """Make a module.

        Raises:
            StepFailedError: Its image was not pulled, or a mount of it is not possible here.
        """
        spec = recipe.spec
        if not await self.has_image(spec.image):
            raise StepFailedError(f"No such image: {spec.image}")
        try:
            mounts = plan_mounts(
                spec.name, spec.create_options, directory=self._directory, volumes=self._volumes
            )
            mounts.create()
            command = self._images.command(spec.image)
        except (ManifestError, OSError) as error:
            raise StepFailedError(str(error)) from error
        given = {**_docker_env(spec), **recipe.env}
        self._made[spec.name] = _Made(
            command=command,
            environment={
                "PATH": os.environ.get("PATH", os.defpath),
                **{name: mounts.to_host(value) for name, value in given.items()},
                **recipe.identity,
            },
            directory=self._directory / "work" / spec.name,
        )

    async def start(self, name: str) -> int:
        """Start a module.

        Raises:
            StepFailedError: There is none of that name, or its program cannot be run.
        """
        made = self._known(name)
        made.process = await ModuleProcess.start(
            made.command,
            environment=made.environment,
            directory=made.directory,
            output=self.log_of(name),
        )
        return made.process.pid

    async def wait(self, name: str) -> int:
        """Return the exit code once the module has ended."""
        made = self._known(name)
        if made.process is not None:
            made.exit_code = await made.process.wait()
            made.process = None
        return made.exit_code

    async def stop(self, name: str, grace_s: float) -> int:
        """End a module and return its exit code."""
        made = self._known(name)
        if made.process is not None:
            made.exit_code = await made.process.stop(grace_s)
            made.process = None
        return made.exit_code

    async def kill(self, name: str) -> None:
        """Kill a module's processes, as a fault."""
        made = self._made.get(name)
        if made is not None and made.process is not None:
            made.process.kill()

    async def remove(self, name: str) -> None:
        """Forget a module. Its log stays: whoever rehearses wants to read it afterwards."""
        self._made.pop(name, None)

    async def state(self, name: str) -> ContainerState | None:
        """Return a module's state; a command has no digest."""
        made = self._made.get(name)
        if made is None:
            return None
        return ContainerState(is_running=made.process is not None, exit_code=made.exit_code)

    async def logs(self, name: str, window: LogWindow) -> list[LogLine]:
        """Return a module's output."""
        return self.log_of(name).read(window)

    def log_of(self, name: str) -> ModuleLog:
        """Return the log of a module, whether it exists or not."""
        known = self._logs.get(name)
        if known is None:
            path = self._directory / "logs" / f"{name}.log"
            known = self._logs[name] = ModuleLog(path, lambda: self._clock.utc().timestamp())
        return known

    def _known(self, name: str) -> _Made:
        try:
            return self._made[name]
        except KeyError:
            raise StepFailedError(f"No such container: {name}") from None

    def _pulled(self) -> frozenset[str]:
        try:
            return frozenset(json.loads((self._directory / PULLED_FILE).read_bytes()))
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError, TypeError) as error:
            log.error("list of pulled images is unreadable", extra={"reason": str(error)})
            return frozenset()


def _docker_env(spec: ModuleSpec) -> dict[str, str]:
    pairs = (str(item).partition("=") for item in spec.create_options.get("Env") or [])
    return {name: value for name, _, value in pairs}
