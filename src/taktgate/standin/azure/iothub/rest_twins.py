"""REST: twins and direct methods of devices and modules."""

from aiohttp import web

from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.http_serving import json_object
from taktgate.standin.azure.iothub.hub import IotHub
from taktgate.standin.azure.iothub.identities import Identity
from taktgate.standin.azure.iothub.policies import Right
from taktgate.standin.azure.iothub.requests import (
    MODULE_TWIN,
    TWIN,
    Handler,
    Route,
    json_answer,
    twin_answer,
)
from taktgate.standin.azure.method_calls import MethodRequest, parse_method_call

MIN_RESPONSE_TIMEOUT_S = 5
MAX_METHOD_NAME = 100


class TwinCalls:
    """The handlers."""

    def __init__(self, hub: IotHub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        """Return the calls."""
        calls: list[tuple[str, str, str, Handler]] = [
            ("GET", "", "TwinReads", self._get),
            ("PATCH", "", "TwinUpdates", self._patch),
            ("PUT", "", "TwinUpdates", self._replace),
            ("POST", "/methods", "DirectMethods", self._invoke),
        ]
        return [
            Route(method, path + suffix, Right.SERVICE_CONNECT, operation, handler)
            for path in (TWIN, MODULE_TWIN)
            for method, suffix, operation, handler in calls
        ]

    async def _get(self, request: web.Request) -> web.Response:
        return twin_answer(self._identity_of(request))

    async def _patch(self, request: web.Request) -> web.Response:
        return await self._change(request, replaces=False)

    async def _replace(self, request: web.Request) -> web.Response:
        return await self._change(request, replaces=True)

    async def _change(self, request: web.Request, *, replaces: bool) -> web.Response:
        document = await json_object(request)
        identity = self._identity_of(request)
        return twin_answer(
            self._hub.change_twin(
                identity.device_id,
                identity.module_id,
                document,
                replaces=replaces,
                if_match=request.headers.get("If-Match"),
            )
        )

    async def _invoke(self, request: web.Request) -> web.Response:
        call = parse_method_call(await json_object(request))
        _check_call(call)
        info = request.match_info
        result = await self._hub.invoke(info["device"], info.get("module"), call)
        return json_answer({"status": result.status, "payload": result.payload})

    def _identity_of(self, request: web.Request) -> Identity:
        """Return whose twin is asked for.

        Raises:
            HubRequestError: 404 DeviceNotFound, also for a missing module of a device that exists
                (mwalser/terraform-provider-iothub CONCEPT.md, section 6.3).
        """
        device, module = request.match_info["device"], request.match_info.get("module")
        identity = self._hub.registry.find(device, module)
        if identity is None:
            wanted = device if module is None else f"{device}/{module}"
            raise HubRequestError(404, "DeviceNotFound", f"{wanted} is not registered")
        return identity


def _check_call(call: MethodRequest) -> None:
    """Check what the hub, other than edgeHub, demands of a call.

    Source: learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods (5 to 300 seconds);
    the rule between the two limits: mwalser/terraform-provider-iothub, appendix D.

    Raises:
        HubRequestError: 400.
    """
    if call.response_timeout_s < MIN_RESPONSE_TIMEOUT_S:
        raise HubRequestError(
            400,
            "ArgumentInvalid",
            f"responseTimeoutInSeconds {call.response_timeout_s:g}; rule: 5..300",
        )
    if call.connect_timeout_s > call.response_timeout_s:
        raise HubRequestError(
            400,
            "ArgumentInvalid",
            f"Device connection timeout {call.connect_timeout_s:g} cannot be longer than an "
            f"overall call timeout",
        )
    if len(call.name) > MAX_METHOD_NAME:
        raise HubRequestError(
            400, "ArgumentInvalid", f"methodName; rule: at most {MAX_METHOD_NAME} characters"
        )
