"""The calls of `az iot`, as recorded from its extension, replayed over TLS and answered alike.

The extension itself is on no package index; its calls are in `tests/data/az_iot_calls.json`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.waiting import WITHIN_S

from taktgate.standin.azure import sas
from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.loopback import free_loopback_network
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.world.cloud_thread import CloudThread

DATA = Path(__file__).parents[1] / "data" / "az_iot_calls.json"
CALLS: list[dict[str, Any]] = json.loads(DATA.read_text(encoding="utf-8"))["calls"]
COMMANDS = (
    "iot edge deployment create",
    "iot edge deployment update",
    "iot edge deployment show ",
    "iot edge deployment list",
    "iot edge deployment delete",
    "iot edge deployment show-metric",
    "iot edge set-modules",
    "iot hub query",
    "iot hub module-twin update",
    "iot hub invoke-module-method",
)
ABSENT = object()


class EchoingDevice:
    """A device that answers each method with what it heard."""

    async def invoke(self, module: str, call: MethodRequest) -> MethodResult:
        return MethodResult(status=200, payload={"heard": f"{module} {call.name}"})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudThread]:
    network = free_loopback_network()
    with CloudThread(tmp_path_factory.mktemp("cloud"), address=network.address(1)) as world:
        world.call(setattr, world.cloud.hub.link("edge1"), "method_target", EchoingDevice())
        yield world


@pytest.fixture(scope="module")
def answers(world: CloudThread) -> list[requests.Response]:
    """All calls are made once, in their order: later ones build on earlier ones."""
    login = dict(part.split("=", 1) for part in world.cloud.service_connection_string.split(";"))
    host, key = login["HostName"], world.cloud.hub.policies.keys("iothubowner").primary
    token = sas.make(host, key=key, lifetime_s=60, key_name=login["SharedAccessKeyName"])
    with requests.Session() as session:
        session.verify = str(world.cloud.ca_file)
        session.trust_env = False
        return [_sent(session, host, token, call["request"]) for call in CALLS]


def _sent(
    session: requests.Session, host: str, token: str, request: Mapping[str, Any]
) -> requests.Response:
    body = json.dumps(request["body"]).encode() if "body" in request else None
    return session.request(
        request["method"],
        f"https://{host}{request['path']}",
        params=request["query"],
        headers={**request["headers"], "Authorization": token},
        data=body,
        timeout=WITHIN_S,
    )


def value_at(document: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        if not isinstance(document, dict) or name not in document:
            return ABSENT
        document = document[name]
    return document


def missing(wanted: Any, given: Any, path: str = "body") -> list[str]:
    """Return where *given* does not hold what is wanted."""
    if isinstance(wanted, dict) and isinstance(given, dict):
        found = (missing(v, given.get(k, ABSENT), f"{path}.{k}") for k, v in wanted.items())
        return [place for places in found for place in places]
    if isinstance(wanted, list) and isinstance(given, list) and len(wanted) == len(given):
        pairs = enumerate(zip(wanted, given, strict=True))
        found = (missing(w, g, f"{path}[{n}]") for n, (w, g) in pairs)
        return [place for places in found for place in places]
    return [] if wanted == given else [f"{path}: {wanted!r} is {given!r}"]


@pytest.mark.azure(
    "IoT Hub",
    "The calls of az iot edge and az iot hub are answered as the CLI needs them.",
    source="Azure/azure-iot-cli-extension azext_iot/operations/hub.py",
)
@pytest.mark.parametrize("number", range(len(CALLS)), ids=[call["command"] for call in CALLS])
def test_call_of_the_cli_is_answered_alike(answers: list[requests.Response], number: int) -> None:
    wanted, given = CALLS[number]["answer"], answers[number]
    assert given.status_code == wanted["status"], given.text
    headers = {name: given.headers.get(name) for name in wanted.get("headers", {})}
    assert headers == wanted.get("headers", {})
    body = given.json() if given.content else None
    absent = [name for name in wanted.get("fields", ()) if value_at(body, name) is ABSENT]
    assert absent == []
    assert "holds" not in wanted or missing(wanted["holds"], body) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_promised_command_is_recorded(command: str) -> None:
    assert any(call["command"].startswith(command) for call in CALLS)
