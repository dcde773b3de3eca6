"""`$edgeHub`'s desired properties: routes and the global time to live."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taktgate.standin.azure.edgehub.routes.language import Routes, compile_routes
from taktgate.standin.azure.errors import ManifestError
from taktgate.standin.azure.json_types import JsonObject

SCHEMA_VERSIONS = frozenset(("1.0", "1.1", "1.2", "1.3"))
NEVER = -1
_STORAGE = "$edgeHub.storeAndForwardConfiguration"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeHubConfig:
    """A configuration that compiled."""

    routes: Routes = field(default_factory=Routes)
    ttl_s: float | None = None
    store_limit_bytes: int | None = None
    """storeLimits.maxSizeBytes: beyond it edgeHub stores nothing new, and its senders get no
    receipt (Azure/iotedge doc/HowToConfigureDBStoreLimits.md)."""


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
    storage = desired.get("storeAndForwardConfiguration", {})
    if not isinstance(storage, Mapping):
        raise ManifestError(f"{_STORAGE}; rule: an object")
    return EdgeHubConfig(
        routes=compile_routes(routes),
        ttl_s=_ttl(storage),
        store_limit_bytes=_store_limit_bytes(storage.get("storeLimits")),
    )


def config_report(
    desired: Mapping[str, Any], version: int, refusal: Exception | None
) -> JsonObject:
    """Return what `$edgeHub` reports of its newest desired properties, and why it refuses them."""
    return {
        "schemaVersion": desired.get("schemaVersion"),
        "lastDesiredVersion": version,
        "lastDesiredStatus": {
            "code": 200 if refusal is None else 400,
            "description": "" if refusal is None else str(refusal),
        },
    }


def _ttl(storage: Mapping[str, Any]) -> float | None:
    seconds = storage.get("timeToLiveSecs", NEVER)
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise ManifestError(f"{_STORAGE}.timeToLiveSecs {seconds!r}; rule: an integer")
    return None if seconds < 0 else float(seconds)


def _store_limit_bytes(limits: Any) -> int | None:
    if limits is None:
        return None
    size = limits.get("maxSizeBytes") if isinstance(limits, Mapping) else None
    if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
        raise ManifestError(f"{_STORAGE}.storeLimits.maxSizeBytes; rule: an integer above 0")
    return size
