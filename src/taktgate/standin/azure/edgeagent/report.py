"""`$edgeAgent`'s reported properties, without I/O.

Shapes: Azure/iotedge edge-agent/.../Agent.Core/AgentState.cs, Agent.Docker/DockerRuntimeModule.cs,
EdgeAgentDockerRuntimeModule.cs, EdgeHubDockerRuntimeModule.cs, DockerReportedConfig.cs.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from taktgate.standin.azure.edgeagent.deployment.status import DeploymentStatus
from taktgate.standin.azure.edgeagent.manifest import (
    Deployment,
    ModuleSpec,
    WantedModule,
    option_chunk_name,
)
from taktgate.standin.azure.edgeagent.module import ModuleRecord
from taktgate.standin.azure.edgeagent.module_status import RuntimeStatus
from taktgate.standin.azure.edgeagent.runtime import Platform
from taktgate.standin.azure.json_types import JsonObject

SCHEMA_VERSION = "1.0"
"""IoTHubReporter.cs reports 1.0, whatever the deployment's schema."""
AGENT_VERSION = "1.6.1"
OPTION_CHUNK_CHARS = 512
SIGNALLED = 128
"""What Docker adds a signal's number to, in the exit code of a process that the signal ended."""
SECTIONS = (
    "schemaVersion",
    "version",
    "lastDesiredVersion",
    "lastDesiredStatus",
    "runtime",
    "systemModules",
    "modules",
)
"""What of the reported properties is edgeAgent's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSight:
    """What is to be reported of one module."""

    wanted: WantedModule
    status: RuntimeStatus
    record: ModuleRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSight:
    """What is to be reported of a device."""

    version: int
    status: DeploymentStatus
    platform: Platform
    deployment: Deployment | None
    modules: Mapping[str, ModuleSight]
    is_up: bool = True
    started_at: datetime


def reported_properties(sight: AgentSight) -> JsonObject:
    """Return the whole of edgeAgent's reported properties."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "version": {"version": AGENT_VERSION, "build": "", "commit": ""},
        "lastDesiredVersion": sight.version,
        "lastDesiredStatus": sight.status.to_wire(),
        "runtime": _runtime(sight),
        "systemModules": _system_modules(sight),
        "modules": {name: _module(each, is_up=sight.is_up) for name, each in sight.modules.items()},
    }


def _runtime(sight: AgentSight) -> JsonObject:
    """Return `runtime`; the passwords of registries are not repeated."""
    given = {} if sight.deployment is None else sight.deployment.runtime
    settings: Mapping[str, Any] = given.get("settings") or {}
    return {
        "type": "docker",
        "settings": {
            "minDockerVersion": str(settings.get("minDockerVersion", "")),
            "loggingOptions": str(settings.get("loggingOptions", "")),
        },
        "platform": {
            "os": sight.platform.os,
            "architecture": sight.platform.architecture,
            "version": sight.platform.version,
        },
    }


def _system_modules(sight: AgentSight) -> JsonObject:
    """Return edgeAgent and edgeHub: both run as long as the device does."""
    status = RuntimeStatus.RUNNING if sight.is_up else RuntimeStatus.UNKNOWN
    record = ModuleRecord(started_at=sight.started_at)
    agent = hub = None
    if sight.deployment is not None:
        agent, hub = sight.deployment.edge_agent, sight.deployment.edge_hub
    return {
        "edgeAgent": {**_what_it_is(agent, record), **_how_it_ran(status, record)},
        "edgeHub": {
            **_what_it_is(hub, record),
            **_how_it_ran(status, record),
            **_how_often(record),
            **({} if hub is None else _how_it_is_kept(hub)),
        },
    }


def _module(sight: ModuleSight, *, is_up: bool) -> JsonObject:
    status = sight.status if is_up else RuntimeStatus.UNKNOWN
    return {
        "version": sight.wanted.spec.version,
        **_what_it_is(sight.wanted, sight.record),
        **_how_it_is_kept(sight.wanted),
        **_how_it_ran(status, sight.record),
        **_how_often(sight.record),
    }


def _what_it_is(wanted: WantedModule | None, record: ModuleRecord) -> JsonObject:
    if wanted is None:
        return {"type": "docker"}
    return {
        "type": "docker",
        "imagePullPolicy": str(wanted.spec.pull_policy),
        "settings": _settings(wanted.spec, record.image_hash),
        "env": {name: {"value": value} for name, value in wanted.spec.env.items()},
    }


def _settings(spec: ModuleSpec, image_hash: str) -> JsonObject:
    text = json.dumps(spec.create_options, separators=(",", ":"))
    chunks = range(0, len(text), OPTION_CHUNK_CHARS)
    return {
        "image": spec.image,
        "imageHash": image_hash,
        **{
            option_chunk_name(number): text[start : start + OPTION_CHUNK_CHARS]
            for number, start in enumerate(chunks)
        },
    }


def _how_it_is_kept(wanted: WantedModule) -> JsonObject:
    return {
        "status": str(wanted.status),
        "restartPolicy": str(wanted.spec.restart_policy),
        "startupOrder": wanted.spec.startup_order,
    }


def _how_it_ran(status: RuntimeStatus, record: ModuleRecord) -> JsonObject:
    description = "running" if status is RuntimeStatus.RUNNING else "exited"
    return {
        "runtimeStatus": str(status),
        "exitCode": _as_docker_says_it(record.exit_code),
        "statusDescription": description,
        "lastStartTimeUtc": utc_text(record.started_at),
        "lastExitTimeUtc": utc_text(record.exited_at),
    }


def _as_docker_says_it(exit_code: int) -> int:
    """Return 128 and the signal's number for a process that a signal (negative) ended."""
    return exit_code if exit_code >= 0 else SIGNALLED - exit_code


def _how_often(record: ModuleRecord) -> JsonObject:
    return {
        "restartCount": record.restarts,
        "lastRestartTimeUtc": utc_text(record.restarted_at),
    }


def utc_text(moment: datetime) -> str:
    """Return a time as .NET writes it: `2026-01-01T00:00:00.000000Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
