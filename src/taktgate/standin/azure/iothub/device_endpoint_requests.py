"""What devices and modules ask of IoT Hub by publishing: telemetry, twins, method answers."""

import uuid
from datetime import UTC, datetime

from taktgate.standin.azure.device_link import HubSide, MethodResult, Telemetry
from taktgate.standin.azure.errors import HubRequestError, MqttProtocolError
from taktgate.standin.azure.iothub.device_endpoint_session import ClientSession
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.mqtt import codec, topics
from taktgate.standin.azure.mqtt.payloads import parse_json, parse_object, to_bytes

MAX_MESSAGE_BYTES = 256 * 1024
"""Body and properties: learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling."""
RETAINED = "mqtt-retain"
"""learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub: retained messages are not kept."""


class ClientRequests:
    """Acts on the messages that clients publish."""

    def __init__(self, hub: HubSide) -> None:
        self._hub = hub

    def act_on(self, session: ClientSession, packet: codec.Publish) -> None:
        """Do what *packet* asks for.

        Raises:
            MqttProtocolError: The topic is unknown or another client's, or the message too large.
        """
        match topics.parse(packet.topic):
            case topics.Event() as event:
                self._take_telemetry(session, event, packet)
            case topics.TwinGet(request_id=request_id):
                self._answer_twin(session, request_id)
            case topics.ReportedPatch(request_id=request_id):
                self._patch_reported(session, request_id, packet.payload)
            case topics.MethodAnswer(request_id=request_id, status=status):
                result = MethodResult(status=status, payload=parse_json(packet.payload))
                session.answered(request_id, result)

    def _take_telemetry(
        self, session: ClientSession, event: topics.Event, packet: codec.Publish
    ) -> None:
        if (event.device, event.module) != (session.device, session.module):
            raise MqttProtocolError(f"message in the name of {event.device}/{event.module}")
        properties = {**event.properties, **({RETAINED: "true"} if packet.retain else {})}
        system = {
            **event.system,
            topics.CONNECTION_DEVICE: session.device,
            **({topics.CONNECTION_MODULE: session.module} if session.module else {}),
        }
        texts = (text for pair in (*properties.items(), *event.system.items()) for text in pair)
        size_bytes = len(packet.payload) + sum(len(text.encode()) for text in texts)
        if size_bytes > MAX_MESSAGE_BYTES:
            raise MqttProtocolError(
                f"message of {size_bytes} bytes; rule: at most {MAX_MESSAGE_BYTES}"
            )
        self._hub.take_telemetry(
            Telemetry(
                device=session.device,
                module=session.module,
                output=system.pop(topics.OUTPUT_NAME, ""),
                payload=packet.payload,
                properties=properties,
                system=system,
            )
        )

    def _answer_twin(self, session: ClientSession, request_id: str) -> None:
        try:
            twin = self._hub.twin_properties(session.device, session.module)
        except HubRequestError as error:
            _refuse(session, request_id, error)
        else:
            topic = topics.twin_response_topic(200, request_id)
            session.notify(topics.TWIN_RESPONSES, topic, to_bytes(twin.to_wire()))

    def _patch_reported(self, session: ClientSession, request_id: str, payload: bytes) -> None:
        try:
            patch = parse_object(payload)
            version = self._hub.patch_reported(session.device, session.module, patch)
        except MqttProtocolError as error:
            _refuse(session, request_id, HubRequestError(400, "ArgumentInvalid", str(error)))
        except HubRequestError as error:
            _refuse(session, request_id, error)
        else:
            topic = topics.twin_response_topic(204, request_id, version)
            session.notify(topics.TWIN_RESPONSES, topic, b"")


def _refuse(session: ClientSession, request_id: str, error: HubRequestError) -> None:
    body: JsonObject = {
        "errorCode": error.number,
        "trackingId": uuid.uuid4().hex,
        "message": str(error),
        "timestampUtc": datetime.now(UTC).isoformat(),
    }
    topic = topics.twin_response_topic(error.status, request_id)
    session.notify(topics.TWIN_RESPONSES, topic, to_bytes(body))
