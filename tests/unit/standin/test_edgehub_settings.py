"""edgeHub's figures and how a manifest's environment changes them."""

import pytest

from taktgate.standin.azure.edgehub.config import parse_config
from taktgate.standin.azure.edgehub.settings import EdgeHubSettings, with_environment
from taktgate.standin.azure.errors import ManifestError

VARIABLES = "Azure/iotedge doc/EnvironmentVariables.md"


@pytest.mark.azure(
    "edgeHub", "Its environment variables of the manifest change its figures", source=VARIABLES
)
@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("MessageAckTimeoutSecs", "5", "ack_timeout_s", 5),
        ("messageacktimeoutsecs", " 5 ", "ack_timeout_s", 5),
        ("MaxUpstreamBatchSize", "3", "upstream_batch_size", 3),
        ("UpstreamFanOutFactor", "2", "upstream_fan_out", 2),
        ("MinTwinSyncPeriodSecs", "120", "min_twin_sync_period_s", 120),
        ("MaxConnectedClients", "11", "max_connected_clients", 10),
        ("MessageCleanupIntervalSecs", "60", "cleanup_interval_s", 60),
        ("MessageCleanupIntervalSecs", "1", "cleanup_interval_s", 30),
        ("CheckEntireQueueOnCleanup", "TRUE", "check_entire_queue_on_cleanup", True),
        ("Metrics__Listener__Port", "9700", "metrics_port", 9700),
        ("metricsenabled", "false", "metrics_enabled", False),
    ],
)
def test_variable_changes_its_figure(name: str, text: str, field: str, value: float) -> None:
    assert getattr(with_environment(EdgeHubSettings(), {name: text}), field) == value


def test_unknown_variables_change_nothing() -> None:
    settings = EdgeHubSettings()
    assert with_environment(settings, {"OptimizeForPerformance": "false"}) == settings


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("MaxUpstreamBatchSize", "many", "MaxUpstreamBatchSize 'many'; rule: a whole number"),
        ("MaxUpstreamBatchSize", "0", "upstream_batch_size 0; rule: above 0"),
        ("CheckEntireQueueOnCleanup", "1", "rule: true or false"),
    ],
)
def test_wrong_variable_is_refused_by_name_and_rule(name: str, text: str, rule: str) -> None:
    with pytest.raises(ManifestError, match=rule):
        with_environment(EdgeHubSettings(), {name: text})


def test_figures_cannot_be_wrong() -> None:
    with pytest.raises(ValueError, match="ack_timeout_s 0; rule: above 0"):
        EdgeHubSettings(ack_timeout_s=0)


@pytest.mark.parametrize(
    ("storage", "rule"),
    [
        ([], "storeAndForwardConfiguration; rule: an object"),
        ({"timeToLiveSecs": "7200"}, "timeToLiveSecs '7200'; rule: an integer"),
        ({"storeLimits": {"maxSizeBytes": 0}}, "maxSizeBytes; rule: an integer above 0"),
        ({"storeLimits": 5}, "maxSizeBytes; rule: an integer above 0"),
    ],
)
def test_wrong_storage_settings_are_refused_by_name_and_rule(storage: object, rule: str) -> None:
    desired = {"schemaVersion": "1.2", "routes": {}, "storeAndForwardConfiguration": storage}
    with pytest.raises(ManifestError, match=rule):
        parse_config(desired)


def test_store_limit_is_read() -> None:
    storage = {"timeToLiveSecs": -1, "storeLimits": {"maxSizeBytes": 1000}}
    config = parse_config({"schemaVersion": "1.3", "storeAndForwardConfiguration": storage})
    assert (config.store_limit_bytes, config.ttl_s) == (1000, None)
