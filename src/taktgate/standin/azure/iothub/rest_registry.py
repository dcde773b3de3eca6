"""REST: identities of devices and modules, bulk changes, statistics."""

from aiohttp import web
from pydantic import ValidationError

from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.http_serving import json_object, json_value
from taktgate.standin.azure.iothub import bodies
from taktgate.standin.azure.iothub.bodies import BulkDeviceBody
from taktgate.standin.azure.iothub.hub import IotHub
from taktgate.standin.azure.iothub.policies import Right
from taktgate.standin.azure.iothub.requests import (
    DEVICE,
    MODULE,
    Route,
    count_of,
    etag_required,
    identity_answer,
    json_answer,
)
from taktgate.standin.azure.json_types import JsonObject

MAX_LISTED = 1000
MAX_BULK = 100


class RegistryCalls:
    """The handlers."""

    def __init__(self, hub: IotHub) -> None:
        self._hub = hub

    def routes(self) -> list[Route]:
        """Return the calls."""
        read, write, service = Right.REGISTRY_READ, Right.REGISTRY_WRITE, Right.SERVICE_CONNECT
        return [
            Route("GET", "/devices", read, "RegistryRead", self._list_devices),
            Route("POST", "/devices", write, "RegistryWrite", self._bulk),
            Route("PUT", DEVICE, write, "RegistryWrite", self._put_device),
            Route("GET", DEVICE, read, "RegistryRead", self._get_device),
            Route("DELETE", DEVICE, write, "RegistryWrite", self._delete_device),
            Route("GET", DEVICE + "/modules", read, "RegistryRead", self._list_modules),
            Route("PUT", MODULE, write, "RegistryWrite", self._put_module),
            Route("GET", MODULE, read, "RegistryRead", self._get_module),
            Route("DELETE", MODULE, write, "RegistryWrite", self._delete_module),
            Route("GET", "/statistics/devices", read, "RegistryRead", self._device_statistics),
            Route("GET", "/statistics/service", service, "RegistryRead", self._service_statistics),
        ]

    async def _put_device(self, request: web.Request) -> web.Response:
        device, body = request.match_info["device"], await json_object(request)
        return identity_answer(self._hub.put_device(device, body, request.headers.get("If-Match")))

    async def _get_device(self, request: web.Request) -> web.Response:
        return identity_answer(self._hub.identity(request.match_info["device"]))

    async def _delete_device(self, request: web.Request) -> web.Response:
        self._hub.delete_device(request.match_info["device"], etag_required(request))
        return web.Response(status=204)

    async def _list_devices(self, request: web.Request) -> web.Response:
        top = min(count_of(request.query.get("top"), "top") or MAX_LISTED, MAX_LISTED)
        records = self._hub.devices()[:top]
        return json_answer([each.identity.identity_document() for each in records])

    async def _put_module(self, request: web.Request) -> web.Response:
        device, module = self._module_of(request)
        if module.startswith("$"):
            raise HubRequestError(
                400, "ArgumentInvalid", f"moduleId {module!r}; rule: none that begins with '$'"
            )
        body = await json_object(request)
        return identity_answer(
            self._hub.put_module(device, module, body, request.headers.get("If-Match"))
        )

    async def _get_module(self, request: web.Request) -> web.Response:
        return identity_answer(self._hub.identity(*self._module_of(request)))

    async def _delete_module(self, request: web.Request) -> web.Response:
        self._hub.delete_module(*self._module_of(request), etag_required(request))
        return web.Response(status=204)

    async def _list_modules(self, request: web.Request) -> web.Response:
        device = self._reachable_device(request)
        modules = self._hub.device(device).modules.values()
        return json_answer([each.identity_document() for each in modules])

    async def _device_statistics(self, request: web.Request) -> web.Response:
        states = [each.identity.status for each in self._hub.devices()]
        return json_answer(
            {
                "totalDeviceCount": len(states),
                "enabledDeviceCount": states.count("enabled"),
                "disabledDeviceCount": states.count("disabled"),
            }
        )

    async def _service_statistics(self, request: web.Request) -> web.Response:
        connected = [
            record
            for record in self._hub.devices()
            if any(each.is_connected for each in (record.identity, *record.modules.values()))
        ]
        return json_answer({"connectedDeviceCount": len(connected)})

    async def _bulk(self, request: web.Request) -> web.Response:
        """Change up to 100 devices; each that fails is named in the answer, which is 400 then."""
        try:
            entries = bodies.BULK.validate_python(await json_value(request))
        except ValidationError as error:
            raise bodies.refused(error) from error
        if len(entries) > MAX_BULK:
            raise HubRequestError(400, "ArgumentInvalid", f"body; rule: at most {MAX_BULK} devices")
        errors: list[JsonObject] = []
        for entry in entries:
            try:
                self._import(entry)
            except HubRequestError as error:
                errors.append(
                    {
                        "deviceId": entry.id,
                        "moduleId": entry.module_id,
                        "errorCode": error.number,
                        "errorStatus": str(error),
                    }
                )
        result: JsonObject = {"isSuccessful": not errors, "errors": errors, "warnings": []}
        return web.json_response(result, status=400 if errors else 200)

    def _import(self, entry: BulkDeviceBody) -> None:
        mode = entry.import_mode or "createOrUpdate"
        if_match = (entry.e_tag or "*") if mode.endswith("IfMatchETag") else "*"
        kind = mode.removesuffix("IfMatchETag")
        if kind == "delete":
            self._delete_entry(entry, if_match)
        elif kind == "updateTwin":
            self._hub.change_twin(entry.id, entry.module_id, _twin_of(entry), if_match=if_match)
        else:
            exists = self._hub.registry.find(entry.id, entry.module_id) is not None
            is_update = kind == "update" or (kind == "createOrUpdate" and exists)
            self._put_entry(entry, if_match if is_update else None)

    def _delete_entry(self, entry: BulkDeviceBody, if_match: str) -> None:
        if entry.module_id is None:
            self._hub.delete_device(entry.id, if_match)
        else:
            self._hub.delete_module(entry.id, entry.module_id, if_match)

    def _put_entry(self, entry: BulkDeviceBody, if_match: str | None) -> None:
        document: JsonObject = entry.model_dump(by_alias=True, exclude_none=True)
        if entry.module_id is None:
            self._hub.put_device(entry.id, document, if_match)
        else:
            self._hub.put_module(entry.id, entry.module_id, document, if_match)
        if entry.tags or entry.properties:
            self._hub.change_twin(entry.id, entry.module_id, _twin_of(entry))

    def _module_of(self, request: web.Request) -> tuple[str, str]:
        return self._reachable_device(request), request.match_info["module"]

    def _reachable_device(self, request: web.Request) -> str:
        """Return the device of a call about module identities.

        Raises:
            HubRequestError: 401 for one that is unknown or disabled, as the hub answers callers
                with a SAS token (mwalser/terraform-provider-iothub CONCEPT.md, appendix D,
                "Modules").
        """
        device = request.match_info["device"]
        identity = self._hub.registry.find(device)
        if identity is None or identity.status == "disabled":
            raise HubRequestError(
                401,
                "IotHubUnauthorizedAccess",
                f"Unauthorized: the hub has no enabled device {device!r}",
            )
        return device


def _twin_of(entry: BulkDeviceBody) -> JsonObject:
    properties = {"desired": entry.properties.desired} if entry.properties else None
    return {"tags": entry.tags, "properties": properties}
