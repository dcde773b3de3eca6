"""Keeps one module connected to IoT Hub, and its twin up to date on both sides."""

import asyncio
import itertools
import logging
import ssl
from dataclasses import dataclass
from typing import Any, Protocol

from taktgate.standin.azure.clock import Clock, Timer
from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.fleet.hub_line import KEEP_ALIVE_S, HubLine
from taktgate.standin.azure.fleet.pace import chance
from taktgate.standin.azure.fleet.twin_mirror import TwinMirror
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.mqtt import codec, topics
from taktgate.standin.azure.mqtt.payloads import parse_json, parse_object, to_bytes
from taktgate.standin.azure.mqtt.sign_in import sign_in
from taktgate.standin.azure.mqtt.tls import connect_tls

log = logging.getLogger(__name__)

TOKEN_LIFETIME_S = 3600
CONNECT_TIMEOUT_S = 60.0
GOODBYE_TIMEOUT_S = 2.0
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
REPORT_AGAIN_S = 10.0
OK, NO_CONTENT, SLOW_DOWN = 200, 204, 429


@dataclass(frozen=True, slots=True, kw_only=True)
class HubPlace:
    """Where the hub is, and what the clients share."""

    address: str
    port: int
    hostname: str
    """The hub's name in user names and tokens."""
    tls: ssl.SSLContext
    gate: asyncio.Semaphore
    """Bounds how many connect at a time: handshakes are what a start of a fleet costs."""
    clock: Clock
    token_lifetime_s: int = TOKEN_LIFETIME_S


class ClientHandler(Protocol):
    """The module behind the client."""

    def started(self, reported: JsonObject) -> None:
        """The twin is read for the first time; *reported* is what was said before."""

    def desired_changed(self, document: JsonObject, version: int) -> None:
        """The desired properties are read, or have changed."""

    def report_taken(self, reported: JsonObject) -> None:
        """The hub holds this report."""

    def called(self, name: str, payload: Any) -> MethodResult:
        """Answer a direct method."""


class ModuleClient:
    """One identity's client; it comes back after each end until it is stopped."""

    def __init__(
        self,
        *,
        device: str,
        module: str,
        key: bytes,
        place: HubPlace,
        handler: ClientHandler,
        takes_methods: bool = False,
    ) -> None:
        self._device = device
        self._module = module
        self._key = key
        self._place = place
        self._handler = handler
        methods = (topics.METHODS,) if takes_methods else ()
        self._filters = (topics.TWIN_RESPONSES, topics.DESIRED_PATCHES, *methods)
        self._line: HubLine | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._timers: dict[str, Timer] = {}
        self._request_ids = itertools.count(1)
        self._read_request = ""
        self._report_request = ""
        self._wanted: JsonObject | None = None
        self._failures = 0
        self._is_stopped = False
        self.mirror = TwinMirror()

    @property
    def is_connected(self) -> bool:
        """Tell whether the hub has let us in."""
        return self._line is not None and self._line.is_open

    def start(self) -> None:
        """Connect, and stay connected."""
        self._connecting = asyncio.create_task(self._connect())

    async def stop(self) -> None:
        """Disconnect, and stay away."""
        self._is_stopped = True
        for timer in self._timers.values():
            timer.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        line = self._line
        if line is not None:
            line.close()
            try:
                async with asyncio.timeout(GOODBYE_TIMEOUT_S):
                    await line.gone.wait()
            except TimeoutError:
                line.cut()

    def report(self, wanted: JsonObject) -> None:
        """Bring the hub's copy of the report to *wanted*, now or when that is possible."""
        self._wanted = wanted
        self._send_report()

    def opened(self) -> None:
        """Read the twin: what changed in between is told by nobody."""
        self._failures = 0
        self._read_twin()

    def noticed(self, notice: topics.Notice, payload: bytes) -> None:
        """Take what the hub tells.

        Raises:
            MqttProtocolError: It is not JSON.
        """
        match notice:
            case topics.TwinAnswer(request_id=request_id, status=status):
                self._answered(request_id, status, payload)
            case topics.DesiredChanged(version=version):
                self._changed(parse_object(payload), version)
            case topics.MethodCall(name=name, request_id=request_id):
                result = self._handler.called(name, parse_json(payload))
                self._publish(topics.method_answer_topic(result.status, request_id), result.payload)

    def ended(self, line: HubLine, connack: int | None) -> None:
        """Come back after a pause."""
        if line is not self._line:
            return
        self._line = None
        self.mirror.disconnected()
        if connack is not None:
            log.warning(
                "hub refuses a light device",
                extra={"device": self._device, "module_name": self._module, "connack": connack},
            )
        self._come_back()

    async def _connect(self) -> None:
        place = self._place
        async with place.gate:
            line = HubLine(self, self._first_packet(), self._filters)
            try:
                await connect_tls(place.tls, line, place.address, place.port)
            except OSError as error:
                log.warning(
                    "hub cannot be reached",
                    extra={"device": self._device, "reason": str(error)},
                )
                self._come_back()
                return
            self._line = line
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await line.settled.wait()
            except TimeoutError:
                line.cut()

    def _first_packet(self) -> codec.Connect:
        place, client_id = self._place, f"{self._device}/{self._module}"
        lifetime_s = place.token_lifetime_s
        # Before the token expires (its time is cut to whole seconds), and not all at once.
        renewal_s = (lifetime_s - 1) * (0.75 + 0.2 * chance(client_id))
        self._timers["renewal"] = asyncio.get_running_loop().call_later(renewal_s, self._renew)
        return sign_in(
            place.hostname,
            client_id,
            key=self._key,
            lifetime_s=lifetime_s,
            keep_alive_s=KEEP_ALIVE_S,
        )

    def _renew(self) -> None:
        if self._line is not None:
            self._line.close()

    def _come_back(self) -> None:
        if self._is_stopped:
            return
        self._timers["renewal"].cancel()
        longest_s = min(SHORTEST_PAUSE_S * 2**self._failures, LONGEST_PAUSE_S)
        pause_s = longest_s * (0.5 + 0.5 * chance(self._device, self._module, self._failures))
        self._failures += 1
        self._timers["come back"] = self._place.clock.call_later(pause_s, self.start)

    def _read_twin(self) -> None:
        self._read_request = f"r{next(self._request_ids)}"
        if self._line is not None:
            self._line.publish(topics.twin_get_topic(self._read_request), b"")

    def _answered(self, request_id: str, status: int, payload: bytes) -> None:
        if request_id == self._read_request:
            self._read_request = ""
            if status == OK:
                self._read(parse_object(payload))
            else:
                self._later("read", self._read_twin)
        elif request_id == self._report_request:
            self._report_request = ""
            self.mirror.answered(is_taken=status == NO_CONTENT)
            self._reported(status, payload)

    def _read(self, document: JsonObject) -> None:
        is_first = self.mirror.version is None
        is_news = self.mirror.read(document)
        if is_first:
            self._handler.started(self.mirror.reported)
        if is_news:
            self._pass_on()
        self._send_report()

    def _changed(self, patch: JsonObject, version: int) -> None:
        known = self.mirror.version
        if not self.mirror.patch_desired(patch, version):
            self._read_twin()
        elif self.mirror.version != known:
            self._pass_on()

    def _pass_on(self) -> None:
        assert self.mirror.version is not None
        self._handler.desired_changed(self.mirror.desired, self.mirror.version)

    def _send_report(self) -> None:
        if self._wanted is None or not self.is_connected:
            return
        patch = self.mirror.next_patch(self._wanted)
        if patch:
            self._report_request = f"p{next(self._request_ids)}"
            self._publish(topics.reported_patch_topic(self._report_request), patch)

    def _reported(self, status: int, payload: bytes) -> None:
        if status == NO_CONTENT:
            self._handler.report_taken(self.mirror.reported)
            self._send_report()
        elif status == SLOW_DOWN or status >= 500:
            self._later("report", self._send_report)
        else:
            log.error(
                "hub refuses a report",
                extra={
                    "device": self._device,
                    "module_name": self._module,
                    "reason": payload[:300].decode("utf-8", errors="replace"),
                },
            )

    def _later(self, what: str, call: Any) -> None:
        self._timers[what] = self._place.clock.call_later(REPORT_AGAIN_S, call)

    def _publish(self, topic: str, document: Any) -> None:
        body = b"" if document is None else to_bytes(document)
        if self._line is not None:
            self._line.publish(topic, body)
