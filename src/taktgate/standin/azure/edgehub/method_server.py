"""edgeHub's HTTPS head on port 443: direct methods from module to module."""

import re
import ssl
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from taktgate.standin.azure import sas
from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.http_serving import error_response, json_object, start_site, stop_site
from taktgate.standin.azure.method_calls import MethodRequest, parse_method_call

HTTPS_PORT = 443
_CALLER = re.compile(r"^(?P<device>[^/]+)/(?P<module>[^/]+)$")


class ModuleMethods(Protocol):
    """Calls a module's method."""

    async def invoke(self, module: str, call: MethodRequest) -> MethodResult:
        """Call the method. Raises HubRequestError."""


class MethodServer:
    """Serves `POST /twins/{device}/modules/{module}/methods` to the modules of one device."""

    def __init__(
        self,
        *,
        device: str,
        hub_hostname: str,
        methods: ModuleMethods,
        module_key: Callable[[str], bytes | None],
    ) -> None:
        self._device = device
        self._hub_hostname = hub_hostname
        self._methods = methods
        self._module_key = module_key
        self._runner: web.AppRunner | None = None
        self.refusal: str | None = None
        """Why there are no methods between modules."""

    async def start(self, address: str, tls: ssl.SSLContext) -> None:
        """Listen; without the right or the port, do without: `refusal` says why."""
        app = web.Application()
        app.router.add_post("/twins/{device}/modules/{module}/methods", self._on_call)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self.refusal = None
        try:
            await start_site(runner, address, HTTPS_PORT, tls)
        except OSError as error:
            self.refusal = f"port {HTTPS_PORT} of the gateway: {error.strerror}"
            return
        self._runner = runner

    async def stop(self) -> None:
        """Stop to listen and close what is open."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await stop_site(runner)

    async def _on_call(self, request: web.Request) -> web.Response:
        try:
            self._check_caller(request)
            result = await self._call(request)
        except HubRequestError as error:
            return error_response(error)
        return web.json_response({"status": result.status, "payload": result.payload})

    async def _call(self, request: web.Request) -> MethodResult:
        if request.match_info["device"] != self._device:
            raise HubRequestError(404, "DeviceNotFound", "the target is on another device")
        call = parse_method_call(await json_object(request))
        return await self._methods.invoke(request.match_info["module"], call)

    def _check_caller(self, request: web.Request) -> None:
        caller = _CALLER.match(request.headers.get("x-ms-edge-moduleId", ""))
        if caller is None:
            raise HubRequestError(400, "ArgumentInvalid", "x-ms-edge-moduleId is missing or wrong")
        key = self._module_key(caller["module"]) if caller["device"] == self._device else None
        if key is None:
            raise HubRequestError(401, "Unauthorized", "the caller is not a module of this device")
        resource = f"{self._hub_hostname}/devices/{self._device}/modules/{caller['module']}"
        try:
            sas.check(
                sas.parse(request.headers.get("Authorization", "")), resource=resource, key=key
            )
        except sas.SasRefusedError as error:
            raise HubRequestError(401, "Unauthorized", str(error)) from error
