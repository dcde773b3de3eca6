"""IoT Hub's REST interface: who may call what, and what a wrong request is answered."""

import json
import logging
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.unit.standin.iothub_bench import (
    Answer,
    Call,
    add_stations,
    ask,
    ask_once,
    deployment,
)

from taktgate.standin.azure import sas
from taktgate.standin.azure.clock import WorldClock
from taktgate.standin.azure.iothub.hub import IotHub

ERRORS = "learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes"
SAS_PAGE = "learn.microsoft.com/azure/iot-hub/iot-hub-dev-guide-sas"
METHODS_PAGE = "learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods"
DEVICE = Call(method="GET", path="/devices/d")
TWIN = Call(method="GET", path="/twins/d")


@pytest.fixture
def hub() -> IotHub:
    hub = IotHub()
    add_stations(hub, d="canary")
    return hub


def code_of(answer: Answer) -> str:
    return answer.headers["iothub-errorcode"]


@pytest.mark.azure(
    "IoT Hub", "Each shared access policy has keys and rights of its own.", source=SAS_PAGE
)
@pytest.mark.parametrize(
    ("policy", "device", "twin", "delete"),
    [
        ("iothubowner", 200, 200, 204),
        ("service", 401, 200, 401),
        ("registryRead", 200, 401, 401),
        ("registryReadWrite", 200, 401, 204),
        ("device", 401, 401, 401),
    ],
)
def test_policy_grants_its_rights_and_no_more(
    hub: IotHub, policy: str, device: int, twin: int, delete: int
) -> None:
    headers = {"If-Match": "*"}
    calls = [("GET", "/devices/d"), ("GET", "/twins/d"), ("DELETE", "/devices/d")]
    answers = ask(hub, *(Call(method=m, path=p, policy=policy, headers=headers) for m, p in calls))
    assert [each.status for each in answers] == [device, twin, delete]


def test_secondary_key_signs_as_well_as_the_primary(hub: IotHub) -> None:
    async_safe_host = "127.0.0.1"
    key = hub.policies.keys("service").secondary
    token = sas.make(async_safe_host, key=key, lifetime_s=60, key_name="service")
    hub.policies.authorize(token, resource="127.0.0.1/twins/d", right=None)


@pytest.mark.azure(
    "IoT Hub", "A missing, wrong or expired token is answered 401002.", source=f"{ERRORS}#401003"
)
@pytest.mark.parametrize(
    "token",
    [
        "",
        "Bearer x",
        "SharedAccessSignature sr=a",
        "SharedAccessSignature sr=x&sig=AAAA&se=9999999999&skn=iothubowner",
        "SharedAccessSignature sr=x&sig=AAAA&se=1&skn=nobody",
        "SharedAccessSignature sr=%FF&sig=%FF&se=\u0661&skn=%FF",
        sas.make("other", key=b"k", lifetime_s=60, key_name="iothubowner"),
    ],
)
def test_wrong_token_is_refused_before_anything_else(hub: IotHub, token: str) -> None:
    answer = ask_once(hub, Call(method="GET", path="/nowhere", token=token))
    assert (answer.status, code_of(answer)) == (401, "IotHubUnauthorizedAccess")
    assert answer.message.startswith("ErrorCode:IotHubUnauthorizedAccess;Unauthorized")
    assert answer.body["ExceptionMessage"].startswith("Tracking ID:")


@pytest.mark.azure("IoT Hub", "An unknown api-version is answered 400001.", source=ERRORS)
@pytest.mark.parametrize("version", [None, "2099-01-01", "", "x"])
def test_unknown_api_version_is_refused(hub: IotHub, version: str | None) -> None:
    answer = ask_once(hub, Call(method="GET", path="/devices/d", version=version))
    assert (answer.status, code_of(answer)) == (400, "InvalidProtocolVersion")


@pytest.mark.parametrize("version", ["2021-04-12", "2024-03-31"])
def test_versions_of_the_sdk_and_of_the_cli_are_served(hub: IotHub, version: str) -> None:
    assert ask_once(hub, Call(method="GET", path="/devices/d", version=version)).status == 200


@pytest.mark.azure(
    "IoT Hub", "Unknown paths and methods are answered in Azure's form.", source=ERRORS
)
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "GenericNotFound"),
        ("GET", "/devices/d/modules/m/x/y", 404, "GenericNotFound"),
        ("PATCH", "/devices/d", 405, "GenericMethodNotAllowed"),
        ("GET", "/devices/none", 404, "DeviceNotFound"),
        ("GET", "/devices/d/modules/none", 404, "ModuleNotFound"),
        ("GET", "/twins/none", 404, "DeviceNotFound"),
        ("GET", "/configurations/none", 404, "ConfigurationNotFound"),
        ("DELETE", "/devices/d", 412, "PreconditionFailed"),
    ],
)
def test_what_is_not_there_is_said_in_azures_form(
    hub: IotHub, method: str, path: str, status: int, code: str
) -> None:
    answer = ask_once(hub, Call(method=method, path=path))
    assert (answer.status, code_of(answer)) == (status, code)
    assert answer.message.startswith(f"ErrorCode:{code};")


def test_module_identities_of_a_disabled_device_are_refused_but_not_its_twins(
    hub: IotHub,
) -> None:
    hub.put_device("d", {"status": "disabled", "capabilities": {"iotEdge": True}}, "*")
    identity = Call(method="GET", path="/devices/d/modules/%24edgeAgent")
    missing = Call(method="GET", path="/devices/none/modules")
    twin = Call(method="GET", path="/twins/d/modules/%24edgeAgent")
    assert [each.status for each in ask(hub, identity, missing, twin)] == [401, 401, 200]


def test_refusal_is_logged_once(hub: IotHub, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="taktgate.standin.azure"):
        ask_once(hub, Call(method="GET", path="/devices/none"))
    assert [record.message for record in caplog.records] == ["request refused"]


@pytest.mark.azure("IoT Hub", "A body above the limit is answered 413001.", source=ERRORS)
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_too_large_body_is_refused(hub: IotHub) -> None:
    raw = b'{"query": "' + b"x" * (1024 * 1024) + b'"}'
    answer = ask_once(hub, Call(method="POST", path="/devices/query", raw=raw))
    assert (answer.status, code_of(answer)) == (413, "MessageTooLarge")


BODIES = [
    ("PUT", "/devices/new"),
    ("PUT", "/devices/d/modules/new"),
    ("PATCH", "/twins/d"),
    ("PUT", "/twins/d"),
    ("POST", "/twins/d/modules/m/methods"),
    ("POST", "/devices/query"),
    ("POST", "/configurations/testQueries"),
    ("PUT", "/configurations/new"),
    ("POST", "/devices/d/applyConfigurationContent"),
    ("POST", "/devices"),
]


@pytest.mark.azure("IoT Hub", "A body that is not JSON is answered 400006.", source=ERRORS)
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b"[" * 9000,
        b"1" * 5000,
    ],
)
def test_body_that_is_not_json_is_refused(hub: IotHub, raw: bytes) -> None:
    calls = (Call(method=method, path=path, raw=raw) for method, path in BODIES)
    answers = ask(hub, *calls)
    assert {(each.status, code_of(each)) for each in answers} == {(400, "IotHubFormatError")}


@pytest.mark.parametrize(
    ("method", "path", "body", "says"),
    [
        ("PUT", "/devices/new", {"deviceId": 7}, "deviceId; rule: Input should be a valid string"),
        ("PUT", "/devices/new", {"deviceId": "old"}, "deviceId 'old'; rule: as in the path"),
        ("PUT", "/devices/new", {"status": "on"}, "status; rule: Input should be 'enabled'"),
        ("PUT", "/devices/new", {"authentication": {"type": "none"}}, "a device has a type"),
        (
            "PUT",
            "/devices/new",
            {"authentication": {"symmetricKey": {"primaryKey": "AAAA", "secondaryKey": "AAAA"}}},
            "primaryKey; rule: Value error, base64 of 16 to 64 bytes",
        ),
        (
            "PUT",
            "/devices/new",
            {"authentication": {"symmetricKey": {"primaryKey": "A" * 24}}},
            "Either no keys or both keys can be set",
        ),
        ("PUT", "/devices/a%20b", {}, "deviceId 'a b'; rule: 1 to 128 of"),
        ("PUT", f"/devices/{'x' * 129}", {}, "rule: 1 to 128 of"),
        ("PUT", "/devices/d/modules/%24mine", {}, "none that begins with '$'"),
        ("PATCH", "/twins/d", {"tags": []}, "tags; rule: Input should be a valid dictionary"),
        ("PATCH", "/twins/d", {"properties": {"desired": 1}}, "properties.desired; rule:"),
        ("POST", "/twins/d/methods", {"methodName": 1}, "methodName is missing"),
        ("POST", "/devices/query", {"query": None}, "query; rule: Input should be a valid string"),
        ("POST", "/devices/query", {"query": "SELECT"}, "BadRequest: expected a name"),
        ("PUT", "/configurations/Upper", deployment(), "id 'Upper'; rule: 1 to 128 of a-z"),
        ("PUT", "/configurations/c", deployment(priority=-1), "priority; rule:"),
        ("PUT", "/configurations/c", deployment(labels={"a": 1}), "labels.a; rule:"),
        ("PUT", "/configurations/c", deployment(id="other"), "id 'other'; rule: as in the path"),
        ("PUT", "/configurations/c", {}, "content is missing; rule: every PUT carries it"),
        ("PUT", "/configurations/c", deployment("tags.x"), ""),
        ("PUT", "/configurations/c", deployment("x = 1"), "'x'; rule: a target condition asks"),
        (
            "PUT",
            "/configurations/c",
            deployment(metrics={"queries": {"m": "SELECT"}}),
            "metrics.queries.m: expected a name",
        ),
        (
            "PUT",
            "/configurations/c",
            {"content": {"deviceContent": {"properties.desired.x": 1}}},
            "the local hub has deployments of IoT Edge only",
        ),
    ],
)
def test_wrong_field_is_refused_by_its_name_and_rule(
    hub: IotHub, method: str, path: str, body: Any, says: str
) -> None:
    answer = ask_once(hub, Call(method=method, path=path, body=body))
    if says:
        assert answer.status == 400
        assert says in answer.message


@pytest.mark.parametrize("body", [[], "x", 7, None, True])
def test_body_of_another_type_is_refused(hub: IotHub, body: object) -> None:
    raw = json.dumps(body).encode()
    answers = ask(hub, *(Call(method=m, path=p, raw=raw) for m, p in BODIES[:-1]))
    assert {each.status for each in answers} == {400}


@pytest.mark.azure(
    "IoT Hub", "Wrong content, condition and metric have error codes of their own.", source=ERRORS
)
def test_each_part_of_a_configuration_has_its_error_code(hub: IotHub) -> None:
    path = "/configurations/c"
    answers = ask(
        hub,
        Call(method="PUT", path=path, body=deployment(content={"m": {"tags.x": 1}})),
        Call(method="PUT", path=path, body=deployment("x ==")),
        Call(method="PUT", path=path, body=deployment(metrics={"queries": {"m": "x"}})),
    )
    assert [code_of(each) for each in answers] == [
        "InvalidConfigurationContent",
        "InvalidConfigurationTargetCondition",
        "InvalidConfigurationCustomMetricsQuery",
    ]


@pytest.mark.azure(
    "IoT Hub",
    "A throttled call is answered 429 and says how long to wait.",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling",
)
def test_throttling_strikes_as_often_as_it_was_told(hub: IotHub) -> None:
    hub.quirks.turn_on("throttle", 2)
    first, second, third = ask(hub, DEVICE, TWIN, DEVICE)
    assert (first.status, second.status, third.status) == (429, 429, 200)
    assert first.headers["Retry-After"] == "10"
    assert first.message.endswith("Operation type: RegistryRead")
    assert second.message.endswith("Operation type: TwinReads")


def test_slow_hub_takes_the_walls_seconds_however_fast_the_world_is() -> None:
    hub = IotHub(clock=WorldClock(speed=1000))
    hub.put_device("d", {})
    hub.quirks.turn_on("slow-hub", 0.2)
    began_s = time.monotonic()
    assert ask_once(hub, DEVICE).status == 200
    assert time.monotonic() - began_s >= 0.2


@pytest.mark.azure(
    "IoT Hub", "A method of a device that is away is answered 404103.", source=f"{ERRORS}#404103"
)
def test_method_of_a_device_that_is_away_is_answered_in_the_nested_form(hub: IotHub) -> None:
    body = {"methodName": "ping", "payload": None, "responseTimeoutInSeconds": 5}
    path = "/twins/d/modules/%24edgeAgent/methods"
    answer = ask_once(hub, Call(method="POST", path=path, body=body))
    assert (answer.status, code_of(answer)) == (404, "DeviceNotOnline")
    assert json.loads(answer.message)["errorCode"] == 404103


@pytest.mark.azure(
    "IoT Hub", "A response timeout is 5 to 300 seconds, as a number or a text.", source=METHODS_PAGE
)
@pytest.mark.parametrize(
    ("response", "connect", "status"),
    [
        (5, 0, 404),
        ("300", "0", 404),
        (4, 0, 400),
        (301, 0, 400),
        ("x", 0, 400),
        (5, 6, 400),
        (10**400, 0, 400),
    ],
)
def test_timeouts_of_a_method_have_their_limits(
    hub: IotHub, response: object, connect: object, status: int
) -> None:
    body = {
        "methodName": "ping",
        "responseTimeoutInSeconds": response,
        "connectTimeoutInSeconds": connect,
    }
    assert ask_once(hub, Call(method="POST", path="/twins/d/methods", body=body)).status == status


@pytest.mark.parametrize("count", ["0", "-1", "x", "9" * 30, "\u0661"])
def test_wrong_page_size_is_refused(hub: IotHub, count: str) -> None:
    answer = ask_once(hub, Call(method="GET", path=f"/devices?top={count}"))
    assert answer.status == 400


@pytest.mark.azure(
    "IoT Hub",
    "A continuation token is good for the query that it came with.",
    source="learn.microsoft.com/rest/api/iothub/service/query/get-twins",
)
@pytest.mark.parametrize("token", ["1", "x", "AAAA", "\u00e4", "other"])
def test_foreign_continuation_token_is_refused(hub: IotHub, token: str) -> None:
    add_stations(hub, e="broad", f="broad")
    if token == "other":
        page = hub.queries.page("SELECT deviceId FROM devices", None, 1)
        token = page.continuation or ""
    call = Call(
        method="POST",
        path="/devices/query",
        body={"query": "SELECT * FROM devices"},
        headers={"x-ms-continuation": token},
    )
    assert ask_once(hub, call).status == 400


def test_failure_inside_the_hub_says_nothing_of_its_inside(
    hub: IotHub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.registry.device("d").identity.tags = {"broken": {1, 2}}
    answer = ask_once(hub, TWIN)
    assert (answer.status, code_of(answer)) == (500, "ServerError")
    assert "Traceback" not in json.dumps(answer.body)
    assert [record.message for record in caplog.records] == ["request failed"]


def test_bulk_change_names_each_device_that_failed(hub: IotHub) -> None:
    entries = [
        {"id": "n1", "importMode": "create", "tags": {"a": 1}},
        {"id": "d", "importMode": "create"},
        {"id": "none", "importMode": "delete"},
    ]
    answer = ask_once(hub, Call(method="POST", path="/devices", body=entries))
    assert answer.status == 400
    assert [each["errorCode"] for each in answer.body["errors"]] == [409001, 404001]
    assert hub.identity("n1").tags == {"a": 1}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
known_names = st.sampled_from(
    ["deviceId", "authentication", "symmetricKey", "status", "tags", "properties", "desired",
     "query", "content", "modulesContent", "targetCondition", "priority", "metrics", "queries",
     "labels", "capabilities", "methodName", "payload", "$edgeAgent", "properties.desired.x", "id"]
)  # fmt: skip
documents = st.recursive(
    st.dictionaries(known_names, json_values, max_size=4),
    lambda inner: st.dictionaries(known_names, inner, max_size=4),
    max_leaves=6,
)


@hypothesis_settings(max_examples=10)
@given(st.lists(st.tuples(st.sampled_from(BODIES), documents), min_size=10, max_size=10))
def test_no_body_brings_the_hub_down(cases: list[tuple[tuple[str, str], Any]]) -> None:
    hub = IotHub()
    add_stations(hub, d="canary")
    answers = ask(hub, *(Call(method=m, path=p, body=body) for (m, p), body in cases))
    assert all(each.status < 500 for each in answers)
