"""The JSON body of a direct method call, the same at IoT Hub and at edgeHub."""

from dataclasses import dataclass
from typing import Any

from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.json_types import JsonObject

DEFAULT_RESPONSE_TIMEOUT_S = 30
MAX_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRequest:
    """A direct method with its payload (any JSON value) and both its limits of time."""

    name: str
    payload: Any = None
    response_timeout_s: float = DEFAULT_RESPONSE_TIMEOUT_S
    connect_timeout_s: float = 0.0


def parse_method_call(body: JsonObject) -> MethodRequest:
    """Parse the body of a `POST .../methods`.

    Raises:
        HubRequestError: 400, the name is missing or a timeout is out of range.
    """
    name = body.get("methodName")
    if not isinstance(name, str) or not name:
        raise HubRequestError(400, "ArgumentInvalid", "methodName is missing")
    return MethodRequest(
        name=name,
        payload=body.get("payload"),
        response_timeout_s=_timeout(body, "responseTimeoutInSeconds", DEFAULT_RESPONSE_TIMEOUT_S),
        connect_timeout_s=_timeout(body, "connectTimeoutInSeconds", 0),
    )


def _timeout(body: JsonObject, field: str, default_s: int) -> float:
    """Return a timeout in seconds; the az CLI sends numbers as strings."""
    value = body.get(field)
    try:
        seconds = float(default_s if value is None else value)
    except (TypeError, ValueError, OverflowError):
        seconds = -1.0
    if not 0 <= seconds <= MAX_TIMEOUT_S:
        raise HubRequestError(
            400, "ArgumentInvalid", f"{field} {value!r}; rule: 0..{MAX_TIMEOUT_S}"
        )
    return seconds
