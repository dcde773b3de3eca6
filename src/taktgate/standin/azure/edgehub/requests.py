"""What modules ask of edgeHub by publishing: messages, twin GET and PATCH, method answers."""

import json
from typing import Protocol

from taktgate.standin.azure.edgehub.config import EdgeHubConfig
from taktgate.standin.azure.edgehub.methods import MethodCalls, parse_json
from taktgate.standin.azure.edgehub.queue import RoutedMessage
from taktgate.standin.azure.edgehub.routes.conditions import MessageFacts
from taktgate.standin.azure.edgehub.routes.language import module_source
from taktgate.standin.azure.edgehub.session import ModuleSession
from taktgate.standin.azure.edgehub.twins import TwinStore
from taktgate.standin.azure.edgehub.upstream import UpstreamQueue
from taktgate.standin.azure.errors import MqttProtocolError, TwinLimitError
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.mqtt import codec, topics


class EdgeHubParts(Protocol):
    """The parts of edgeHub that a request may touch."""

    config: EdgeHubConfig
    upstream: UpstreamQueue
    methods: MethodCalls
    twins: TwinStore

    @property
    def device(self) -> str:
        """The device's id."""

    def session(self, module: str) -> ModuleSession:
        """Return the session of *module*."""


class ModuleRequests:
    """Acts on the messages that modules publish."""

    def __init__(self, parts: EdgeHubParts) -> None:
        self._parts = parts

    def act_on(self, session: ModuleSession, packet: codec.Publish) -> None:
        """Do what *packet* asks for.

        Raises:
            MqttProtocolError: The topic is unknown or belongs to another module.
        """
        match topics.parse(packet.topic):
            case topics.Event() as event:
                self._route(session, event, packet.payload)
            case topics.TwinGet(request_id=request_id):
                document = self._parts.twins.document(session.module)
                session.notify(topics.twin_response_topic(200, request_id), _to_bytes(document))
            case topics.ReportedPatch(request_id=request_id):
                self._patch_reported(session, request_id, packet.payload)
            case topics.MethodAnswer() as answer:
                self._parts.methods.answered(session.module, answer, packet.payload)

    def relay_desired(self, session: ModuleSession, patch: JsonObject, version: int) -> None:
        """Pass a change of desired properties to the module, if it listens."""
        if session.is_subscribed(topics.DESIRED_PATCHES):
            session.notify(
                topics.desired_patch_topic(version), _to_bytes({**patch, "$version": version})
            )

    def _patch_reported(self, session: ModuleSession, request_id: str, payload: bytes) -> None:
        try:
            patch = parse_json(payload)
            if not isinstance(patch, dict):
                raise TwinLimitError("rule: reported properties are a JSON object")
            version = self._parts.twins.patch_reported(session.module, patch)
        except (MqttProtocolError, TwinLimitError) as error:
            answer = _to_bytes({"message": str(error)})
            session.notify(topics.twin_response_topic(400, request_id), answer)
        else:
            session.notify(topics.twin_response_topic(204, request_id, version), b"")

    def _route(self, session: ModuleSession, event: topics.Event, payload: bytes) -> None:
        if (event.device, event.module) != (self._parts.device, session.module):
            raise MqttProtocolError(f"message in the name of {event.device}/{event.module}")
        message = _stored_form(event, payload)
        config = self._parts.config
        for route in config.routes.select(message.source, message.facts):
            ttl_s = config.ttl_s if route.ttl_s is None else route.ttl_s
            if route.endpoint.module is None:
                self._parts.upstream.put(message, priority=route.priority, ttl_s=ttl_s)
                continue
            target = self._parts.session(route.endpoint.module)
            target.queue.put(
                message, input_name=route.endpoint.input, priority=route.priority, ttl_s=ttl_s
            )
            target.pump()


def _stored_form(event: topics.Event, payload: bytes) -> RoutedMessage:
    system = {
        **{name: value for name, value in event.system.items() if name != topics.OUTPUT_NAME},
        topics.CONNECTION_DEVICE: event.device,
        topics.CONNECTION_MODULE: event.module,
    }
    output = event.system.get(topics.OUTPUT_NAME)
    facts_system = {topics.SYSTEM_NAMES[name]: value for name, value in system.items()}
    if output:
        facts_system["outputName"] = output
    return RoutedMessage(
        source=module_source(event.module, output),
        payload=payload,
        properties=event.properties,
        system=system,
        facts=MessageFacts(properties=event.properties, system=facts_system),
    )


def _to_bytes(document: JsonObject) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
