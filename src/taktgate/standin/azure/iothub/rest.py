"""IoT Hub's service REST interface, as azure-iot-hub and `az iot` call it."""

import asyncio
import logging
import ssl
import uuid
from collections.abc import Awaitable, Callable

from aiohttp import web

from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.http_serving import HTTPS_PORT, HttpSite, as_port_in_use, error_response
from taktgate.standin.azure.iothub.hub import IotHub
from taktgate.standin.azure.iothub.policies import OWNER, PolicyKeys
from taktgate.standin.azure.iothub.requests import Route
from taktgate.standin.azure.iothub.rest_management import ManagementCalls
from taktgate.standin.azure.iothub.rest_registry import RegistryCalls
from taktgate.standin.azure.iothub.rest_twins import TwinCalls

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
# Accepted by a live hub (mwalser/terraform-provider-iothub CONCEPT.md, section 11.6), and what
# Microsoft's SDKs and the CLI have sent over the years.
API_VERSIONS = frozenset(
    {
        "2016-11-14", "2017-06-30", "2018-04-01", "2018-06-30", "2019-03-30", "2019-10-01",
        "2020-03-13", "2020-05-31-preview", "2020-09-30", "2021-04-12", "2023-06-30", "2024-03-31",
    }
)  # fmt: skip
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class IotHubRest:
    """Serves one hub over HTTPS; each request needs a token of a policy that has the right."""

    def __init__(
        self, hub: IotHub, *, address: str, policy: str = OWNER, key: bytes | None = None
    ) -> None:
        """Prepare to serve *hub*.

        Args:
            hub: The hub.
            address: Where to listen.
            policy: The policy that *key* belongs to.
            key: A key to give that policy; without one the hub's own keys hold.
        """
        self._hub = hub
        self._address = address
        self._site = HttpSite()
        self._routes: dict[tuple[str, str], Route] = {}
        self.host = address
        if key is not None:
            secondary = hub.policies.keys(policy).secondary
            hub.set_policy_keys(policy, PolicyKeys(primary=key, secondary=secondary))

    def application(self) -> web.Application:
        """Return the application, which answers without a network too."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._answered])
        for calls in (RegistryCalls(self._hub), TwinCalls(self._hub), ManagementCalls(self._hub)):
            for route in calls.routes():
                self._routes[route.method, route.path] = route
        # A fixed path such as /devices/query comes before one with a name in it.
        for route in sorted(self._routes.values(), key=lambda each: "{" in each.path):
            app.router.add_route(route.method, route.path, route.handler)
        return app

    async def start(self, port: int, tls: ssl.SSLContext) -> None:
        """Listen; with port 0 on a free one. `host` then names address and port.

        Raises:
            PortInUseError: Another program listens there.
        """
        try:
            bound = await self._site.start(self.application(), self._address, port, tls)
        except OSError as error:
            rule = "the local IoT Hub serves here; choose another port or address"
            raise as_port_in_use(error, self._address, port, rule) from error
        # A client names the port in HostName, and signs it, only where it is not HTTPS's own.
        self.host = self._address if bound == HTTPS_PORT else f"{self._address}:{bound}"

    async def stop(self) -> None:
        """Stop to listen and close what is open."""
        await self._site.stop()

    @web.middleware
    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request; whatever goes wrong becomes Azure's answer and one line of log."""
        try:
            response = await self._handled(request, handler)
        except HubRequestError as error:
            response = self._refusal(request, error)
        except web.HTTPException as error:
            response = self._refusal(request, _of_http(error))
        except Exception:
            log.exception("request failed", extra={"method": request.method, "path": request.path})
            failure = HubRequestError(500, "ServerError", "the local hub failed; see its log")
            response = error_response(failure)
        response.headers["x-ms-request-id"] = str(uuid.uuid4())
        return response

    async def _handled(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = self._routes.get((request.method, resource.canonical if resource else ""))
        await self._suffer_quirks(route)
        self._hub.policies.authorize(
            request.headers.get("Authorization", ""),
            resource=f"{request.host}{request.path}",
            right=route.right if route is not None else None,
        )
        version = request.query.get("api-version")
        if version not in API_VERSIONS and route is not None:
            raise HubRequestError(
                400,
                "InvalidProtocolVersion",
                f"api-version {version!r}; rule: one of {', '.join(sorted(API_VERSIONS))}",
            )
        return await handler(request)

    async def _suffer_quirks(self, route: Route | None) -> None:
        if delay_s := self._hub.quirks.seconds("slow-hub"):
            await asyncio.sleep(delay_s)  # the wall's seconds: a client waits for them
        if self._hub.quirks.strikes("throttle"):
            operation = route.operation if route is not None else "RegistryRead"
            raise HubRequestError(
                429,
                "ThrottlingBacklogTimeout",
                f"The request has been throttled. Wait 10 seconds and try again. "
                f"Operation type: {operation}",
            )

    def _refusal(self, request: web.Request, error: HubRequestError) -> web.StreamResponse:
        log.info(
            "request refused",
            extra={
                "method": request.method,
                "path": request.path,
                "status": error.status,
                "code": error.code,
                "reason": str(error),
            },
        )
        return error_response(error)


def _of_http(error: web.HTTPException) -> HubRequestError:
    """Return Azure's answer where aiohttp has one of its own."""
    codes = {
        404: ("GenericNotFound", "no such path"),
        405: ("GenericMethodNotAllowed", "this path has other methods"),
        413: ("MessageTooLarge", f"body; rule: at most {MAX_BODY_BYTES} bytes"),
    }
    code, message = codes.get(error.status, ("GenericBadRequest", error.reason or "bad request"))
    return HubRequestError(error.status, code, message)
