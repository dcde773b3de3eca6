"""edgeHub's HTTPS head on port 443: direct methods from module to module."""

import re
import ssl
from typing import Protocol

from aiohttp import web

from taktgate.standin.azure import sas
from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.edgehub.authentication import Authenticator, Credentials
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.http_serving import HTTPS_PORT, HttpSite, json_object
from taktgate.standin.azure.method_calls import MethodRequest, parse_method_call

CALLER_HEADER = "x-ms-edge-moduleId"
_CALLER = re.compile(r"^(?P<device>[^/]+)/(?P<module>[^/]+)$")


class CallModule(Protocol):
    """Calls a module's method for another module."""

    async def __call__(self, caller: str, module: str, call: MethodRequest) -> MethodResult:
        """Call the method. Raises HubRequestError."""


class MethodServer:
    """Serves `POST /twins/{device}/modules/{module}/methods` to the modules of one device."""

    def __init__(self, *, device: str, authenticator: Authenticator) -> None:
        self._device = device
        self._authenticator = authenticator
        self._call_module: CallModule | None = None
        self._site = HttpSite()
        self.refusal: str | None = None
        """Why there are no methods between modules."""

    async def start(self, address: str, tls: ssl.SSLContext, call_module: CallModule) -> None:
        """Listen; without the right or the port, do without: `refusal` says why."""
        self._call_module = call_module
        app = web.Application()
        app.router.add_post("/twins/{device}/modules/{module}/methods", self._on_call)
        self.refusal = None
        try:
            await self._site.start(app, address, HTTPS_PORT, tls)
        except OSError as error:
            self.refusal = f"port {HTTPS_PORT} of the gateway: {error.strerror}"

    async def stop(self) -> None:
        """Stop to listen and close what is open."""
        await self._site.stop()

    async def _on_call(self, request: web.Request) -> web.Response:
        try:
            caller = self._authenticated(request)
            result = await self._call(caller, request)
        except HubRequestError as error:
            # MethodErrorResult of Azure/iotedge Edge.Hub.Http/MethodResult.cs.
            return web.json_response({"message": str(error)}, status=error.status)
        return web.json_response({"status": result.status, "payload": result.payload})

    async def _call(self, caller: str, request: web.Request) -> MethodResult:
        assert self._call_module is not None
        device, module = request.match_info["device"], request.match_info["module"]
        call = parse_method_call(await json_object(request))
        if device != self._device:
            raise HubRequestError(404, "DeviceNotOnline", f"Client {device}/{module} not found")
        return await self._call_module(caller, module, call)

    def _authenticated(self, request: web.Request) -> str:
        caller = _CALLER.match(request.headers.get(CALLER_HEADER, ""))
        if caller is None:
            message = f"Invalid header value for {CALLER_HEADER}"
            raise HubRequestError(400, "ArgumentInvalid", message)
        if caller["device"] != self._device:
            message = "Only modules on the same device can invoke DirectMethods"
            raise HubRequestError(401, "Unauthorized", message)
        try:
            self._check_token(request, caller["module"])
        except sas.SasRefusedError as error:
            message = f"Unable to authenticate device with Id {caller[0]}: {error}"
            raise HubRequestError(401, "Unauthorized", message) from error
        return caller["module"]

    def _check_token(self, request: web.Request, module: str) -> None:
        token = sas.parse(request.headers.get("Authorization", ""))
        self._authenticator.check(Credentials(module=module, token=token))
