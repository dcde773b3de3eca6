"""Which runtime a device has."""

from collections.abc import Mapping
from pathlib import Path

from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.edgeagent.docker.runtime import DockerRuntime
from taktgate.standin.azure.edgeagent.docker.settings import DockerSettings
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.edgeagent.process_runtime import ProcessRuntime
from taktgate.standin.azure.edgeagent.runtime import ModuleRuntime


def new_runtime(
    docker: DockerSettings | None,
    *,
    device: str,
    images: ProcessImages,
    directory: Path,
    volumes: Mapping[str, Path],
    clock: Clock,
) -> ModuleRuntime:
    """Return containers where an engine is named, else local processes."""
    if docker is not None:
        return DockerRuntime(docker, device=device)
    return ProcessRuntime(images, directory=directory, volumes=volumes, clock=clock)
