"""The hub's stored deployments: immutable content, changeable targeting, metrics."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from taktgate.standin.azure.errors import HubRequestError, ManifestError, QuerySyntaxError
from taktgate.standin.azure.iothub import bodies, device_management, query_language
from taktgate.standin.azure.iothub.bodies import ConfigurationBody, ContentBody
from taktgate.standin.azure.iothub.device_management import Deployment, ModulesContent
from taktgate.standin.azure.iothub.etags import check_etag, number_etag
from taktgate.standin.azure.json_types import JsonObject

log = logging.getLogger(__name__)

MAX_DEPLOYMENTS = 100
"""Of a paid hub; a free one has 10 (iot-hub-devguide-quotas-throttling, "Other limits")."""
_AGENTS = "select deviceId from devices.modules where moduleId = '$edgeAgent'"
_REPORTED = (
    "and properties.desired.$version = properties.reported.lastDesiredVersion "
    "and properties.reported.lastDesiredStatus.code"
)
EDGE_DEVICES = "select deviceId from devices where capabilities.iotEdge = true"

RunQuery = Callable[[str], list[JsonObject]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One stored deployment."""

    deployment: Deployment
    target_condition: str = ""
    labels: Mapping[str, str] | None = None
    schema_version: str | None = None
    metric_queries: Mapping[str, str] = field(default_factory=dict)
    number: int
    """Its version among all writes of configurations."""
    created_at: str
    updated_at: str

    @property
    def etag(self) -> str:
        """The etag."""
        return number_etag(self.number)

    @property
    def system_queries(self) -> dict[str, str]:
        """The queries behind the system metrics, as the hub fills them in."""
        applied = f"{_AGENTS} and configurations.[[{self.deployment.id}]].status = 'Applied'"
        return {
            "targetedCount": self._targeted_query(),
            "appliedCount": applied,
            "reportedSuccessfulCount": f"{applied} {_REPORTED} = 200",
            "reportedFailedCount": f"{applied} {_REPORTED} != 200",
        }

    def to_json(self, run: RunQuery) -> JsonObject:
        """Return the document that a GET answers; counts are made by *run*."""
        return {
            "id": self.deployment.id,
            "schemaVersion": self.schema_version,
            "labels": None if self.labels is None else dict(self.labels),
            "content": {"modulesContent": self.deployment.modules_content},
            "targetCondition": self.target_condition,
            "createdTimeUtc": self.created_at,
            "lastUpdatedTimeUtc": self.updated_at,
            "priority": self.deployment.priority,
            "systemMetrics": {
                "results": _counts(self.system_queries, run),
                "queries": self.system_queries,
            },
            "metrics": {
                "results": _counts(self.metric_queries, run),
                "queries": dict(self.metric_queries),
            },
            "etag": self.etag,
        }

    def _targeted_query(self) -> str:
        """Return the target condition as a query; the hub shows none for an empty condition."""
        if self.deployment.condition is None:
            return ""
        is_everybody = self.target_condition.strip() == "*"
        return EDGE_DEVICES if is_everybody else f"{EDGE_DEVICES} and ({self.target_condition})"


class ConfigurationStore:
    """All deployments of a hub by id."""

    def __init__(self, limit: int = MAX_DEPLOYMENTS) -> None:
        self._limit = limit
        self._by_id: dict[str, Configuration] = {}
        self._changes = 0

    def all(self) -> list[Configuration]:
        """Return the deployments, oldest first."""
        return sorted(self._by_id.values(), key=lambda each: each.deployment.created)

    def get(self, config_id: str) -> Configuration:
        """Return one deployment.

        Raises:
            HubRequestError: 404, there is none.
        """
        try:
            return self._by_id[config_id]
        except KeyError:
            raise HubRequestError(
                404, "ConfigurationNotFound", f"Configuration with id '{config_id}' does not exist."
            ) from None

    def put(
        self, config_id: str, document: JsonObject, if_match: str | None, *, now: str
    ) -> Configuration:
        """Create a deployment, or change targeting, priority, labels and metrics of an old one.

        Args:
            config_id: The id of the request's path.
            document: The request's body.
            if_match: What makes it an update; without it only a new id is taken.
            now: The hub's date as text.

        Raises:
            HubRequestError: 400 for a wrong document or changed content, 403 when there are too
                many, 404 for the update of none, 409 for a second create, 412 for a wrong etag.
        """
        bodies.check_configuration_id(config_id)
        body = bodies.parse(ConfigurationBody, document)
        known = self._by_id.get(config_id)
        _check_precondition(config_id, known, if_match)
        if known is None and len(self._by_id) >= self._limit:
            raise HubRequestError(
                403, "IotHubQuotaExceeded", f"configurations; rule: at most {self._limit} in a hub"
            )
        parsed = _parsed(config_id, body, known, number=self._changes + 1, now=now)
        self._changes += 1
        self._by_id[config_id] = parsed
        self._warn_of_tie(parsed)
        return parsed

    def delete(self, config_id: str, if_match: str | None) -> None:
        """Remove a deployment.

        Raises:
            HubRequestError: 404 or 412.
        """
        check_etag(self.get(config_id).etag, if_match)
        del self._by_id[config_id]

    def restore(self, configuration: Configuration) -> None:
        """Take back a deployment that was stored before a restart."""
        self._by_id[configuration.deployment.id] = configuration
        self._changes = max(self._changes, configuration.number, configuration.deployment.created)

    def _warn_of_tie(self, configuration: Configuration) -> None:
        """Say that the order of layers of one priority is no promise (Azure/iotedge#6685)."""
        mine = configuration.deployment
        ties = [
            each.deployment.id
            for each in self._by_id.values()
            if each.deployment.priority == mine.priority and each.deployment.id != mine.id
        ]
        if mine.is_layered and ties:
            log.warning(
                "deployments share a priority: Azure promises no order among them, here the newer "
                "one wins",
                extra={"deployment": mine.id, "priority": mine.priority, "others": sorted(ties)},
            )


def _check_precondition(config_id: str, known: Configuration | None, if_match: str | None) -> None:
    if known is None:
        if if_match is None:
            return
        raise HubRequestError(
            404, "ConfigurationNotFound", f"Configuration with id '{config_id}' does not exist."
        )
    # Only a quoted etag is honoured here, other than for identities and twins
    # (mwalser/terraform-provider-iothub CONCEPT.md, appendix D, "ETag formats").
    if if_match is None or (if_match.strip() != "*" and '"' not in if_match):
        raise HubRequestError(
            409,
            "ConfigurationAlreadyExists",
            f"Configuration with id '{config_id}' already exist on IotHub.",
        )
    check_etag(known.etag, if_match)


def _parsed(
    config_id: str, body: ConfigurationBody, known: Configuration | None, *, number: int, now: str
) -> Configuration:
    if body.id not in (None, config_id):
        raise HubRequestError(400, "ArgumentInvalid", f"id {body.id!r}; rule: as in the path")
    content = _content(body.content)
    target = body.target_condition or ""
    deployment = Deployment(
        id=config_id,
        priority=body.priority or 0,
        created=number,
        condition=_condition(target),
        modules_content=content,
    )
    if known is not None:
        deployment = _of_known(known.deployment, deployment)
    queries = (body.metrics.queries if body.metrics else None) or {}
    _check_metrics(queries)
    return Configuration(
        deployment=deployment,
        target_condition=target,
        labels=None if body.labels is None else {k: v for k, v in body.labels.items() if v},
        schema_version=body.schema_version,
        metric_queries=queries,
        number=number,
        created_at=known.created_at if known else now,
        updated_at=now,
    )


def _of_known(old: Deployment, new: Deployment) -> Deployment:
    if new.modules_content != old.modules_content:
        # learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes, 400403. A live hub of 2026-08
        # answered 200 and kept the old content instead (mwalser/terraform-provider-iothub).
        raise HubRequestError(
            400,
            "CannotModifyImmutableConfigurationContent",
            f"content of {old.id} is immutable; rule: a new id for new content",
        )
    return replace(new, created=old.created, modules_content=old.modules_content)


def _content(content: ContentBody | None) -> ModulesContent:
    if content is None:
        raise _wrong_content("content is missing; rule: every PUT carries it")
    if content.device_content is not None or content.module_content is not None:
        if content.modules_content is not None:
            raise _wrong_content(
                "content; rule: one of deviceContent, moduleContent, modulesContent"
            )
        raise _wrong_content(
            "content.deviceContent and content.moduleContent: the local hub has deployments of "
            "IoT Edge only; rule: content.modulesContent"
        )
    try:
        device_management.check_content(content.modules_content)
    except ManifestError as error:
        raise _wrong_content(str(error)) from error
    assert content.modules_content is not None
    return content.modules_content


def _wrong_content(message: str) -> HubRequestError:
    return HubRequestError(400, "InvalidConfigurationContent", message)


def _condition(target: str) -> query_language.Condition | None:
    try:
        return query_language.parse_target_condition(target)
    except QuerySyntaxError as error:
        raise HubRequestError(
            400, "InvalidConfigurationTargetCondition", f"targetCondition: {error}"
        ) from error


def _check_metrics(queries: Mapping[str, str]) -> None:
    for name, text in queries.items():
        try:
            query_language.parse_query(text)
        except QuerySyntaxError as error:
            raise HubRequestError(
                400, "InvalidConfigurationCustomMetricsQuery", f"metrics.queries.{name}: {error}"
            ) from error


def _counts(queries: Mapping[str, str], run: RunQuery) -> dict[str, int]:
    return {name: len(run(query)) if query else 0 for name, query in queries.items()}
