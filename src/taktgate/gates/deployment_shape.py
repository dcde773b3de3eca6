"""The shape of a base deployment: edgeAgent schema 1.1, edgeHub schema 1.2, Docker options.

Stricter than Microsoft's schemas where those are known to let typing errors pass: versions are
matched whole, and create options take only the Docker names listed here, with the right types.
"""
# ruff: noqa: N815 - the field names are Microsoft's

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from taktgate.contracts.codec import first_fault
from taktgate.gates.deployment import (
    CHUNK_CHARS,
    MAX_CHUNKS,
    DeploymentError,
    create_options_of,
    modules_of,
)

UInt32 = Annotated[int, Field(ge=0, le=4294967295)]
Chunk = Annotated[str, Field(max_length=CHUNK_CHARS)]
EnvName = Annotated[str, Field(pattern=r"^[^+#$\s.]+$")]
ModuleName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$")]
RouteName = Annotated[str, Field(pattern=r"^[^.$# ]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class EnvValue(_Strict):
    """The value of one environment variable."""

    value: str | int | float | bool


class ModuleSettings(_Strict):
    """Image and create options; the latter as text in chunks, `createOptions` first."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, Chunk]

    image: Annotated[str, Field(pattern=r"^[^\s:]+(:\d+/[^\s:]+)?:[\w][\w.-]*$")]
    """With an explicit tag."""
    createOptions: Chunk = "{}"

    @model_validator(mode="after")
    def _only_chunks(self) -> "ModuleSettings":
        found = list(self.__pydantic_extra__)
        expected = [f"createOptions{number:02d}" for number in range(1, len(found) + 1)]
        if found != expected or len(found) >= MAX_CHUNKS:
            raise ValueError(f"expected {expected} in order, at most {MAX_CHUNKS} chunks")
        return self


class SystemModule(_Strict):
    """edgeAgent: always runs, is started by the host's daemon."""

    type: Literal["docker"]
    env: dict[EnvName, EnvValue] = {}
    imagePullPolicy: Literal["on-create", "never"] = "on-create"
    settings: ModuleSettings


class HubModule(SystemModule):
    """edgeHub."""

    status: Literal["running", "stopped"]
    restartPolicy: Literal["always", "on-failure", "on-unhealthy", "never"]
    startupOrder: UInt32 = 4294967295


class Module(HubModule):
    """A module of ours."""

    version: str = ""


class RegistryCredentials(_Strict):
    """How images are fetched."""

    address: Annotated[str, Field(pattern=r"^\S+$")]
    username: str
    password: str


class RuntimeSettings(_Strict):
    """Settings of the container runtime."""

    minDockerVersion: str = ""
    loggingOptions: str = ""
    registryCredentials: dict[RouteName, RegistryCredentials] = {}


class Runtime(_Strict):
    """The container runtime."""

    type: Literal["docker"]
    settings: RuntimeSettings


class SystemModules(_Strict):
    """Both are required in a base deployment."""

    edgeAgent: SystemModule
    edgeHub: HubModule


class AgentDesired(_Strict):
    """Desired properties of `$edgeAgent`."""

    schemaVersion: Literal["1.1"]
    runtime: Runtime
    systemModules: SystemModules
    modules: dict[ModuleName, Module]


class RouteEntry(_Strict):
    """One route, with its place in the queue and its time to live."""

    route: Annotated[str, Field(min_length=1)]
    priority: Annotated[int, Field(ge=0, le=9)]
    timeToLiveSecs: UInt32


class StoreAndForward(_Strict):
    """How long a message without a time to live of its own is kept."""

    timeToLiveSecs: Annotated[int, Field(ge=0)]


class HubDesired(_Strict):
    """Desired properties of `$edgeHub`."""

    schemaVersion: Literal["1.2"]
    routes: dict[RouteName, RouteEntry]
    storeAndForwardConfiguration: StoreAndForward


class _AgentTwin(_Strict):
    desired: Annotated[AgentDesired, Field(alias="properties.desired")]


class _HubTwin(_Strict):
    desired: Annotated[HubDesired, Field(alias="properties.desired")]


class Ulimit(_Strict):
    """One resource limit; -1 means none."""

    Name: Literal["rtprio", "nice", "memlock", "nofile", "nproc", "core"]
    Soft: int
    Hard: int


class LogConfig(_Strict):
    """Docker's log driver and its limits."""

    Type: Literal["json-file", "local"]
    Config: dict[Literal["max-size", "max-file"], str]


class PortBinding(_Strict):
    """A published port."""

    HostPort: str
    HostIp: str = ""


class HostConfig(_Strict):
    """What a container gets from its host. Add a name here before using it in a manifest."""

    Binds: list[Annotated[str, Field(pattern=r"^[^:]+:/[^:]*(:(ro|rw))?$")]] = []
    Tmpfs: dict[Annotated[str, Field(pattern=r"^/")], str] = {}
    ReadonlyRootfs: bool = False
    CapDrop: list[str] = []
    CapAdd: list[str] = []
    SecurityOpt: list[str] = []
    IpcMode: Literal["private", "none", "shareable"] = "private"
    NetworkMode: str = "azure-iot-edge"
    ExtraHosts: list[str] = []
    PortBindings: dict[str, list[PortBinding]] = {}
    Memory: int = 0
    MemorySwap: int = 0
    CpuShares: int = 0
    NanoCpus: int = 0
    CpusetCpus: str = ""
    PidsLimit: int = 0
    OomScoreAdj: Annotated[int, Field(ge=-1000, le=1000)] = 0
    ShmSize: int = 0
    Ulimits: list[Ulimit] = []
    Runtime: str = ""
    DeviceRequests: list[dict[str, Any]] = []
    LogConfig: LogConfig


class CreateOptions(_Strict):
    """What edgeAgent hands to `docker create`."""

    User: Annotated[str, Field(pattern=r"^\d+:\d+$")] = "0:0"
    ExposedPorts: dict[str, dict[str, Any]] = {}
    NetworkingConfig: dict[Literal["EndpointsConfig"], dict[str, dict[str, Any]]] = {}
    """A network other than IoT Edge's own; with `NetworkMode: host` its name is `host`."""
    HostConfig: HostConfig


def check_deployment(manifest: Mapping[str, Any]) -> None:
    """Check the shape of a base deployment *manifest*.

    Raises:
        DeploymentError: names the first part of the manifest that breaks its rule.
    """
    content = manifest.get("modulesContent")
    if not isinstance(content, Mapping):
        raise DeploymentError("deployment: modulesContent: must be an object")
    for name, model in (("$edgeAgent", _AgentTwin), ("$edgeHub", _HubTwin)):
        _check(name, model, content.get(name))
    modules = modules_of(manifest)
    for name, twin in content.items():
        if name not in {"$edgeAgent", "$edgeHub"}:
            _check_twin(name, twin, known=name in modules)
    for name, module in modules.items():
        _check(f"{name}.createOptions", CreateOptions, create_options_of(module))


def _check_twin(name: str, twin: Any, *, known: bool) -> None:
    if not known:
        raise DeploymentError(f"deployment: {name}: has a twin but is no module of the deployment")
    if not isinstance(twin, Mapping) or set(twin) != {"properties.desired"}:
        raise DeploymentError(f"deployment: {name}: must hold properties.desired and nothing else")


def _check(name: str, model: type[BaseModel], value: Any) -> None:
    try:
        model.model_validate(value)
    except ValidationError as error:
        raise DeploymentError(f"deployment: {first_fault(name, error)}") from None
