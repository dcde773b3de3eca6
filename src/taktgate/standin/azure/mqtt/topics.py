"""The MQTT topics of IoT Hub and edgeHub: what a client's topic asks for, and what is sent to it.

A client is a module, or a device where the module's name is empty.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import quote, unquote

from taktgate.standin.azure.errors import MqttProtocolError

OUTPUT_NAME = "$.on"
CORRELATION_ID = "$.cid"
MESSAGE_SCHEMA = "$.schema"
CONNECTION_DEVICE = "$.cdid"
CONNECTION_MODULE = "$.cmid"
SYSTEM_NAMES = {
    "$.mid": "messageId",
    "$.cid": "correlationId",
    "$.uid": "userId",
    "$.ct": "contentType",
    "$.ce": "contentEncoding",
    "$.exp": "expiryTimeUtc",
    "$.to": "to",
    "$.on": "outputName",
    "$.cdid": "connectionDeviceId",
    "$.cmid": "connectionModuleId",
    "$.schema": "messageSchema",
    "$.ctime": "creationTime",
}

TWIN_RESPONSES = "$iothub/twin/res/#"
DESIRED_PATCHES = "$iothub/twin/PATCH/properties/desired/#"
METHODS = "$iothub/methods/POST/#"
NOTICES = (TWIN_RESPONSES, DESIRED_PATCHES, METHODS)
INPUTS = re.compile(r"^devices/(?P<device>[^/]+)/modules/(?P<module>[^/]+)/(inputs/)?#$")

_EVENTS = re.compile(
    r"^devices/(?P<device>[^/]+)/(modules/(?P<module>[^/]+)/)?messages/events/(?P<bag>[^/]*)/?$"
)
_TWIN_GET = re.compile(r"^\$iothub/twin/GET/\?\$rid=(?P<rid>[^&]+)$")
_TWIN_PATCH = re.compile(r"^\$iothub/twin/PATCH/properties/reported/\?\$rid=(?P<rid>[^&]+)$")
_TWIN_ANSWER = re.compile(r"^\$iothub/twin/res/(?P<status>\d+)/\?\$rid=(?P<rid>[^&]+)(&.*)?$")
_DESIRED_CHANGED = re.compile(
    r"^\$iothub/twin/PATCH/properties/desired/\?\$version=(?P<version>\d+)$"
)
_METHOD_CALL = re.compile(r"^\$iothub/methods/POST/(?P<name>[^/]+)/\?\$rid=(?P<rid>[^&]+)$")
_METHOD_RESULT = re.compile(r"^\$iothub/methods/res/(?P<status>-?\d+)/\?\$rid=(?P<rid>[^&]+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A message from a client; *system* and *properties* are decoded."""

    device: str
    module: str
    properties: Mapping[str, str] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinGet:
    """A module asks for its twin."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedPatch:
    """A module patches its reported properties."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodAnswer:
    """A module answers a direct method."""

    request_id: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinAnswer:
    """The hub answers a `TwinGet` (200) or a `ReportedPatch` (204), or refuses it."""

    request_id: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredChanged:
    """The desired properties have changed."""

    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodCall:
    """A direct method is called."""

    name: str
    request_id: str


Notice: TypeAlias = TwinAnswer | DesiredChanged | MethodCall
Request: TypeAlias = Event | TwinGet | ReportedPatch | MethodAnswer


def parse(topic: str) -> Request:
    """Return what a client asks for by publishing to *topic*.

    Raises:
        MqttProtocolError: There is no such topic.
    """
    if found := _EVENTS.match(topic):
        return _event(found["device"], found["module"] or "", found["bag"])
    if found := _TWIN_GET.match(topic):
        return TwinGet(request_id=found["rid"])
    if found := _TWIN_PATCH.match(topic):
        return ReportedPatch(request_id=found["rid"])
    if found := _METHOD_RESULT.match(topic):
        return MethodAnswer(request_id=found["rid"].lower(), status=int(found["status"]))
    raise MqttProtocolError(f"no such topic: {topic[:120]!r}")


def _event(device: str, module: str, bag: str) -> Event:
    properties: dict[str, str] = {}
    system: dict[str, str] = {}
    for item in filter(None, bag.removeprefix("?").split("&")):
        name, _, value = item.partition("=")
        key = unquote(name)
        (system if key in SYSTEM_NAMES else properties)[key] = unquote(value)
    return Event(device=device, module=module, properties=properties, system=system)


def is_subscribable(topic_filter: str, *, device: str, module: str) -> bool:
    """Tell whether edgeHub grants *topic_filter* to this module."""
    if topic_filter in NOTICES:
        return True
    found = INPUTS.match(topic_filter)
    return found is not None and (found["device"], found["module"]) == (device, module)


def is_subscribable_at_hub(topic_filter: str, *, device: str, module: str) -> bool:
    """Tell whether IoT Hub grants *topic_filter* to this client.

    Cloud-to-device messages are granted, though the local hub has none
    (learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub).
    """
    if module:
        return is_subscribable(topic_filter, device=device, module=module)
    return topic_filter in (*NOTICES, f"devices/{device}/messages/devicebound/#")


def input_topic(device: str, module: str, input_name: str, bag: Mapping[str, str]) -> str:
    """Return the topic under which *module* gets a message on *input_name*."""
    encoded = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(bag.items()))
    return f"devices/{device}/modules/{module}/inputs/{input_name}/{encoded}"


def twin_response_topic(status: int, request_id: str, version: int | None = None) -> str:
    """Return the topic of the answer to a twin request."""
    suffix = "" if version is None else f"&$version={version}"
    return f"$iothub/twin/res/{status}/?$rid={request_id}{suffix}"


def desired_patch_topic(version: int) -> str:
    """Return the topic of a change of the desired properties."""
    return f"$iothub/twin/PATCH/properties/desired/?$version={version}"


def method_topic(name: str, request_id: str) -> str:
    """Return the topic of a direct method call."""
    return f"$iothub/methods/POST/{name}/?$rid={request_id}"


def twin_get_topic(request_id: str) -> str:
    """Return the topic by which a client asks for its twin."""
    return f"$iothub/twin/GET/?$rid={request_id}"


def reported_patch_topic(request_id: str) -> str:
    """Return the topic by which a client patches its reported properties."""
    return f"$iothub/twin/PATCH/properties/reported/?$rid={request_id}"


def method_answer_topic(status: int, request_id: str) -> str:
    """Return the topic by which a client answers a direct method."""
    return f"$iothub/methods/res/{status}/?$rid={request_id}"


def parse_notice(topic: str) -> Notice:
    """Return what a hub tells a client by *topic*.

    Raises:
        MqttProtocolError: There is no such topic.
    """
    if found := _DESIRED_CHANGED.match(topic):
        return DesiredChanged(version=int(found["version"]))
    if found := _TWIN_ANSWER.match(topic):
        return TwinAnswer(request_id=found["rid"], status=int(found["status"]))
    if found := _METHOD_CALL.match(topic):
        return MethodCall(name=found["name"], request_id=found["rid"])
    raise MqttProtocolError(f"no such topic: {topic[:120]!r}")
