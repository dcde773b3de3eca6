"""edgeHub's copies of its modules' twins: served offline, kept in step with the hub, durable.

As Azure/iotedge edge-hub Edge.Hub.Core/twin/StoringTwinManager.cs and ReportedPropertiesStore.cs.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.clock import Clock, Timer
from taktgate.standin.azure.device_link import DeviceLink, TwinProperties
from taktgate.standin.azure.edgehub.database import Database
from taktgate.standin.azure.edgehub.errors import StoreFullError
from taktgate.standin.azure.errors import HubRequestError, UpstreamOfflineError
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
    """What was reported and the hub does not have yet."""


@dataclass(slots=True, kw_only=True)
class TwinPeriods:
    """How often edgeHub speaks with the hub about twins, in seconds of the world."""

    pull_s: Callable[[], float] = lambda: 0.0
    """MinTwinSyncPeriodSecs."""
    push_s: float = 0.0
    """ReportedPropertiesSyncFrequencySecs."""


class TwinStore:
    """Keeps one copy of each module's twin; *relay* is called with changes for the module."""

    def __init__(
        self,
        link: DeviceLink,
        relay: Relay,
        *,
        database: Database,
        clock: Clock,
        periods: TwinPeriods,
    ) -> None:
        self._link = link
        self._relay = relay
        self._database = database
        self._clock = clock
        self._periods = periods
        self._copies: dict[str, _Copy] = {}
        self._pulled_at_s: dict[str, float] = {}
        self._pushes: dict[str, Timer] = {}
        self._pushed_at_s: dict[str, float] = {}
        link.on_desired(self._on_desired)
        link.on_online(self._on_online)

    def document(self, module: str) -> JsonObject:
        """Return the twin of *module*, from the hub or, while offline, the stored copy.

        A module never seen while online has an empty twin without `$version`, as edgeHub's has.
        """
        copy = self._copy(module)
        try:
            self._pull(module, copy)
        except (UpstreamOfflineError, HubRequestError):
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
            TwinLimitError: The patch or the merged document breaks one of Azure's limits.
            StoreFullError: There is no room for it; nothing was changed.
        """
        copy = self._copy(module)
        is_edge_module = module.startswith("$")
        twin_documents.check_limits(patch, allow_edge_names=is_edge_module)
        merged = twin_documents.merge(copy.reported, patch)
        twin_documents.check_limits(merged, allow_edge_names=is_edge_module)
        changed = _Copy(
            desired=copy.desired,
            desired_version=copy.desired_version,
            is_from_hub=copy.is_from_hub,
            reported=merged,
            reported_version=copy.reported_version + 1,
            unsent=twin_documents.merge_patches(copy.unsent, patch),
        )
        # edgeAgent's and edgeHub's own reports do not depend on the modules' store.
        (self._try_to_save if is_edge_module else self._save)(module, changed)
        self._copies[module] = changed
        self._push_when_due(module)
        return changed.reported_version

    def _push_when_due(self, module: str) -> None:
        """Push at once, or when the period since the last push is over."""
        wait_s = self._pushed_at_s.get(module, -self._periods.push_s) + self._periods.push_s
        wait_s -= self._clock.now()
        if self._periods.push_s == 0 or wait_s <= 0 or module not in self._pushed_at_s:
            self._push(module)
        elif module not in self._pushes:
            self._pushes[module] = self._clock.call_later(wait_s, lambda: self._push(module))

    def _push(self, module: str) -> None:
        if (timer := self._pushes.pop(module, None)) is not None:
            timer.cancel()
        copy = self._copy(module)
        if not copy.unsent:
            return
        self._pushed_at_s[module] = self._clock.now()
        try:
            copy.reported_version = self._link.patch_reported(module, copy.unsent)
        except UpstreamOfflineError:
            return
        except HubRequestError as error:
            extra = {"module_name": module, "reason": str(error)}
            log.warning("hub refuses reported properties", extra=extra)
            return
        copy.unsent = {}
        self._try_to_save(module, copy)

    def _on_desired(self, module: str, patch: JsonObject, version: int) -> None:
        """Relay a patch that follows the copy, and else the difference from a whole new twin."""
        copy = self._copy(module)
        if not copy.is_from_hub:
            self._relay(module, patch, version)
        elif version == copy.desired_version + 1:
            copy.desired = twin_documents.merge(copy.desired, patch)
            copy.desired_version = version
            self._try_to_save(module, copy)
            self._relay(module, patch, version)
        else:
            self._catch_up(module, copy)

    def _on_online(self, online: bool) -> None:
        if not online:
            return
        self._load_all()
        for module, copy in list(self._copies.items()):
            self._push(module)
            pulled_at_s = self._pulled_at_s.get(module)
            period_s = self._periods.pull_s()
            is_due = pulled_at_s is None or self._clock.now() - pulled_at_s >= period_s
            if copy.is_from_hub and is_due:
                self._catch_up(module, copy)

    def _catch_up(self, module: str, copy: _Copy) -> None:
        """Pull the whole twin and pass on the difference."""
        known, known_version = copy.desired, copy.desired_version
        try:
            self._pull(module, copy)
        except (UpstreamOfflineError, HubRequestError):
            return
        if copy.desired_version != known_version:
            patch = twin_documents.difference(known, copy.desired)
            self._relay(module, patch, copy.desired_version)

    def _pull(self, module: str, copy: _Copy) -> None:
        twin = self._link.twin_properties(module)
        copy.desired = twin.desired
        copy.desired_version = twin.desired_version
        copy.reported = twin_documents.merge(twin.reported, copy.unsent)
        copy.reported_version = twin.reported_version
        copy.is_from_hub = True
        self._pulled_at_s[module] = self._clock.now()
        self._try_to_save(module, copy)

    def _copy(self, module: str) -> _Copy:
        if module not in self._copies:
            rows = self._database.read("SELECT document FROM twin WHERE module = ?", (module,))
            self._copies[module] = _Copy(**json.loads(rows[0][0])) if rows else _Copy()
        return self._copies[module]

    def _load_all(self) -> None:
        for (module,) in self._database.read("SELECT module FROM twin"):
            self._copy(module)

    def _try_to_save(self, module: str, copy: _Copy) -> None:
        """Save what the hub has too: without room for it only an offline restart would miss it."""
        try:
            self._save(module, copy)
        except StoreFullError as error:
            extra = {"module_name": module, "reason": str(error)}
            log.error("copy of a twin cannot be stored", extra=extra)

    def _save(self, module: str, copy: _Copy) -> None:
        self._database.write(
            "REPLACE INTO twin VALUES (?, ?)",
            (module, json.dumps(asdict(copy), separators=(",", ":"))),
        )
