"""`$edgeHub`'s desired properties: routes and the global time to live."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taktgate.standin.azure.edgehub.routes.language import Routes, compile_routes
from taktgate.standin.azure.errors import ManifestError

SCHEMA_VERSIONS = frozenset(("1.0", "1.1", "1.2", "1.3"))
NEVER = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeHubConfig:
    """A configuration that compiled."""

    routes: Routes = field(default_factory=Routes)
    ttl_s: float | None = None


def parse_config(desired: Mapping[str, Any]) -> EdgeHubConfig:
    """Compile the desired properties of `$edgeHub`.

    Raises:
        ManifestError: The schema version or the store-and-forward settings are wrong.
        RouteSyntaxError: One of the routes does not compile.
    """
    version = desired.get("schemaVersion")
    if version not in SCHEMA_VERSIONS:
        raise ManifestError(f"$edgeHub.schemaVersion {version!r}; rule: {sorted(SCHEMA_VERSIONS)}")
    routes = desired.get("routes", {})
    if not isinstance(routes, Mapping):
        raise ManifestError("$edgeHub.routes; rule: an object of routes by name")
    return EdgeHubConfig(routes=compile_routes(routes), ttl_s=_ttl(desired))


def _ttl(desired: Mapping[str, Any]) -> float | None:
    storage = desired.get("storeAndForwardConfiguration", {})
    seconds = storage.get("timeToLiveSecs", NEVER) if isinstance(storage, Mapping) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise ManifestError(
            "$edgeHub.storeAndForwardConfiguration.timeToLiveSecs; rule: an integer"
        )
    return None if seconds < 0 else float(seconds)
