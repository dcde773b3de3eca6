"""The JSON in what clients and hub publish."""

import json
from typing import Any

from taktgate.standin.azure import strict_json
from taktgate.standin.azure.errors import MqttProtocolError
from taktgate.standin.azure.json_types import JsonObject


def parse_json(payload: bytes) -> Any:
    """Return *payload* as JSON; nothing at all is null.

    Raises:
        MqttProtocolError: The payload is not JSON.
    """
    if not payload.strip():
        return None
    try:
        return strict_json.parse(payload)
    except ValueError as error:
        raise MqttProtocolError("payload is not JSON") from error


def parse_object(payload: bytes) -> JsonObject:
    """Return *payload* as a JSON object.

    Raises:
        MqttProtocolError: It is none.
    """
    document = parse_json(payload)
    if not isinstance(document, dict):
        raise MqttProtocolError("payload is not a JSON object")
    return document


def to_bytes(document: Any) -> bytes:
    """Return *document* as compact JSON."""
    return json.dumps(document, separators=(",", ":")).encode()
