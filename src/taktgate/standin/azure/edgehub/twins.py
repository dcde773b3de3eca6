"""edgeHub's copies of its modules' twins: served offline, kept in step with the hub."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.device_link import DeviceLink, TwinProperties
from taktgate.standin.azure.errors import UpstreamOfflineError
from taktgate.standin.azure.json_types import JsonObject

log = logging.getLogger(__name__)

Relay = Callable[[str, JsonObject, int], None]


@dataclass(slots=True, kw_only=True)
class _Copy:
    desired: JsonObject = field(default_factory=dict)
    desired_version: int = 0
    reported: JsonObject = field(default_factory=dict)
    reported_version: int = 0
    is_from_hub: bool = False
    unsent: JsonObject = field(default_factory=dict)


class TwinStore:
    """Keeps one copy of each module's twin; *relay* is called with changes for the module."""

    def __init__(self, link: DeviceLink, relay: Relay) -> None:
        self._link = link
        self._relay = relay
        self._copies: dict[str, _Copy] = {}
        link.on_desired(self._on_desired)
        link.on_online(self._on_online)

    def document(self, module: str) -> JsonObject:
        """Return the twin of *module*, from the hub or, while offline, the stored copy.

        A module never seen while online has an empty twin without `$version`, as edgeHub's has.
        """
        copy = self._copy(module)
        try:
            self._store(copy, self._link.twin_properties(module))
        except UpstreamOfflineError:
            if not copy.is_from_hub:
                return {"desired": {}, "reported": dict(copy.reported)}
        return TwinProperties(
            desired=copy.desired,
            desired_version=copy.desired_version,
            reported=copy.reported,
            reported_version=copy.reported_version,
        ).to_wire()

    def patch_reported(self, module: str, patch: JsonObject) -> int:
        """Merge *patch* into the reported properties; return their version.

        Raises:
            TwinLimitError: The merged document breaks one of Azure's limits.
        """
        copy = self._copy(module)
        is_edge_module = module.startswith("$")
        twin_documents.check_limits(patch, allow_edge_names=is_edge_module)
        merged = twin_documents.merge(copy.reported, patch)
        twin_documents.check_limits(merged, allow_edge_names=is_edge_module)
        copy.reported = merged
        copy.reported_version += 1
        copy.unsent = twin_documents.merge_patches(copy.unsent, patch)
        self._flush(module, copy)
        return copy.reported_version

    def _flush(self, module: str, copy: _Copy) -> None:
        if not copy.unsent:
            return
        try:
            copy.reported_version = self._link.patch_reported(module, copy.unsent)
        except UpstreamOfflineError:
            return
        copy.unsent = {}

    def _on_desired(self, module: str, patch: JsonObject, version: int) -> None:
        copy = self._copies.get(module)
        if copy is None or not copy.is_from_hub:
            return
        if version == copy.desired_version + 1:
            copy.desired = twin_documents.merge(copy.desired, patch)
            copy.desired_version = version
            self._relay(module, patch, version)
        else:
            self._catch_up(module, copy)

    def _on_online(self, online: bool) -> None:
        if not online:
            return
        for module, copy in self._copies.items():
            self._flush(module, copy)
            self._catch_up(module, copy)

    def _catch_up(self, module: str, copy: _Copy) -> None:
        """Pull the whole twin and pass on the difference."""
        known, known_version = copy.desired, copy.desired_version
        self._store(copy, self._link.twin_properties(module))
        if copy.desired_version != known_version:
            patch = twin_documents.difference(known, copy.desired)
            self._relay(module, patch, copy.desired_version)

    def _copy(self, module: str) -> _Copy:
        return self._copies.setdefault(module, _Copy())

    @staticmethod
    def _store(copy: _Copy, twin: TwinProperties) -> None:
        copy.desired = twin.desired
        copy.desired_version = twin.desired_version
        copy.reported = twin_documents.merge(twin.reported, copy.unsent)
        copy.reported_version = twin.reported_version
        copy.is_from_hub = True
