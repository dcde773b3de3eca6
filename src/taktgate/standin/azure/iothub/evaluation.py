"""Gives each IoT Edge device what its deployments say, and says in its twins which those are."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.errors import HubRequestError, TwinLimitError
from taktgate.standin.azure.iothub import device_management, twin_limits
from taktgate.standin.azure.iothub.device_management import (
    AGENT,
    Deployment,
    Selection,
    TargetSet,
)
from taktgate.standin.azure.iothub.identities import DeviceRecord
from taktgate.standin.azure.iothub.registry import Registry
from taktgate.standin.azure.json_types import JsonObject

log = logging.getLogger(__name__)

WriteDesired = Callable[[str, str, JsonObject], None]
"""Called with device, module and a patch of desired properties that keeps the limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What one device gets: checked whole before anything of it is written."""

    targets: TargetSet
    patches: Mapping[str, JsonObject]


class DeploymentEvaluator:
    """Evaluates deployments for devices. Conditions are compiled, equal merges are made once."""

    def __init__(self, registry: Registry, write: WriteDesired) -> None:
        self._registry = registry
        self._write = write
        self._ranked: list[Deployment] = []
        self._merged: dict[tuple[tuple[str, int], ...], TargetSet] = {}
        self._refused: dict[str, str] = {}
        self.leaves_layers_targeted: Callable[[], bool] = lambda: False
        """Tells whether a layer that sets nothing of edgeAgent stays Targeted there (#5299)."""

    @property
    def asks_for_reports(self) -> bool:
        """Tell whether a device's reported properties decide about a deployment."""
        return any(
            name.startswith("properties.")
            for each in self._ranked
            for name in (each.condition.names if each.condition else ())
        )

    def set_deployments(self, deployments: Iterable[Deployment]) -> None:
        """Take the hub's deployments as they are now."""
        self._ranked = device_management.rank(deployments)
        known = {_key(each) for each in self._ranked}
        self._merged = {key: each for key, each in self._merged.items() if known.issuperset(key)}

    def evaluate_all(self) -> None:
        """Evaluate every device, and set back what was changed by hand where a deployment sets it.

        It is after such a pass that IoT Hub takes manual changes away (Azure/iotedge#6913).
        """
        for record in self._registry.devices():
            self.evaluate(record, sets_back=True)

    def evaluate(self, record: DeviceRecord, *, sets_back: bool = False) -> None:
        """Evaluate one device; without *sets_back* only another choice of deployments acts."""
        if not record.identity.is_edge:
            return
        selection = device_management.select_ranked(self._ranked, record.identity.condition_view())
        # Without a base nothing changes: IoT Edge leaves the modules of the last one running.
        if selection.applied:
            targets = self._targets(selection)
            is_news = not targets.equals(record.targets)
            if (is_news or sets_back) and not self._give(record, targets):
                selection = Selection(shadowed=(*selection.shadowed, *selection.applied))
        self._say(record, selection)

    def apply_content(
        self, record: DeviceRecord, content: device_management.ModulesContent
    ) -> None:
        """Give one device its modules' desired properties directly (`set-modules`).

        A deployment that targets the device gives its own again when it is next evaluated
        (mwalser/terraform-provider-iothub CONCEPT.md, appendix D, "Edge deployment").

        Raises:
            HubRequestError: 400, a module's twin would break a limit; nothing was changed.
        """
        targets = TargetSet(device_management.merge_content([content]))
        try:
            plan = self._plan(record, targets, previous=TargetSet())
        except TwinLimitError as error:
            raise HubRequestError(400, "ArgumentInvalid", str(error)) from error
        self._carry_out(record, plan)

    def _targets(self, selection: Selection) -> TargetSet:
        key = tuple(_key(each) for each in selection.applied)
        if key not in self._merged:
            contents = [each.modules_content for each in selection.applied]
            self._merged[key] = TargetSet(device_management.merge_content(contents))
        return self._merged[key]

    def _give(self, record: DeviceRecord, targets: TargetSet) -> bool:
        """Give *targets* to a device; return False when a limit forbids it."""
        device = record.identity.device_id
        try:
            plan = self._plan(record, targets, previous=record.targets or TargetSet())
            self._carry_out(record, plan)
        except (TwinLimitError, HubRequestError) as error:
            if self._refused.get(device) != str(error):
                self._refused[device] = str(error)
                log.error(
                    "deployments cannot be applied", extra={"device": device, "reason": str(error)}
                )
            return False
        self._refused.pop(device, None)
        if not targets.equals(record.targets):
            self._registry.touch(record.identity)
        record.targets = targets
        return True

    def _plan(self, record: DeviceRecord, targets: TargetSet, *, previous: TargetSet) -> _Plan:
        """Return the patches that bring the device to *targets*.

        Raises:
            TwinLimitError: A module's desired properties would be too large.
        """
        if targets.excess is not None:
            raise TwinLimitError(targets.excess)
        patches = {}
        for module in {**previous.modules, **targets.modules}:
            identity = record.modules.get(module)
            current = identity.desired if identity is not None else {}
            target = targets.modules.get(module)
            patch = device_management.patch_for(target, previous.modules.get(module), current)
            if not patch:
                continue
            if target is None or not target.is_whole:
                merged = twin_documents.merge(current, patch)
                twin_limits.check_size(merged, f"{module}.properties.desired")
            patches[module] = patch
        return _Plan(targets=targets, patches=patches)

    def _carry_out(self, record: DeviceRecord, plan: _Plan) -> None:
        device = record.identity.device_id
        for module in plan.targets.listed_modules:
            if module not in record.modules:
                self._registry.ensure_module(device, module)
        for module, patch in plan.patches.items():
            if module in record.modules:
                self._write(device, module, patch)

    def _say(self, record: DeviceRecord, selection: Selection) -> None:
        """Write the section `configurations` of the twins that the deployments concern."""
        stays = self.leaves_layers_targeted()
        said: dict[str, JsonObject] = {AGENT: {}}
        for each in selection.shadowed:
            said[AGENT][each.id] = {"status": "Targeted"}
        for each in selection.applied:
            is_hidden = stays and each.is_layered and not each.changes_agent
            said[AGENT][each.id] = {"status": "Targeted" if is_hidden else "Applied"}
            for module in each.modules_content:
                if module != AGENT:
                    said.setdefault(module, {})[each.id] = {"status": "Applied"}
        for module, identity in record.modules.items():
            wanted = said.get(module, {})
            if identity.configurations != wanted:
                identity.configurations = wanted
                self._registry.touch(identity)


def _key(deployment: Deployment) -> tuple[str, int]:
    """Return what stands for a deployment's content, which never changes."""
    return deployment.id, deployment.created
