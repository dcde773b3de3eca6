"""Automatic device management without I/O: which deployments a device applies, and their content.

A device applies one base (highest priority; on a tie the newest) and every matching layered
deployment with a priority above the base's. Layers overwrite whole sub-paths, lowest first
(learn.microsoft.com/azure/iot-edge/module-deployment-monitoring, "Layered deployment").
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.errors import ManifestError, TwinLimitError
from taktgate.standin.azure.iothub import twin_limits
from taktgate.standin.azure.iothub.query_language import Condition
from taktgate.standin.azure.json_types import JsonObject

AGENT = "$edgeAgent"
EDGE_HUB = "$edgeHub"
DESIRED = "properties.desired"
MAX_MODULES = 50

ModulesContent = Mapping[str, Mapping[str, Any]]
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment, as far as the choice depends on it; a *condition* of None targets nobody."""

    id: str
    priority: int
    created: int
    condition: Condition | None
    modules_content: ModulesContent
    is_layered: bool = field(init=False)
    """True when some module sets a sub-path of its desired properties."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_layered", is_layered(self.modules_content))

    @property
    def changes_agent(self) -> bool:
        """Tell whether it sets any property of edgeAgent."""
        return bool(self.modules_content.get(AGENT))

    @property
    def rank(self) -> tuple[int, int]:
        """What decides between deployments: priority, then the later creation."""
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
    paths: frozenset[Path] = frozenset()
    """The sub-paths that were set, where the document is not whole."""


@dataclass(frozen=True)
class TargetSet:
    """What deployments give the modules of a device. Devices that apply the same share one."""

    modules: Mapping[str, ModuleTarget] = field(default_factory=dict)

    @property
    def listed_modules(self) -> tuple[str, ...]:
        """The modules that have content, and those that edgeAgent is to start."""
        agent = self.modules.get(AGENT, ModuleTarget()).desired.get("modules")
        return tuple(dict.fromkeys([*self.modules, *(agent if isinstance(agent, dict) else ())]))

    def equals(self, other: "TargetSet | None") -> bool:
        """Tell whether *other* gives the same; cheap for the same set."""
        return other is not None and (self is other or self.modules == other.modules)

    @cached_property
    def excess(self) -> str | None:
        """What is wrong with the size of a module's whole document, if something is."""
        for module, target in self.modules.items():
            try:
                twin_limits.check_size(target.desired, f"{module}.{DESIRED}")
            except TwinLimitError as error:
                return str(error)
        return None

    @cached_property
    def digest(self) -> str:
        """A name for the content, by which it is stored once for all devices."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> JsonObject:
        """Return a document from which `from_json` makes an equal set."""
        return {
            module: {
                "desired": target.desired,
                "isWhole": target.is_whole,
                "paths": sorted(target.paths),
            }
            for module, target in self.modules.items()
        }

    @classmethod
    def from_json(cls, document: JsonObject) -> "TargetSet":
        """Return the set that `to_json` wrote."""
        return cls(
            {
                module: ModuleTarget(
                    desired=each["desired"],
                    is_whole=each["isWhole"],
                    paths=frozenset(tuple(path) for path in each["paths"]),
                )
                for module, each in document.items()
            }
        )


def is_layered(modules_content: ModulesContent) -> bool:
    """Tell whether some module sets a sub-path of its desired properties."""
    return any(
        key.startswith(DESIRED + ".") for content in modules_content.values() for key in content
    )


def check_content(modules_content: Any) -> None:
    """Check the shape of a deployment's `modulesContent`.

    The hub does not look into a base's document: what edgeAgent cannot use, edgeAgent reports
    (codes 400, 412 and 417 of its `lastDesiredStatus`).

    Raises:
        ManifestError: It breaks one of Azure's rules.
    """
    if not isinstance(modules_content, Mapping) or not modules_content:
        raise ManifestError("content.modulesContent; rule: an object with at least one module")
    for module, content in modules_content.items():
        if not isinstance(content, Mapping):
            raise ManifestError(f"content.modulesContent.{module}; rule: an object")
        for key, value in content.items():
            _check_key(f"content.modulesContent.{module}", module, key, value)
    if not is_layered(modules_content) and AGENT not in modules_content:
        raise ManifestError(f"content.modulesContent.{AGENT}; rule: a base deployment has it")
    if _modules_beside_the_system(modules_content) > MAX_MODULES:
        raise ManifestError(f"content.modulesContent; rule: at most {MAX_MODULES} modules")


def rank(deployments: Iterable[Deployment]) -> list[Deployment]:
    """Return the deployments that target somebody, in the order that `select` asks for."""
    return sorted((d for d in deployments if d.condition is not None), key=lambda d: d.rank)


def select(deployments: Iterable[Deployment], device: JsonObject) -> Selection:
    """Return what the device with this twin document applies."""
    return select_ranked(rank(deployments), device)


def select_ranked(ranked: Iterable[Deployment], device: JsonObject) -> Selection:
    """Return what the device applies of deployments that `rank` has sorted."""
    matching = [d for d in ranked if d.condition is not None and d.condition.matches(device)]
    bases = [d for d in matching if not d.is_layered]
    if not bases:
        return Selection(shadowed=tuple(matching))
    base = bases[-1]
    layers = [d for d in matching if d.is_layered and d.priority > base.priority]
    applied = (base, *layers)
    shadowed = tuple(d for d in matching if d is not base and d not in layers)
    return Selection(applied=applied, shadowed=shadowed)


def merge_content(contents: Iterable[ModulesContent]) -> dict[str, ModuleTarget]:
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
    keeps all else that its desired properties (*current*) hold; what was changed by hand where a
    deployment sets it is set back (Azure/iotedge#6913).
    """
    wanted = target or ModuleTarget()
    before = previous or ModuleTarget()
    if wanted.is_whole or before.is_whole:
        return twin_documents.difference(current, wanted.desired)
    return _patch_of_paths(current, wanted.desired, wanted.paths | before.paths, ())


def _patch_of_paths(
    current: Mapping[str, Any], wanted: Mapping[str, Any], owned: frozenset[Path], place: Path
) -> JsonObject:
    """Return the patch of the *owned* sub-paths below *place*; nothing beside them is touched."""
    patch: JsonObject = {}
    for name in sorted({path[len(place)] for path in owned if path[: len(place)] == place}):
        here = (*place, name)
        if here in owned:
            has, wants = name in current, name in wanted
            patch |= twin_documents.difference(
                {name: current[name]} if has else {}, {name: wanted[name]} if wants else {}
            )
            continue
        deeper = frozenset(path for path in owned if path[: len(here)] == here)
        nested = _patch_of_paths(
            _object(current.get(name)), _object(wanted.get(name)), deeper, here
        )
        if nested:
            patch[name] = nested
    return patch


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _apply(target: ModuleTarget, key: str, value: Any) -> ModuleTarget:
    """Set a sub-path; parts that are not on it are shared with *target* and with the content."""
    path = tuple(key.split(".")[2:])
    if not path:
        return ModuleTarget(desired=value, is_whole=True)
    return ModuleTarget(
        desired=_with(target.desired, path, value),
        is_whole=target.is_whole,
        paths=target.paths if target.is_whole else target.paths | {path},
    )


def _with(document: Mapping[str, Any], path: Path, value: Any) -> JsonObject:
    name, *rest = path
    if rest:
        value = _with(_object(document.get(name)), tuple(rest), value)
    return {**document, name: value}


def _modules_beside_the_system(modules_content: ModulesContent) -> int:
    """Return how many modules have content or are for edgeAgent to start, without its own two."""
    listed = TargetSet(merge_content([modules_content])).listed_modules
    return len(set(listed) - {AGENT, EDGE_HUB})


def _check_key(place: str, module: str, key: str, value: Any) -> None:
    path = key.split(".")[2:]
    if key != DESIRED and (not key.startswith(DESIRED + ".") or not all(path)):
        raise ManifestError(f"{place}: {key!r}; rule: {DESIRED}[.<sub-path>]")
    if not path and not isinstance(value, Mapping):
        raise ManifestError(f"{place}.{key}; rule: an object")
    document = _with({}, tuple(path), value) if path else value
    try:
        twin_limits.check_patch(document, f"{place}.{DESIRED}", has_free_keys=module[:1] == "$")
        twin_limits.check_size(document, f"{place}.{DESIRED}")
    except TwinLimitError as error:
        raise ManifestError(str(error)) from error
