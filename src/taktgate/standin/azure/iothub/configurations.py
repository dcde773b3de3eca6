"""The hub's stored deployments: immutable content, changeable targeting, system metrics."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from taktgate.standin.azure.errors import HubRequestError, ManifestError, QuerySyntaxError
from taktgate.standin.azure.iothub import device_management, query_language
from taktgate.standin.azure.iothub.device_management import Deployment
from taktgate.standin.azure.json_types import JsonObject

MAX_DEPLOYMENTS = 100
_AGENTS = "select deviceId from devices.modules"
_SUCCESS = (
    "and properties.desired.$version = properties.reported.lastDesiredVersion "
    "and properties.reported.lastDesiredStatus.code"
)

RunQuery = Callable[[str], list[JsonObject]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One stored deployment."""

    deployment: Deployment
    target_condition: str
    labels: Mapping[str, str]
    schema_version: str
    metric_queries: Mapping[str, str]
    etag: str
    created_at: str
    updated_at: str

    @property
    def system_queries(self) -> dict[str, str]:
        """The queries behind the system metrics, as the hub fills them in."""
        status = f"configurations.[[{self.deployment.id}]].status"
        applied = f"{_AGENTS} where moduleId = '$edgeAgent' and {status} = 'Applied'"
        queries = {
            "appliedCount": applied,
            "reportedSuccessfulCount": f"{applied} {_SUCCESS} = 200",
            "reportedFailedCount": f"{applied} {_SUCCESS} != 200",
        }
        edge = "select deviceId from devices where capabilities.iotEdge = true"
        if self.deployment.condition is not None:
            wanted = "" if self.target_condition == "*" else f" and ({self.target_condition})"
            queries["targetedCount"] = edge + wanted
        return queries

    def to_json(self, run: RunQuery) -> JsonObject:
        """Return the document that a GET answers; counts are made by *run*."""
        system = {name: len(run(query)) for name, query in self.system_queries.items()}
        return {
            "id": self.deployment.id,
            "schemaVersion": self.schema_version,
            "labels": dict(self.labels),
            "content": {"modulesContent": copy.deepcopy(dict(self.deployment.modules_content))},
            "targetCondition": self.target_condition,
            "priority": self.deployment.priority,
            "createdTimeUtc": self.created_at,
            "lastUpdatedTimeUtc": self.updated_at,
            "etag": self.etag,
            "systemMetrics": {
                "queries": self.system_queries,
                "results": {"targetedCount": 0, **system},
            },
            "metrics": {
                "queries": dict(self.metric_queries),
                "results": {n: len(run(query)) for n, query in self.metric_queries.items()},
            },
        }


class ConfigurationStore:
    """All deployments of a hub by id."""

    def __init__(self) -> None:
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
                404, "ConfigurationNotFound", f"configuration {config_id} does not exist"
            ) from None

    def put(self, config_id: str, document: JsonObject, if_match: str | None) -> Configuration:
        """Create a deployment, or change targeting, priority, labels and metrics of an old one.

        Raises:
            HubRequestError: 400 for a wrong document, 409 for changed content or a second create,
                412 for a wrong etag.
        """
        parsed = self._parse(config_id, document)
        known = self._by_id.get(config_id)
        if known is None:
            if len(self._by_id) >= MAX_DEPLOYMENTS:
                raise HubRequestError(403, "ConfigurationCountLimitExceeded", "at most 100")
        else:
            parsed = self._update_of(known, parsed, if_match)
        self._by_id[config_id] = parsed
        return parsed

    def delete(self, config_id: str, if_match: str | None) -> None:
        """Remove a deployment.

        Raises:
            HubRequestError: 404 or 412.
        """
        check_etag(self.get(config_id).etag, if_match)
        del self._by_id[config_id]

    @staticmethod
    def _update_of(
        known: Configuration, parsed: Configuration, if_match: str | None
    ) -> Configuration:
        old = known.deployment
        if parsed.deployment.modules_content != old.modules_content:
            raise HubRequestError(
                409, "ConfigurationConflict", f"content of {old.id} is immutable: use a new id"
            )
        if if_match is None:
            raise HubRequestError(
                409, "ConfigurationAlreadyExists", f"configuration {old.id} exists"
            )
        check_etag(known.etag, if_match)
        deployment = Deployment(
            id=old.id,
            priority=parsed.deployment.priority,
            created=old.created,
            condition=parsed.deployment.condition,
            modules_content=old.modules_content,
        )
        return Configuration(
            deployment=deployment,
            target_condition=parsed.target_condition,
            labels=parsed.labels,
            schema_version=known.schema_version,
            metric_queries=parsed.metric_queries,
            etag=parsed.etag,
            created_at=known.created_at,
            updated_at=parsed.updated_at,
        )

    def _parse(self, config_id: str, document: JsonObject) -> Configuration:
        try:
            content: Any = (document.get("content") or {}).get("modulesContent")
            device_management.check_content(content)
            target = str(document.get("targetCondition") or "")
            condition = query_language.parse_target_condition(target)
            queries = (document.get("metrics") or {}).get("queries") or {}
            for text in queries.values():
                query_language.parse_query(text)
            priority = _priority(document.get("priority", 0))
        except (AttributeError, TypeError, ManifestError, QuerySyntaxError) as error:
            raise HubRequestError(400, "ArgumentInvalid", str(error)) from error
        self._changes += 1
        now = datetime.now(UTC).isoformat()
        return Configuration(
            deployment=Deployment(
                id=config_id,
                priority=priority,
                created=self._changes,
                condition=condition,
                modules_content=copy.deepcopy(content),
            ),
            target_condition=target,
            labels=document.get("labels") or {},
            schema_version=str(document.get("schemaVersion") or "2.0"),
            metric_queries=queries,
            etag=f"c{self._changes}",
            created_at=now,
            updated_at=now,
        )


def check_etag(etag: str, if_match: str | None) -> None:
    """Check a request's If-Match.

    Raises:
        HubRequestError: 412, the entity has changed.
    """
    if if_match is not None and if_match.strip('"') not in ("*", etag):
        raise HubRequestError(412, "PreconditionFailed", "the entity has another etag")


def _priority(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ManifestError(f"priority {value!r}; rule: an integer of at least 0")
    return value
