"""Automatic device management without I/O: which deployments a device applies, and their content.

A device applies one base (highest priority; on a tie the newest) and every matching layered
deployment with a priority above the base's. Layers overwrite whole sub-paths, lowest first.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.errors import ManifestError
from taktgate.standin.azure.iothub.query_language import Condition
from taktgate.standin.azure.json_types import JsonObject

DESIRED = "properties.desired"
BASE_KEYS = ("schemaVersion", "runtime", "systemModules")
MAX_MODULES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment, as far as the choice depends on it; a *condition* of None targets nobody."""

    id: str
    priority: int
    created: int
    condition: Condition | None
    modules_content: Mapping[str, Mapping[str, Any]]

    @property
    def is_layered(self) -> bool:
        """Tell whether some module sets a sub-path of its desired properties."""
        return is_layered(self.modules_content)

    @property
    def _rank(self) -> tuple[int, int]:
        return self.priority, self.created


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What one device applies, lowest priority first, and what it matches without applying."""

    applied: tuple[Deployment, ...] = ()
    shadowed: tuple[Deployment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleTarget:
    """The desired properties that deployments give one module."""

    desired: JsonObject = field(default_factory=dict)
    is_whole: bool = False
    """True when a deployment set the whole document, False when only sub-paths."""


def is_layered(modules_content: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell whether some module sets a sub-path of its desired properties."""
    return any(
        key.startswith(DESIRED + ".") for content in modules_content.values() for key in content
    )


def check_content(modules_content: Any) -> None:
    """Check the shape of a deployment's `modulesContent`.

    Raises:
        ManifestError: It breaks one of Azure's rules.
    """
    if not isinstance(modules_content, Mapping) or not modules_content:
        raise ManifestError("content.modulesContent; rule: an object with at least one module")
    if len(modules_content) > MAX_MODULES:
        raise ManifestError(f"content.modulesContent; rule: at most {MAX_MODULES} modules")
    for module, content in modules_content.items():
        if not isinstance(content, Mapping):
            raise ManifestError(f"content.modulesContent.{module}; rule: an object")
        for key in content:
            if key != DESIRED and not key.startswith(DESIRED + "."):
                raise ManifestError(
                    f"content.modulesContent.{module}: {key!r}; rule: {DESIRED}[.<sub-path>]"
                )
    if not is_layered(modules_content):
        _check_base(modules_content)


def select(deployments: Iterable[Deployment], device: JsonObject) -> Selection:
    """Return what the device with this twin document applies."""
    matching = sorted(
        (d for d in deployments if d.condition is not None and d.condition.matches(device)),
        key=lambda d: d._rank,
    )
    bases = [d for d in matching if not d.is_layered]
    if not bases:
        return Selection(shadowed=tuple(matching))
    base = bases[-1]
    layers = [d for d in matching if d.is_layered and d.priority > base.priority]
    applied = (base, *layers)
    shadowed = tuple(d for d in matching if d not in applied)
    return Selection(applied=applied, shadowed=shadowed)


def merge_content(
    contents: Iterable[Mapping[str, Mapping[str, Any]]],
) -> dict[str, ModuleTarget]:
    """Merge the contents of a base and its layers, given lowest priority first."""
    targets: dict[str, ModuleTarget] = {}
    for content in contents:
        for module, settings in content.items():
            target = targets.get(module, ModuleTarget())
            # The whole document comes before its sub-paths within one deployment.
            for key in sorted(settings):
                target = _apply(target, key, settings[key])
            targets[module] = target
    return targets


def patch_for(
    target: ModuleTarget | None, previous: ModuleTarget | None, current: Mapping[str, Any]
) -> JsonObject:
    """Return the patch that brings a module from *previous* to *target*.

    What no deployment sets any more becomes null. A module of which deployments only set sub-paths
    keeps all else that its desired properties (*current*) hold.
    """
    wanted = target or ModuleTarget()
    before = previous or ModuleTarget()
    if wanted.is_whole or before.is_whole:
        return twin_documents.difference(current, wanted.desired)
    return twin_documents.difference(before.desired, wanted.desired)


def _apply(target: ModuleTarget, key: str, value: Any) -> ModuleTarget:
    path = key.split(".")[2:]
    if not path:
        return ModuleTarget(desired=copy.deepcopy(value), is_whole=True)
    desired = copy.deepcopy(target.desired)
    place = desired
    for name in path[:-1]:
        nested = place.get(name)
        place[name] = nested if isinstance(nested, dict) else {}
        place = place[name]
    place[path[-1]] = copy.deepcopy(value)
    return ModuleTarget(desired=desired, is_whole=target.is_whole)


def _check_base(modules_content: Mapping[str, Mapping[str, Any]]) -> None:
    agent = modules_content.get("$edgeAgent", {}).get(DESIRED)
    if not isinstance(agent, Mapping):
        raise ManifestError("content.modulesContent.$edgeAgent; rule: a base deployment has it")
    for key in BASE_KEYS:
        if key not in agent:
            raise ManifestError(f"$edgeAgent.{DESIRED}.{key} is missing in a base deployment")
