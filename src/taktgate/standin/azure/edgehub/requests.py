"""What modules ask of edgeHub by publishing: messages, twin GET and PATCH, method answers."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.edgehub.errors import StoreFullError
from taktgate.standin.azure.edgehub.message import RoutedMessage
from taktgate.standin.azure.edgehub.message_store import Receipt
from taktgate.standin.azure.edgehub.metrics import EdgeHubMetrics
from taktgate.standin.azure.edgehub.routes.language import module_source
from taktgate.standin.azure.edgehub.session import ModuleSession
from taktgate.standin.azure.edgehub.twins import TwinStore
from taktgate.standin.azure.errors import MqttProtocolError, TwinLimitError
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.mqtt import codec, topics
from taktgate.standin.azure.mqtt.payloads import parse_object, to_bytes
from taktgate.standin.azure.quirks import QuirkBoard

log = logging.getLogger(__name__)

OWN_MODULE = "$edgeHub"
TWIN_CHANGE = "twinChangeNotification"
TWIN_CHANGE_SOURCE = "/twinChangeNotifications/"
OK, NO_CONTENT, BAD_REQUEST, THROTTLED, SERVER_ERROR = 200, 204, 400, 429, 500


class MessageRouter(Protocol):
    """Stores a message for the endpoints that take it."""

    def route(self, message: RoutedMessage, receipt: Receipt) -> None:
        """Store *message*, then tell *receipt*. Raises StoreFullError."""


class Answers(Protocol):
    """Takes the modules' answers to direct methods."""

    def answered(self, module: str, answer: topics.MethodAnswer, payload: bytes) -> None:
        """Take an answer. Raises MqttProtocolError: it is not JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnceStored:
    """A receipt that calls back."""

    then: Callable[[], None]
    otherwise: Callable[[StoreFullError], None] = field(default=lambda _: None)

    def stored(self) -> None:
        """Call *then*."""
        self.then()

    def refused(self, error: StoreFullError) -> None:
        """Call *otherwise*."""
        self.otherwise(error)


class ModuleRequests:
    """Acts on the messages that modules publish."""

    def __init__(
        self,
        *,
        device: str,
        router: MessageRouter,
        twins: TwinStore,
        methods: Answers,
        metrics: EdgeHubMetrics,
        quirks: QuirkBoard,
        clock: Clock,
        max_message_bytes: int,
    ) -> None:
        self._device = device
        self._router = router
        self._twins = twins
        self._methods = methods
        self._metrics = metrics
        self._quirks = quirks
        self._clock = clock
        self._max_message_bytes = max_message_bytes

    def act_on(self, session: ModuleSession, packet: codec.Publish, receipt: Receipt) -> None:
        """Do what *packet* asks for.

        Args:
            session: Whose connection it came by.
            packet: What was published.
            receipt: Told once it is safe to acknowledge the packet.

        Raises:
            MqttProtocolError: The topic is unknown or belongs to another module, or the message is
                too large.
            StoreFullError: There is no room for the message.
        """
        match topics.parse(packet.topic):
            case topics.Event() as event:
                self._take_message(session, event, packet.payload, receipt)
                return
            case topics.TwinGet(request_id=request_id):
                self._in_a_while(lambda: self._get_twin(session, request_id))
            case topics.ReportedPatch(request_id=request_id):
                self._in_a_while(lambda: self._patch_reported(session, request_id, packet.payload))
            case topics.MethodAnswer() as answer:
                self._methods.answered(session.module, answer, packet.payload)
        receipt.stored()

    def relay_desired(self, session: ModuleSession, patch: JsonObject, version: int) -> None:
        """Pass a change of desired properties to the module, if it listens; it is not kept."""
        if session.is_subscribed(topics.DESIRED_PATCHES):
            session.notify(
                topics.desired_patch_topic(version), to_bytes({**patch, "$version": version})
            )

    def _take_message(
        self, session: ModuleSession, event: topics.Event, payload: bytes, receipt: Receipt
    ) -> None:
        if (event.device, event.module) != (self._device, session.module):
            raise MqttProtocolError(f"message in the name of {event.device}/{event.module}")
        message = _from_module(event, payload)
        if message.size_bytes > self._max_message_bytes:
            raise MqttProtocolError(
                f"message of {message.size_bytes} bytes with its properties; rule: at most "
                f"{self._max_message_bytes}"
            )
        self._metrics.received(message)

        def unstored(error: StoreFullError) -> None:
            self._metrics.unacknowledged(message)
            receipt.refused(error)

        self._router.route(message, OnceStored(then=receipt.stored, otherwise=unstored))

    def _in_a_while(self, act: Callable[[], None]) -> None:
        """Answer a twin request now, or as late as the quirk slow-twin says."""
        delay_s = self._quirks.seconds("slow-twin")
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, act)
        else:
            act()

    def _get_twin(self, session: ModuleSession, request_id: str) -> None:
        began_s = self._metrics.now_s()
        if self._quirks.strikes("throttle-twin"):
            self._answer(session, request_id, THROTTLED)
            return
        document = {} if self._quirks.is_on("empty-twin") else self._twins.document(session.module)
        self._metrics.got_twin(session.module, began_s)
        self._answer(session, request_id, OK, to_bytes(document))

    def _patch_reported(self, session: ModuleSession, request_id: str, payload: bytes) -> None:
        began_s = self._metrics.now_s()
        if self._quirks.strikes("throttle-twin"):
            self._answer(session, request_id, THROTTLED)
            return
        try:
            version = self._twins.patch_reported(session.module, parse_object(payload))
            self._router.route(
                self._twin_change(session.module, payload),
                OnceStored(
                    then=lambda: self._reported(session, request_id, version, began_s),
                    otherwise=lambda error: self._failed(session, request_id, SERVER_ERROR, error),
                ),
            )
        except (MqttProtocolError, TwinLimitError) as error:
            self._failed(session, request_id, BAD_REQUEST, error)
        except StoreFullError as error:
            self._failed(session, request_id, SERVER_ERROR, error)

    def _reported(
        self, session: ModuleSession, request_id: str, version: int, began_s: float
    ) -> None:
        self._metrics.reported(session.module, began_s)
        self._answer(session, request_id, NO_CONTENT, version=version)

    def _failed(
        self, session: ModuleSession, request_id: str, status: int, error: Exception
    ) -> None:
        log.warning(
            "reported properties refused",
            extra={"module_name": session.module, "status": status, "reason": str(error)},
        )
        self._answer(session, request_id, status, to_bytes({"message": str(error)}))

    def _answer(
        self,
        session: ModuleSession,
        request_id: str,
        status: int,
        body: bytes = b"",
        *,
        version: int | None = None,
    ) -> None:
        session.notify(topics.twin_response_topic(status, request_id, version), body)

    def _twin_change(self, module: str, patch: bytes) -> RoutedMessage:
        """Return the message by which a report is routed: it comes from edgeHub itself.

        Its properties are those that Edge.Hub.Core/device/DeviceMessageHandler.cs sets; a content
        type is not among them.
        """
        return RoutedMessage(
            source=TWIN_CHANGE_SOURCE,
            sender=OWN_MODULE,
            payload=patch,
            system={
                topics.MESSAGE_SCHEMA: TWIN_CHANGE,
                topics.CONNECTION_DEVICE: self._device,
                topics.CONNECTION_MODULE: OWN_MODULE,
            },
            inner={
                "messageType": TWIN_CHANGE,
                "enqueuedTime": _iso(self._clock.utc()),
                "rpSenderDeviceId": self._device,
                "rpSenderModuleId": module,
            },
        )


def _from_module(event: topics.Event, payload: bytes) -> RoutedMessage:
    output = event.system.get(topics.OUTPUT_NAME, "")
    system = {name: value for name, value in event.system.items() if name != topics.OUTPUT_NAME}
    return RoutedMessage(
        source=module_source(event.module, output),
        sender=event.module,
        output=output,
        payload=payload,
        properties=event.properties,
        system={
            **system,
            topics.CONNECTION_DEVICE: event.device,
            topics.CONNECTION_MODULE: event.module,
        },
    )


def _iso(date: datetime) -> str:
    return date.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
