"""The figures of one edgeHub, with edgeHub's own defaults.

Where they come from, all in Azure/iotedge: doc/EnvironmentVariables.md (the names that start with a
capital), edge-hub/core/src/...Edge.Hub.Service/appsettings_hub.json (mqttSettings) and
modules/RoutingModule.cs, ...Edge.Hub.Core/{InvokeMethodHandler,ConnectionReauthenticator}.cs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

from taktgate.standin.azure.errors import ManifestError

MIN_CLEANUP_INTERVAL_S = 30.0
"""edgeHub cleans up at most this often, whatever it is told (MessageStore.cs)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeHubSettings:
    """Limits and periods of one edgeHub.

    What guards a socket counts the wall's seconds, all else the world's (`clock`).
    """

    ack_timeout_s: float = 30.0
    """MessageAckTimeoutSecs: a module's receipt of a message. On the wall's clock."""
    connect_timeout_s: float = 60.0
    """mqttSettings.ConnectArrivalTimeout. On the wall's clock."""
    max_silence_s: float = 600.0
    """mqttSettings.MaxKeepAliveTimeout. On the wall's clock."""
    max_connected_clients: int = 100
    """MaxConnectedClients is 101: edgeHub counts itself."""
    max_message_bytes: int = 256 * 1024
    """mqttSettings.MaxInboundMessageSize; also the limit for a message's body and properties."""
    batch_size: int = 10
    """Messages that are read from the store at once (AsyncEndpointExecutorOptions)."""
    upstream_batch_size: int = 10
    """MaxUpstreamBatchSize."""
    upstream_fan_out: int = 10
    """UpstreamFanOutFactor."""
    first_retry_s: float = 1.0
    """The first wait of the back-off."""
    max_retry_s: float = 60.0
    """The longest wait of the back-off."""
    revive_period_s: float = 30.0
    """How long an endpoint that failed for good counts as dead."""
    cleanup_interval_s: float = 1800.0
    """MessageCleanupIntervalSecs."""
    check_entire_queue_on_cleanup: bool = False
    """CheckEntireQueueOnCleanup: else a queue is cleaned from its head to the first that lives."""
    store_limit_bytes: int = 1024**3
    """Ours: edgeHub's store grows until the disk is full. Beyond it the oldest messages go."""
    min_twin_sync_period_s: float = 0.0
    """MinTwinSyncPeriodSecs, 120 on a device; 0 pulls at once. See the quirk twin-sync-period."""
    reported_sync_period_s: float = 0.0
    """ReportedPropertiesSyncFrequencySecs, 5 on a device; 0 pushes at once."""
    token_check_period_s: float = 300.0
    """How often the tokens of connected modules are checked again."""
    queued_method_delay_s: float = 3.0
    """How long after a module's subscription the methods that wait for it are called."""
    metrics_port: int = 9600
    """Metrics__Listener__Port."""
    metrics_enabled: bool = True
    """Metrics__Listener__MetricsEnabled."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            lowest = 0 if each.name in _MAY_BE_ZERO else _LEAST
            if not isinstance(value, bool) and not value >= lowest:
                rule = "0 or more" if lowest == 0 else "above 0"
                raise ValueError(f"{each.name} {value!r}; rule: {rule}")


_LEAST = 1e-9
_MAY_BE_ZERO = frozenset(
    ("min_twin_sync_period_s", "reported_sync_period_s", "queued_method_delay_s", "metrics_port")
)
_NUMBERS: Mapping[str, str] = MappingProxyType(
    {
        "messageacktimeoutsecs": "ack_timeout_s",
        "maxupstreambatchsize": "upstream_batch_size",
        "upstreamfanoutfactor": "upstream_fan_out",
        "mintwinsyncperiodsecs": "min_twin_sync_period_s",
        "reportedpropertiessyncfrequencysecs": "reported_sync_period_s",
        "metrics__listener__port": "metrics_port",
    }
)
_SWITCHES: Mapping[str, str] = MappingProxyType(
    {
        "checkentirequeueoncleanup": "check_entire_queue_on_cleanup",
        "metrics__listener__metricsenabled": "metrics_enabled",
        "metricsenabled": "metrics_enabled",
    }
)
_CLEANUP_INTERVALS = frozenset(("messagecleanupintervalsecs", "messagecleanupinterval"))
_WHOLE_NUMBER = re.compile(r"^\d{1,9}$")


def with_environment(settings: EdgeHubSettings, variables: Mapping[str, str]) -> EdgeHubSettings:
    """Return *settings* with what `systemModules.edgeHub.env` of a manifest says.

    As in .NET's configuration, names do not know upper and lower case; unknown ones are left alone.

    Raises:
        ManifestError: A value that is known here is no whole number, or no true or false.
    """
    changes: dict[str, float | bool] = {}
    for name, text in variables.items():
        key = name.lower()
        if key in _NUMBERS:
            changes[_NUMBERS[key]] = _number(name, text)
        elif key in _SWITCHES:
            changes[_SWITCHES[key]] = _switch(name, text)
        elif key in _CLEANUP_INTERVALS:
            changes["cleanup_interval_s"] = max(_number(name, text), MIN_CLEANUP_INTERVAL_S)
        elif key == "maxconnectedclients":
            # edgeHub counts its own connection as one of them.
            changes["max_connected_clients"] = _number(name, text) - 1
    try:
        return replace(settings, **changes)  # type: ignore[arg-type]  # a field's own type each
    except ValueError as error:
        raise ManifestError(f"systemModules.edgeHub.env: {error}") from error


def _number(name: str, text: str) -> int:
    if not _WHOLE_NUMBER.match(text.strip()):
        raise ManifestError(f"systemModules.edgeHub.env.{name} {text!r}; rule: a whole number")
    return int(text)


def _switch(name: str, text: str) -> bool:
    if text.strip().lower() not in ("true", "false"):
        raise ManifestError(f"systemModules.edgeHub.env.{name} {text!r}; rule: true or false")
    return text.strip().lower() == "true"
