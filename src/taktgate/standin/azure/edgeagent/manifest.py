"""The deployment manifest: `$edgeAgent`'s desired properties, schema 1.0 and 1.1.

Which fields are required and which have a default: Azure/iotedge Agent.Docker/DockerModule.cs and
DockerDesiredModule.cs. Empty `runtime` and `systemModules` are let through, as rehearsals of one
module have neither.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from taktgate.standin.azure.edgeagent.errors import EmptyConfigError, SchemaVersionError
from taktgate.standin.azure.errors import ManifestError
from taktgate.standin.azure.json_types import JsonObject

log = logging.getLogger(__name__)

SCHEMA_VERSIONS = frozenset(("1.0", "1.1"))
LAST_IN_ORDER = 4_294_967_295
MAX_OPTION_CHUNKS = 100
_OPTION_SHAPES: Mapping[str, tuple[type, str]] = {
    "HostConfig": (dict, "an object"),
    "HostConfig.Binds": (list, "a list"),
    "HostConfig.Tmpfs": (dict, "an object"),
    "Env": (list, "a list"),
    "Labels": (dict, "an object"),
    "NetworkingConfig": (dict, "an object"),
}
"""Create options that edgeAgent reads into fields of a type; others are for the engine to check."""

_Choice = TypeVar("_Choice", bound=StrEnum)


class RestartPolicy(StrEnum):
    """When edgeAgent starts a module again."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ON_UNHEALTHY = "on-unhealthy"
    ALWAYS = "always"


class PullPolicy(StrEnum):
    """When edgeAgent pulls a module's image."""

    ON_CREATE = "on-create"
    NEVER = "never"


class WantedStatus(StrEnum):
    """What the deployment wants of a module."""

    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSpec:
    """One module of a deployment. Two specs are equal if no update is needed."""

    name: str
    image: str
    create_options: JsonObject
    env: Mapping[str, str]
    restart_policy: RestartPolicy
    startup_order: int
    version: str
    pull_policy: PullPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedModule:
    """A module and whether it shall run; a change of status alone is no update."""

    spec: ModuleSpec
    status: WantedStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """All that `$edgeAgent`'s desired properties say."""

    modules: tuple[WantedModule, ...]
    """The user's modules, in order of start."""
    runtime: Mapping[str, Any] = field(default_factory=dict)
    edge_agent: WantedModule | None = None
    edge_hub: WantedModule | None = None


def parse_deployment(desired: Mapping[str, Any]) -> Deployment:
    """Return the deployment of `$edgeAgent`'s desired properties.

    Raises:
        EmptyConfigError: There are none.
        SchemaVersionError: Their major version is not 1.
        ManifestError: They break the schema; the message names the field and the rule.
    """
    if not desired:
        raise EmptyConfigError(
            "This device has an empty configuration for the edge agent. "
            "Please set a deployment manifest."
        )
    _check_schema_version(desired.get("schemaVersion"))
    runtime = _object(desired, "runtime", "$edgeAgent")
    if runtime.get("type", "docker") != "docker":
        raise ManifestError(f"$edgeAgent.runtime.type {runtime['type']!r}; rule: docker")
    _object(runtime, "settings", "$edgeAgent.runtime")
    system = _object(desired, "systemModules", "$edgeAgent")
    return Deployment(
        modules=tuple(parse_modules(desired)),
        runtime=runtime,
        edge_agent=_system_module("edgeAgent", system),
        edge_hub=_system_module("edgeHub", system),
    )


def parse_modules(desired: Mapping[str, Any]) -> list[WantedModule]:
    """Return the user's modules of `$edgeAgent`'s desired properties, in order of start.

    Raises:
        SchemaVersionError: The document's major version is not 1.
        ManifestError: The document breaks the schema; the message names the field and the rule.
    """
    _check_schema_version(desired.get("schemaVersion"))
    modules = _object(desired, "modules", "$edgeAgent")
    wanted = [_module(name, entry, f"$edgeAgent.modules.{name}") for name, entry in modules.items()]
    return sorted(wanted, key=lambda each: each.spec.startup_order)


def _check_schema_version(version: Any) -> None:
    """Check the major version only, as Azure/iotedge edge-util/.../SchemaVersionHelper.cs does."""
    if isinstance(version, str) and version in SCHEMA_VERSIONS:
        return
    match = re.fullmatch(r"(\d+)\.\d+(\.\d+){0,2}", version) if isinstance(version, str) else None
    if match is None or int(match[1]) != 1:
        raise SchemaVersionError(
            f"The desired properties schema version is not compatible: "
            f"$edgeAgent.schemaVersion {version!r}; rule: 1.0 or 1.1"
        )
    log.warning("deployment has another minor schema version", extra={"schema_version": version})


def _system_module(name: str, system: Mapping[str, Any]) -> WantedModule | None:
    """Return a system module; edgeAgent's own status and policy are not up to the deployment."""
    if name not in system:
        return None
    entry = system[name]
    if name == "edgeAgent" and isinstance(entry, Mapping):
        entry = {**entry, "status": "running", "restartPolicy": "always"}
    return _module(name, entry, f"$edgeAgent.systemModules.{name}")


def _module(name: str, entry: Any, where: str) -> WantedModule:
    settings = entry.get("settings") if isinstance(entry, Mapping) else None
    if not isinstance(settings, Mapping) or not _is_text(settings.get("image")):
        raise ManifestError(f"{where}.settings.image; rule: every module names an image")
    if entry.get("type") != "docker":
        raise ManifestError(f"{where}.type {entry.get('type')!r}; rule: docker")
    spec = ModuleSpec(
        name=name,
        image=settings["image"],
        create_options=_create_options(settings, where),
        env=_env(entry.get("env") or {}, where),
        restart_policy=_choice(
            RestartPolicy, entry.get("restartPolicy", "on-unhealthy"), f"{where}.restartPolicy"
        ),
        startup_order=_order(entry.get("startupOrder", LAST_IN_ORDER), where),
        version=str(entry.get("version") or ""),
        pull_policy=_choice(
            PullPolicy, entry.get("imagePullPolicy", "on-create"), f"{where}.imagePullPolicy"
        ),
    )
    status = _choice(WantedStatus, entry.get("status"), f"{where}.status")
    return WantedModule(spec=spec, status=status)


def _create_options(settings: Mapping[str, Any], where: str) -> JsonObject:
    options = _parsed_options(settings, where)
    for path, (kind, rule) in _OPTION_SHAPES.items():
        value: Any = options
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is not None and not isinstance(value, kind):
            raise ManifestError(f"{where}.settings.createOptions.{path}; rule: {rule}")
    return options


def _parsed_options(settings: Mapping[str, Any], where: str) -> JsonObject:
    options = settings.get("createOptions")
    if isinstance(options, Mapping):
        return dict(options)
    chunks = [settings.get(option_chunk_name(index)) for index in range(MAX_OPTION_CHUNKS)]
    text = "".join(chunk for chunk in chunks if isinstance(chunk, str))
    try:
        parsed = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{where}.settings.createOptions is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ManifestError(f"{where}.settings.createOptions; rule: a JSON object")
    return parsed


def option_chunk_name(index: int) -> str:
    """Return the field that holds part *index* of long create options."""
    return "createOptions" if index == 0 else f"createOptions{index:02d}"


def _env(env: Any, where: str) -> dict[str, str]:
    if not isinstance(env, Mapping):
        raise ManifestError(f"{where}.env; rule: an object of {{value}} by name")
    values = {}
    for name, entry in env.items():
        if not isinstance(entry, Mapping) or "value" not in entry:
            raise ManifestError(f"{where}.env.{name}; rule: {{value}}")
        values[name] = str(entry["value"])
    return values


def _order(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LAST_IN_ORDER:
        raise ManifestError(f"{where}.startupOrder {value!r}; rule: 0..{LAST_IN_ORDER}")
    return value


def _object(parent: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ManifestError(f"{where}.{name}; rule: an object")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _choice(kind: type[_Choice], value: Any, where: str) -> _Choice:
    try:
        return kind(value)
    except ValueError:
        raise ManifestError(f"{where} {value!r}; rule: one of {[str(k) for k in kind]}") from None
