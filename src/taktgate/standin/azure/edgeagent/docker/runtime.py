"""Modules as containers of a Docker Engine."""

import logging
from collections.abc import Sequence
from urllib.parse import quote

from taktgate.standin.azure.edgeagent.docker.engine import (
    DockerEngine,
)
from taktgate.standin.azure.edgeagent.docker.recipe import (
    OWNER,
    OWNER_LABEL,
    container_name,
    create_body,
    pull_query,
    registry_auth,
)
from taktgate.standin.azure.edgeagent.docker.settings import HOST_NETWORK, DockerSettings
from taktgate.standin.azure.edgeagent.docker.stream import (
    FrameReader,
    PullProgress,
    log_lines,
)
from taktgate.standin.azure.edgeagent.errors import ConflictError, NotFoundError, StepFailedError
from taktgate.standin.azure.edgeagent.runtime import (
    ContainerState,
    LogLine,
    LogWindow,
    ModuleRecipe,
    Platform,
    RegistryLogin,
)
from taktgate.standin.azure.json_types import JsonObject

log = logging.getLogger(__name__)

PULL_SILENCE_S = 300.0
"""How long a pull may say nothing before it counts as failed."""
STOP_MARGIN_S = 30.0


class DockerRuntime:
    """Runs the modules of one device as containers."""

    def __init__(self, settings: DockerSettings, *, device: str) -> None:
        self._settings = settings
        self._device = device
        self._engine = DockerEngine(settings.socket)

    async def open(self) -> Platform:
        """Connect to the engine, and make the modules' network if it is missing.

        Raises:
            EngineUnreachableError: No engine answers at the socket.
        """
        about = await self._engine.open()
        if self._settings.network != HOST_NETWORK:
            await self._ensure_network(self._settings.network)
        return Platform(
            os=str(about.get("Os", "")),
            architecture=str(about.get("Arch", "")),
            version=str(about.get("Version", "")),
        )

    async def close(self) -> None:
        """Let go of the engine; containers are not touched."""
        await self._engine.close()

    async def has_image(self, image: str) -> bool:
        """Tell whether the engine has an image."""
        pull_query(image)
        try:
            await self._engine.call("GET", f"/images/{quote(image, safe='/:@')}/json")
        except NotFoundError:
            return False
        return True

    async def pull(self, image: str, logins: Sequence[RegistryLogin]) -> None:
        """Pull an image.

        Raises:
            StepFailedError: The registry or the engine refuses.
        """
        progress = PullProgress()
        try:
            async with self._engine.answer(
                "POST",
                "/images/create",
                query=pull_query(image),
                headers=registry_auth(image, logins),
                timeout_s=PULL_SILENCE_S,
            ) as answer:
                async for data in answer.content.iter_any():
                    progress.feed(data)
            progress.finish()
        except StepFailedError as error:
            raise type(error)(f"Could not pull image {image}: {error}") from error

    async def create(self, recipe: ModuleRecipe) -> None:
        """Make a container, in place of one that an earlier edgeAgent has left."""
        name = container_name(self._device, recipe.spec.name)
        body = create_body(self._device, recipe, self._settings)
        try:
            await self._post("/containers/create", body=body, query={"name": name})
        except ConflictError as error:
            await self._remove_leftover(recipe.spec.name, error)
            await self._post("/containers/create", body=body, query={"name": name})

    async def start(self, name: str) -> int:
        """Start a container; return the id of its first process, 0 if it has ended already."""
        await self._post(f"{self._path(name)}/start")
        state = (await self._inspect(name)).get("State") or {}
        return int(state.get("Pid") or 0)

    async def wait(self, name: str) -> int:
        """Return the exit code once the container does not run."""
        answer = await self._engine.call(
            "POST",
            f"{self._path(name)}/wait",
            query={"condition": "not-running"},
            timeout_s=None,
        )
        return int(answer.get("StatusCode", 0))

    async def stop(self, name: str, grace_s: float) -> int:
        """Stop a container and return its exit code."""
        await self._engine.call(
            "POST",
            f"{self._path(name)}/stop",
            query={"t": str(max(1, round(grace_s)))},
            timeout_s=grace_s + STOP_MARGIN_S,
        )
        state = await self.state(name)
        return 0 if state is None else state.exit_code

    async def kill(self, name: str) -> None:
        """Kill a container, as a fault; one that does not run is left alone."""
        try:
            await self._post(f"{self._path(name)}/kill")
        except (ConflictError, NotFoundError):
            return

    async def remove(self, name: str) -> None:
        """Remove a container; named volumes stay."""
        try:
            await self._engine.call("DELETE", self._path(name), query={"force": "1"})
        except NotFoundError:
            return

    async def state(self, name: str) -> ContainerState | None:
        """Return what the engine says of a container."""
        try:
            found = await self._inspect(name)
        except NotFoundError:
            return None
        state = found.get("State") or {}
        return ContainerState(
            is_running=bool(state.get("Running")),
            exit_code=int(state.get("ExitCode") or 0),
            image_hash=str(found.get("Image") or ""),
        )

    async def logs(self, name: str, window: LogWindow) -> list[LogLine]:
        """Return a container's output, both streams in the order in which they were written."""
        query = {"stdout": "1", "stderr": "1", "timestamps": "1"}
        async with self._engine.answer("GET", f"{self._path(name)}/logs", query=query) as answer:
            content = await answer.read()
            # A container with a terminal has one stream without frames.
            is_raw = answer.content_type.endswith("raw-stream")
        frames = [("stdout", content)] if is_raw else FrameReader().feed(content)
        lines = [line for stream, text in frames for line in log_lines(stream, text)]
        return [line for line in lines if window.holds(line.stamped_s)]

    async def _ensure_network(self, network: str) -> None:
        try:
            await self._engine.call("GET", f"/networks/{quote(network, safe='')}")
        except NotFoundError:
            await self._post("/networks/create", body={"Name": network, "Driver": "bridge"})

    async def _remove_leftover(self, name: str, conflict: ConflictError) -> None:
        """Remove a container of that name, but none that is not edgeAgent's."""
        labels = ((await self._inspect(name)).get("Config") or {}).get("Labels") or {}
        if labels.get(OWNER_LABEL) != OWNER:
            raise StepFailedError(f"{conflict}; rule: it is not a module's") from conflict
        log.info("container of an earlier run removed", extra={"module_name": name})
        await self.remove(name)

    async def _inspect(self, name: str) -> JsonObject:
        return await self._engine.call("GET", f"{self._path(name)}/json")

    async def _post(
        self, path: str, *, body: JsonObject | None = None, query: dict[str, str] | None = None
    ) -> JsonObject:
        return await self._engine.call("POST", path, body=body, query=query)

    def _path(self, name: str) -> str:
        return f"/containers/{quote(container_name(self._device, name), safe='')}"
