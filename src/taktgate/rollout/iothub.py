"""IoT Hub by Azure's service SDK: the only place that knows it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from azure.iot.hub import IoTHubConfigurationManager, IoTHubRegistryManager
from azure.iot.hub.models import (
    Configuration,
    ConfigurationContent,
    ConfigurationMetrics,
    QuerySpecification,
)
from msrest.exceptions import ClientException, HttpOperationError

from taktgate.contracts import routes
from taktgate.contracts.twins import ModelOrder
from taktgate.rollout.analysis import Station, read_station
from taktgate.rollout.errors import (
    CloudChangedError,
    CloudDeniedError,
    CloudError,
    CloudRefusedError,
    CloudUnreachableError,
    PlanError,
)
from taktgate.rollout.layers import Layer, LayerState
from taktgate.rollout.plan import Ring

TIMEOUT_S: Final = 10
RETRIES: Final = 2
PAGE_ITEMS: Final = 1000
_KINDS: Final[dict[int, type[CloudError]]] = {
    401: CloudDeniedError,
    403: CloudDeniedError,
    408: CloudUnreachableError,
    409: CloudChangedError,
    412: CloudChangedError,
    429: CloudUnreachableError,
}
_SECRET: Final = re.compile(r"SharedAccess(?:Key|Signature)=[^;\s]+|sig=[^&\s]+")


class IotHub:
    """Layers and twins of one hub."""

    def __init__(self, connection_string: str) -> None:
        """Take the login; nothing is sent yet.

        Raises:
            PlanError: *connection_string* is none of a hub's.
        """
        try:
            self._layers = IoTHubConfigurationManager.from_connection_string(connection_string)
            self._twins = IoTHubRegistryManager.from_connection_string(connection_string)
        except (ValueError, KeyError) as error:
            raise PlanError(
                "login: must be HostName=...;SharedAccessKeyName=...;SharedAccessKey=..."
            ) from error
        for manager in (self._layers, self._twins):
            manager.protocol.config.connection.timeout = TIMEOUT_S
            manager.protocol.config.retry_policy.retries = RETRIES

    def layer(self, layer_id: str) -> LayerState | None:
        """Return the layer with *layer_id*, or None.

        Raises:
            CloudError: the hub did not answer, or not as we hoped.
        """
        found = self._configuration(layer_id)
        if found is None:
            return None
        return LayerState(
            id=found.id,
            content={"modulesContent": found.content.modules_content},
            target=found.target_condition or "",
            priority=found.priority or 0,
            etag=found.etag,
        )

    def create(self, layer: Layer) -> None:
        """Create *layer*.

        Raises:
            CloudChangedError: there is one with this id.
            CloudError: the hub did not answer, or not as we hoped.
        """
        configuration = Configuration(
            id=layer.id,
            schema_version="2.0",
            labels=layer.labels,
            content=ConfigurationContent(modules_content=layer.content["modulesContent"]),
            target_condition=layer.target,
            priority=layer.priority,
            metrics=ConfigurationMetrics(queries=layer.metrics),
        )
        with _translated_errors():
            self._layers.create_configuration(configuration)

    def retarget(self, layer: LayerState, target: str) -> None:
        """Give *layer* another target condition, if it is still what it was.

        Raises:
            CloudChangedError: it is not.
            CloudError: the hub did not answer, or not as we hoped.
        """
        found = self._configuration(layer.id)
        if found is None or found.etag != layer.etag:
            raise CloudChangedError(f"layer {layer.id} was changed by somebody else")
        found.target_condition = target
        with _translated_errors():
            self._layers.update_configuration(found, _quoted(layer.etag))

    def delete(self, layer: LayerState) -> None:
        """Delete *layer*, if it is still what it was: its stations fall back to what lies below.

        Raises:
            CloudChangedError: it is not.
            CloudError: the hub did not answer, or not as we hoped.
        """
        with _translated_errors():
            self._layers.delete_configuration(layer.id, _quoted(layer.etag))

    def stations(self, rings: tuple[Ring, ...], model: ModelOrder) -> tuple[Station, ...]:
        """Return what the stations of *rings* report about *model*, each under its first ring.

        Raises:
            CloudError: the hub did not answer, or not as we hoped.
        """
        ring_of: dict[str, str] = {}
        for ring in rings:
            for twin in self._query(f"devices WHERE capabilities.iotEdge = true AND {ring.target}"):
                ring_of.setdefault(twin.device_id, ring.name)
        inspection = self._reported(routes.INFERENCE, "inspection")
        stager = self._reported(routes.MODEL_STAGER, "stager")
        return tuple(
            read_station(
                device_id, name, model,
                inspection=inspection.get(device_id),
                stager=stager.get(device_id),
            )
            for device_id, name in sorted(ring_of.items())
        )  # fmt: skip

    def _configuration(self, layer_id: str) -> Any | None:
        try:
            with _translated_errors():
                return self._layers.get_configuration(layer_id)
        except _AbsentError:
            return None

    def _reported(self, module: str, section: str) -> dict[str, Mapping[str, Any]]:
        """Return what each device's *module* reports under *section*."""
        found = {}
        for twin in self._query(f"devices.modules WHERE moduleId = '{module}'"):
            reported = (twin.properties.reported or {}) if twin.properties else {}
            if isinstance(reported.get(section), Mapping):
                found[twin.device_id] = reported[section]
        return found

    def _query(self, what: str) -> Iterator[Any]:
        """Yield the twins that `SELECT * FROM` *what* finds, page by page."""
        token = None
        while True:
            with _translated_errors():
                page = self._twins.query_iot_hub(
                    # Conditions come from rings.yaml, checked by rollout/plan.py.
                    QuerySpecification(query=f"SELECT * FROM {what}"),  # noqa: S608
                    token,
                    str(PAGE_ITEMS),
                )
            yield from page.items or ()
            token = page.continuation_token
            if not token:
                return


class _AbsentError(CloudRefusedError):
    """There is no such thing."""


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate the SDK's errors within the block.

    Raises:
        CloudError: of the kind that fits.
    """
    try:
        yield
    except HttpOperationError as error:
        status = error.response.status_code
        kind = CloudUnreachableError if status >= 500 else CloudRefusedError
        message = f"IoT Hub answered {status}: {_without_secrets(error)}"
        raise (_AbsentError if status == 404 else _KINDS.get(status, kind))(message) from error
    except ClientException as error:
        raise CloudUnreachableError(f"IoT Hub: {_without_secrets(error)}") from error


def _without_secrets(error: Exception) -> str:
    return _SECRET.sub("***", str(error))[:500]


def _quoted(etag: str) -> str:
    return etag if etag.startswith('"') else f'"{etag}"'
