"""What the tests of the local IoT Hub share: content, documents, and a client without a network."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from taktgate.standin.azure import sas
from taktgate.standin.azure.iothub.hub import IotHub
from taktgate.standin.azure.iothub.rest import IotHubRest

VERSION = "2021-04-12"
AGENT = {"schemaVersion": "1.1", "runtime": {}, "systemModules": {}, "modules": {}}
BASE: dict[str, Any] = {
    "$edgeAgent": {"properties.desired": AGENT},
    "stager": {"properties.desired": {"model": {"v": "1", "sha": "a"}, "repository": "r"}},
}
LAYER: dict[str, Any] = {"stager": {"properties.desired.model": {"v": "2"}}}


def deployment(
    target: str = "*", content: Mapping[str, Any] = BASE, priority: int = 10, **more: Any
) -> dict[str, Any]:
    return {
        "content": {"modulesContent": content},
        "targetCondition": target,
        "priority": priority,
        **more,
    }


def add_stations(hub: IotHub, **rings: str) -> None:
    for name, ring in rings.items():
        hub.put_device(name, {"capabilities": {"iotEdge": True}})
        hub.change_twin(name, None, {"tags": {"ring": ring}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request; *token* replaces the signature that the policy would give."""

    method: str
    path: str
    body: Any = None
    raw: bytes | None = None
    headers: Mapping[str, str] | None = None
    policy: str = "iothubowner"
    token: str | None = None
    version: str | None = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def message(self) -> str:
        return str(self.body["Message"])


def ask(hub: IotHub, *calls: Call) -> list[Answer]:
    """Send *calls* one after another and return their answers."""

    async def story() -> list[Answer]:
        rest = IotHubRest(hub, address="127.0.0.1")
        async with TestClient(TestServer(rest.application())) as client:
            return [await _answer(hub, client, call) for call in calls]

    return asyncio.run(story())


def ask_once(hub: IotHub, call: Call) -> Answer:
    return ask(hub, call)[0]


async def _answer(hub: IotHub, client: Any, call: Call) -> Answer:
    token = call.token
    if token is None:
        key = hub.policies.keys(call.policy).primary
        host = f"{client.host}:{client.port}"
        token = sas.make(host, key=key, lifetime_s=60, key_name=call.policy)
    data = call.raw if call.raw is not None else json.dumps(call.body).encode()
    has_body = call.raw is not None or call.body is not None
    parameters = {} if call.version is None else {"api-version": call.version}
    async with client.request(
        call.method,
        call.path,
        params=parameters,
        data=data if has_body else None,
        headers={"Authorization": token, **(call.headers or {})},
    ) as response:
        text = await response.text()
        return Answer(
            status=response.status,
            headers=response.headers,
            body=json.loads(text) if text else None,
        )
