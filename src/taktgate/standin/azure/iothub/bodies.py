"""The bodies of service requests, checked field by field.

Sources: the models of azure-iot-hub 2.7.0 and of azure-iot-cli-extension, sdk/iothub/service.
Fields that the hub itself sets (etags, dates, counts) may come back in a request and are ignored.
"""

import base64
import binascii
import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.json_types import JsonObject

MAX_PRIORITY = 2**31 - 1
_DEVICE_ID = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}")
_CONFIGURATION_ID = re.compile(r"[a-z0-9\-+%_*!']{1,128}")


def _key(text: str) -> str:
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        size = -1
    if text and not 16 <= size <= 64:
        raise ValueError("base64 of 16 to 64 bytes")
    return text


def _thumbprint(text: str) -> str:
    if text and not re.fullmatch(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}", text):
        raise ValueError("40 or 64 hexadecimal digits")
    return text


Key = Annotated[str, AfterValidator(_key)]
Thumbprint = Annotated[str, AfterValidator(_thumbprint)]
AuthenticationType = Literal["sas", "selfSigned", "certificateAuthority", "none"]
Status = Literal["enabled", "disabled"]


class Body(BaseModel):
    """A part of a request's body; what the hub sets itself is ignored."""

    model_config = ConfigDict(
        extra="ignore", strict=True, frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class SymmetricKeyBody(Body):
    """Both keys, or neither."""

    primary_key: Key | None = None
    secondary_key: Key | None = None


class ThumbprintBody(Body):
    """Thumbprints of self-signed certificates."""

    primary_thumbprint: Thumbprint | None = None
    secondary_thumbprint: Thumbprint | None = None


class AuthenticationBody(Body):
    """How a device or module proves who it is."""

    type: AuthenticationType | None = None
    symmetric_key: SymmetricKeyBody | None = None
    x509_thumbprint: ThumbprintBody | None = Field(default=None, alias="x509Thumbprint")


class CapabilitiesBody(Body):
    """What a device can do."""

    iot_edge: bool | None = None


class DeviceBody(Body):
    """`PUT /devices/{id}`."""

    device_id: str | None = None
    status: Status | None = None
    status_reason: Annotated[str, Field(max_length=128)] | None = None
    authentication: AuthenticationBody | None = None
    capabilities: CapabilitiesBody | None = None
    device_scope: str | None = None
    parent_scopes: list[str] | None = None


class ModuleBody(Body):
    """`PUT /devices/{id}/modules/{mid}`."""

    device_id: str | None = None
    module_id: str | None = None
    managed_by: Annotated[str, Field(max_length=128)] | None = None
    authentication: AuthenticationBody | None = None


class TwinPropertiesBody(Body):
    """The properties of a twin that the service may write."""

    desired: dict[str, Any] | None = None


class TwinBody(Body):
    """`PATCH` and `PUT /twins/{id}[/modules/{mid}]`."""

    tags: dict[str, Any] | None = None
    properties: TwinPropertiesBody | None = None


class ContentBody(Body):
    """What a configuration holds: one of three."""

    device_content: dict[str, Any] | None = None
    module_content: dict[str, Any] | None = None
    modules_content: dict[str, dict[str, Any]] | None = None


class MetricsBody(Body):
    """The queries of a configuration's own metrics."""

    queries: dict[str, str] | None = None


class ConfigurationBody(Body):
    """`PUT /configurations/{id}`."""

    id: str | None = None
    schema_version: str | None = None
    labels: dict[str, str | None] | None = None
    content: ContentBody | None = None
    target_condition: str | None = None
    priority: Annotated[int, Field(ge=0, le=MAX_PRIORITY)] | None = None
    metrics: MetricsBody | None = None


class QueryBody(Body):
    """`POST /devices/query`."""

    query: str


class TestQueriesBody(Body):
    """`POST /configurations/testQueries`."""

    __test__ = False

    target_condition: str | None = None
    custom_metric_queries: dict[str, str] | None = None


class BulkDeviceBody(DeviceBody):
    """One entry of `POST /devices`."""

    id: str
    module_id: str | None = None
    import_mode: (
        Literal[
            "create",
            "update",
            "updateIfMatchETag",
            "createOrUpdate",
            "createOrUpdateIfMatchETag",
            "delete",
            "deleteIfMatchETag",
            "updateTwin",
            "updateTwinIfMatchETag",
        ]
        | None
    ) = None
    e_tag: str | None = Field(default=None, alias="eTag")
    twin_e_tag: str | None = Field(default=None, alias="twinETag")
    tags: dict[str, Any] | None = None
    properties: TwinPropertiesBody | None = None
    managed_by: str | None = None


BULK = TypeAdapter(list[BulkDeviceBody])
B = TypeVar("B", bound=Body)


def parse(kind: type[B], document: JsonObject) -> B:
    """Return *document* as a body of *kind*.

    Raises:
        HubRequestError: 400, naming the field and the rule.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise refused(error) from error


def refused(error: ValidationError) -> HubRequestError:
    """Return the answer for a body that breaks a rule."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(each) for each in first["loc"]) or "body"
    return HubRequestError(400, "ArgumentInvalid", f"{place}; rule: {first['msg']}")


def check_device_id(text: str, field: str = "deviceId") -> None:
    """Check the id of a device or module.

    Raises:
        HubRequestError: 400, a character or the length is not allowed.
    """
    if not _DEVICE_ID.fullmatch(text):
        raise HubRequestError(
            400,
            "ArgumentInvalid",
            f"{field} {text[:140]!r}; rule: 1 to 128 of A-Z a-z 0-9 - : . + % _ # * ? ! ( ) , = "
            f"@ ; $ '",
        )


def check_configuration_id(text: str) -> None:
    """Check the id of a configuration.

    Raises:
        HubRequestError: 400, a character or the length is not allowed.
    """
    if not _CONFIGURATION_ID.fullmatch(text):
        raise HubRequestError(
            400,
            "ArgumentInvalid",
            f"id {text[:140]!r}; rule: 1 to 128 of a-z 0-9 - + % _ * ! '",
        )
