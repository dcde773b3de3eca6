"""IoT Hub's service REST interface, as azure-iot-hub and `az iot` call it."""

import json
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from taktgate.standin.azure import sas
from taktgate.standin.azure.errors import HubRequestError, QuerySyntaxError
from taktgate.standin.azure.http_serving import (
    as_port_in_use,
    error_response,
    json_object,
    start_site,
    stop_site,
)
from taktgate.standin.azure.iothub import query_language
from taktgate.standin.azure.iothub.hub import IotHub
from taktgate.standin.azure.iothub.identities import Identity
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.method_calls import parse_method_call

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
DEFAULT_PAGE = 100
HTTPS_PORT = 443
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class IotHubRest:
    """Serves one hub over HTTPS; each request needs a token of the one policy."""

    def __init__(self, hub: IotHub, *, address: str, policy: str, key: bytes) -> None:
        self._hub = hub
        self._address = address
        self._policy = policy
        self._key = key
        self._runner: web.AppRunner | None = None
        self.host = address

    async def start(self, port: int, tls: ssl.SSLContext) -> None:
        """Listen; with port 0 on a free one. `host` then names address and port.

        Raises:
            PortInUseError: Another program listens there.
        """
        app = web.Application(
            client_max_size=MAX_BODY_BYTES,
            middlewares=[self._checked],
        )
        app.add_routes(self._routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        try:
            bound = await start_site(runner, self._address, port, tls)
        except OSError as error:
            rule = "the local IoT Hub serves here; choose another port or address"
            raise as_port_in_use(error, self._address, port, rule) from error
        self._runner = runner
        # A client names the port in HostName, and signs it, only where it is not HTTPS's own.
        self.host = self._address if bound == HTTPS_PORT else f"{self._address}:{bound}"

    async def stop(self) -> None:
        """Stop to listen and close what is open."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await stop_site(runner)

    def _routes(self) -> list[web.RouteDef]:
        device, module = "/devices/{device}", "/devices/{device}/modules/{module}"
        twin, module_twin = "/twins/{device}", "/twins/{device}/modules/{module}"
        return [
            web.post("/devices/query", self._query),
            web.put(device, self._put_device),
            web.get(device, self._get_identity),
            web.delete(device, self._delete_device),
            web.get("/devices", self._get_devices),
            web.post(device + "/applyConfigurationContent", self._apply_content),
            web.get(device + "/modules", self._get_modules),
            web.put(module, self._put_module),
            web.get(module, self._get_identity),
            web.delete(module, self._delete_module),
            *(web.get(path, self._get_twin) for path in (twin, module_twin)),
            *(web.patch(path, self._patch_twin) for path in (twin, module_twin)),
            *(web.put(path, self._put_twin) for path in (twin, module_twin)),
            web.post(module_twin + "/methods", self._invoke),
            web.post("/configurations/testQueries", self._test_queries),
            web.get("/configurations", self._get_configurations),
            web.put("/configurations/{id}", self._put_configuration),
            web.get("/configurations/{id}", self._get_configuration),
            web.delete("/configurations/{id}", self._delete_configuration),
        ]

    @web.middleware
    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._check_token(request)
            return await handler(request)
        except HubRequestError as error:
            return error_response(error)

    def _check_token(self, request: web.Request) -> None:
        try:
            token = sas.parse(request.headers.get("Authorization", ""))
            if token.key_name != self._policy:
                raise sas.SasRefusedError(f"no policy {token.key_name!r}")
            sas.check(token, resource=self.host, key=self._key)
        except sas.SasRefusedError as error:
            raise HubRequestError(
                401, "IotHubUnauthorizedAccess", str(error), number=401002
            ) from error
        if "api-version" not in request.query:
            raise HubRequestError(400, "InvalidProtocolVersion", "api-version is missing")

    async def _put_device(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        identity = self._hub.put_device(
            request.match_info["device"], body, request.headers.get("If-Match")
        )
        return _identity(identity)

    async def _put_module(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        info = request.match_info
        identity = self._hub.put_module(
            info["device"], info["module"], body, request.headers.get("If-Match")
        )
        return _identity(identity)

    async def _get_identity(self, request: web.Request) -> web.Response:
        return _identity(self._identity_of(request))

    async def _delete_device(self, request: web.Request) -> web.Response:
        self._hub.delete_device(request.match_info["device"], request.headers.get("If-Match"))
        return web.Response(status=204)

    async def _delete_module(self, request: web.Request) -> web.Response:
        info = request.match_info
        self._hub.delete_module(info["device"], info["module"], request.headers.get("If-Match"))
        return web.Response(status=204)

    async def _get_devices(self, request: web.Request) -> web.Response:
        records = self._hub.devices()[: _number(request.query.get("top"), "top")]
        return web.json_response([each.identity.identity_document() for each in records])

    async def _get_modules(self, request: web.Request) -> web.Response:
        modules = self._hub.device(request.match_info["device"]).modules.values()
        return web.json_response([each.identity_document() for each in modules])

    async def _apply_content(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        self._hub.apply_content(request.match_info["device"], body.get("modulesContent"))
        return web.Response(status=204)

    async def _get_twin(self, request: web.Request) -> web.Response:
        return _twin(self._identity_of(request))

    async def _patch_twin(self, request: web.Request) -> web.Response:
        return await self._change_twin(request, replaces=False)

    async def _put_twin(self, request: web.Request) -> web.Response:
        return await self._change_twin(request, replaces=True)

    async def _change_twin(self, request: web.Request, *, replaces: bool) -> web.Response:
        info = request.match_info
        identity = self._hub.change_twin(
            info["device"],
            info.get("module"),
            await json_object(request),
            replaces=replaces,
            if_match=request.headers.get("If-Match"),
        )
        return _twin(identity)

    async def _invoke(self, request: web.Request) -> web.Response:
        call = parse_method_call(await json_object(request))
        info = request.match_info
        result = await self._hub.invoke(info["device"], info["module"], call)
        return web.json_response({"status": result.status, "payload": result.payload})

    async def _query(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        text = body.get("query")
        if not isinstance(text, str):
            raise HubRequestError(400, "ArgumentInvalid", "query is missing")
        item_type, rows = self._hub.query(text)
        limit = _number(request.headers.get("x-ms-max-item-count"), "x-ms-max-item-count")
        start = _number(request.headers.get("x-ms-continuation"), "x-ms-continuation") or 0
        end = start + (limit or DEFAULT_PAGE)
        headers = {"x-ms-item-type": item_type}
        if end < len(rows):
            headers["x-ms-continuation"] = str(end)
        return web.json_response(rows[start:end], headers=headers)

    async def _test_queries(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        queries = body.get("customMetricQueries") or {}
        if not isinstance(queries, dict):
            raise HubRequestError(400, "ArgumentInvalid", "customMetricQueries; rule: an object")
        errors = {name: _error_of(query_language.parse_query, q) for name, q in queries.items()}
        target = body.get("targetCondition") or ""
        return web.json_response(
            {
                "targetConditionError": _error_of(query_language.parse_target_condition, target),
                "customMetricQueryErrors": {name: e for name, e in errors.items() if e},
            }
        )

    async def _get_configurations(self, request: web.Request) -> web.Response:
        found = self._hub.configurations.all()[: _number(request.query.get("top"), "top")]
        return web.json_response([each.to_json(self._run) for each in found])

    async def _get_configuration(self, request: web.Request) -> web.Response:
        found = self._hub.configurations.get(request.match_info["id"])
        return _tagged(found.to_json(self._run))

    async def _put_configuration(self, request: web.Request) -> web.Response:
        stored = self._hub.put_configuration(
            request.match_info["id"], await json_object(request), request.headers.get("If-Match")
        )
        return _tagged(stored.to_json(self._run))

    async def _delete_configuration(self, request: web.Request) -> web.Response:
        self._hub.delete_configuration(request.match_info["id"], request.headers.get("If-Match"))
        return web.Response(status=204)

    def _identity_of(self, request: web.Request) -> Identity:
        info = request.match_info
        return self._hub.identity(info["device"], info.get("module"))

    def _run(self, text: str) -> list[JsonObject]:
        return self._hub.query(text)[1]


def _identity(identity: Identity) -> web.Response:
    return _tagged(identity.identity_document())


def _twin(identity: Identity) -> web.Response:
    return _tagged(identity.twin_document())


def _tagged(document: JsonObject) -> web.Response:
    return web.json_response(document, headers={"ETag": json.dumps(document["etag"])})


def _number(text: str | None, name: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise HubRequestError(400, "ArgumentInvalid", f"{name} {text!r}; rule: a number")
    return int(text)


def _error_of(parse: Callable[[str], Any], text: Any) -> str | None:
    try:
        parse(str(text))
    except QuerySyntaxError as error:
        return str(error)
    return None
