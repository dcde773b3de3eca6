"""The modules of a deployment manifest: `$edgeAgent`'s desired properties, schema 1.0 and 1.1."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from taktgate.standin.azure.errors import ManifestError
from taktgate.standin.azure.json_types import JsonObject

SCHEMA_VERSIONS = frozenset(("1.0", "1.1"))
LAST_IN_ORDER = 4_294_967_295
MAX_OPTION_CHUNKS = 100

_Choice = TypeVar("_Choice", bound=StrEnum)


class RestartPolicy(StrEnum):
    """When edgeAgent starts a module again."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ON_UNHEALTHY = "on-unhealthy"
    ALWAYS = "always"


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
    pull_policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedModule:
    """A module and whether it shall run; a change of status alone is no update."""

    spec: ModuleSpec
    status: WantedStatus


def parse_modules(desired: Mapping[str, Any]) -> list[WantedModule]:
    """Return the modules of `$edgeAgent`'s desired properties, in order of start.

    Raises:
        ManifestError: The document breaks the schema; the message names the field and the rule.
    """
    version = desired.get("schemaVersion")
    if version not in SCHEMA_VERSIONS:
        raise ManifestError(f"$edgeAgent.schemaVersion {version!r}; rule: 1.0 or 1.1")
    modules = desired.get("modules", {})
    if not isinstance(modules, Mapping):
        raise ManifestError("$edgeAgent.modules; rule: an object")
    wanted = [_module(name, entry) for name, entry in modules.items()]
    return sorted(wanted, key=lambda each: each.spec.startup_order)


def _module(name: str, entry: Any) -> WantedModule:
    where = f"$edgeAgent.modules.{name}"
    settings = entry.get("settings") if isinstance(entry, Mapping) else None
    if not isinstance(settings, Mapping) or not isinstance(settings.get("image"), str):
        raise ManifestError(f"{where}.settings.image; rule: every module names an image")
    if entry.get("type") != "docker":
        raise ManifestError(f"{where}.type {entry.get('type')!r}; rule: docker")
    spec = ModuleSpec(
        name=name,
        image=settings["image"],
        create_options=_create_options(settings, where),
        env=_env(entry.get("env", {}), where),
        restart_policy=_choice(
            RestartPolicy, entry.get("restartPolicy", "always"), f"{where}.restartPolicy"
        ),
        startup_order=_order(entry.get("startupOrder", LAST_IN_ORDER), where),
        version=str(entry.get("version", "")),
        pull_policy=str(entry.get("imagePullPolicy", "on-create")),
    )
    status = _choice(WantedStatus, entry.get("status", "running"), f"{where}.status")
    return WantedModule(spec=spec, status=status)


def _create_options(settings: Mapping[str, Any], where: str) -> JsonObject:
    options = settings.get("createOptions")
    if isinstance(options, Mapping):
        return dict(options)
    chunks = [settings.get(_chunk_name(index)) for index in range(MAX_OPTION_CHUNKS)]
    text = "".join(chunk for chunk in chunks if isinstance(chunk, str))
    try:
        parsed = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise ManifestError(f"{where}.settings.createOptions is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ManifestError(f"{where}.settings.createOptions; rule: a JSON object")
    return parsed


def _chunk_name(index: int) -> str:
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


def _choice(kind: type[_Choice], value: Any, where: str) -> _Choice:
    try:
        return kind(value)
    except ValueError:
        raise ManifestError(f"{where} {value!r}; rule: one of {[str(k) for k in kind]}") from None
