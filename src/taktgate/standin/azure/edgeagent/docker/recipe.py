"""What a module is to the engine: the body of `POST /containers/create`, without I/O.

edgeAgent passes create options on as they are and adds environment, sockets and labels:
Azure/iotedge edge-agent/.../Agent.Edgelet/commands/CreateOrUpdateCommand.cs, Agent.Edgelet.Docker/
CombinedEdgeletConfigProvider.cs; labels: edgelet/edgelet-docker/src/runtime.rs.
"""

import base64
import copy
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from taktgate.standin.azure.edgeagent.docker.settings import HOST_NETWORK, DockerSettings
from taktgate.standin.azure.edgeagent.errors import StepFailedError
from taktgate.standin.azure.edgeagent.runtime import ModuleRecipe, RegistryLogin
from taktgate.standin.azure.json_types import JsonObject

WORKLOAD_SOCKET = "/var/run/iotedge/workload.sock"
"""Where every module finds its own socket, as aziot-edged mounts it."""
OWNER_LABEL = "net.azure-devices.edge.owner"
OWNER = "Microsoft.Azure.Devices.Edge.Agent"
ORIGINAL_IMAGE_LABEL = "net.azure-devices.edge.original-image"
DEVICE_LABEL = "taktgate.device"
"""Several devices share one engine here, which Azure has not."""
_UNIX = "unix://"
_REFERENCE = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._/-]|:\d+/)*)(?::(?P<tag>[\w.-]{1,128}))?"
    r"(?:@(?P<digest>[A-Za-z0-9+._-]+:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)
_DOCKER_HUB = "docker.io"


def container_name(device: str, module: str) -> str:
    """Return the container's name; Azure has one device and needs only the module's."""
    return f"{device}.{module}"


def create_body(device: str, recipe: ModuleRecipe, settings: DockerSettings) -> JsonObject:
    """Return the body that makes a module's container."""
    spec = recipe.spec
    body = copy.deepcopy(spec.create_options)
    host = _section(body, "HostConfig")
    identity = dict(recipe.identity)
    workload = identity.get("IOTEDGE_WORKLOADURI", "")
    if workload.startswith(_UNIX):
        host["Binds"] = [
            *(host.get("Binds") or []),
            f"{workload.removeprefix(_UNIX)}:{WORKLOAD_SOCKET}",
        ]
        identity["IOTEDGE_WORKLOADURI"] = _UNIX + WORKLOAD_SOCKET
    if settings.gateway is not None:
        identity["IOTEDGE_GATEWAYHOSTNAME"] = settings.gateway
    body["Image"] = spec.image
    body["Env"] = _merged_env(body.get("Env") or [], {**recipe.env, **identity})
    labels = _section(body, "Labels")
    labels[OWNER_LABEL] = OWNER
    labels[ORIGINAL_IMAGE_LABEL] = spec.image
    labels[DEVICE_LABEL] = device
    _join_network(body, host, spec.name, settings)
    return body


def pull_query(image: str) -> dict[str, str]:
    """Return what to ask for an image: without a tag, the engine would pull all of them.

    Raises:
        StepFailedError: This is no image reference.
    """
    match = _REFERENCE.fullmatch(image)
    if match is None or ".." in image:
        raise StepFailedError(f"invalid reference format: image {image!r}; rule: name[:tag]")
    if match["digest"] is not None:
        return {"fromImage": image}
    return {"fromImage": match["name"], "tag": match["tag"] or "latest"}


def registry_auth(image: str, logins: Sequence[RegistryLogin]) -> dict[str, str]:
    """Return the header that logs in to the registry of *image*, if a login is for it."""
    first = image.partition("/")[0]
    registry = first if "/" in image and ("." in first or ":" in first) else _DOCKER_HUB
    for login in logins:
        if login.address.removeprefix("https://").rstrip("/") == registry:
            content = {
                "username": login.username,
                "password": login.password,
                "serveraddress": login.address,
            }
            text = base64.urlsafe_b64encode(json.dumps(content).encode()).decode("ascii")
            return {"X-Registry-Auth": text}
    return {}


def _join_network(
    body: JsonObject, host: JsonObject, module: str, settings: DockerSettings
) -> None:
    """Put the container into the device's network, unless its options name one."""
    given = body.get("NetworkingConfig") or {}
    if host.get("NetworkMode") or given.get("EndpointsConfig"):
        return
    host["NetworkMode"] = settings.network
    if settings.network != HOST_NETWORK:
        endpoint = {"Aliases": [module]}
        body["NetworkingConfig"] = {"EndpointsConfig": {settings.network: endpoint}}


def _merged_env(given: Sequence[Any], added: Mapping[str, str]) -> list[str]:
    kept = [str(item) for item in given if str(item).partition("=")[0] not in added]
    return [*kept, *(f"{name}={value}" for name, value in added.items())]


def _section(parent: JsonObject, name: str) -> JsonObject:
    """Return an object of the options that may be written to; a missing one is made."""
    value: JsonObject = parent.get(name) or {}
    parent[name] = value
    return value
