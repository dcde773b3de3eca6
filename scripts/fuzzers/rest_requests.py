"""Requests to every endpoint of IoT Hub's REST interface, to be damaged."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from fuzzers import query
from fuzzers.mutation import mutate_bytes, mutate_json, mutate_text

DEVICES = ("fuzz-1", "fuzz-2", "fuzz-3", "nobody")
MODULES = ("m", "%24edgeAgent", "%24edgeHub")
CONFIGURATIONS = ("base-1", "layer-1", "none")
DEVICE: dict[str, Any] = {
    "deviceId": "fuzz-1",
    "status": "enabled",
    "authentication": {"type": "sas", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}},
    "capabilities": {"iotEdge": True},
    "parentScopes": [],
}
MODULE: dict[str, Any] = {
    "moduleId": "m",
    "deviceId": "fuzz-1",
    "managedBy": "me",
    "authentication": {"type": "sas", "symmetricKey": {}},
}
TWIN: dict[str, Any] = {
    "tags": {"ring": "canary", "site": {"line": 3}},
    "properties": {"desired": {"model": {"version": "2"}, "list": [1, "a"]}},
}
CONTENT: dict[str, Any] = {
    "$edgeAgent": {
        "properties.desired": {
            "schemaVersion": "1.1",
            "runtime": {"type": "docker", "settings": {}},
            "systemModules": {},
            "modules": {
                "m": {
                    "type": "docker",
                    "status": "running",
                    "restartPolicy": "always",
                    "version": "1",
                    "settings": {"image": "i", "createOptions": "{}"},
                }
            },
        }
    },
    "$edgeHub": {
        "properties.desired": {
            "schemaVersion": "1.2",
            "routes": {"up": "FROM /messages/* INTO $upstream"},
            "storeAndForwardConfiguration": {"timeToLiveSecs": 7200},
        }
    },
    "m": {"properties.desired": {"model": {"version": "1"}}},
}
CONFIGURATION: dict[str, Any] = {
    "id": "base-1",
    "schemaVersion": "2.0",
    "labels": {"a": "b"},
    "content": {"modulesContent": CONTENT},
    "targetCondition": "tags.ring = 'canary'",
    "priority": 10,
    "metrics": {"queries": {"n": "SELECT deviceId FROM devices"}},
    "etag": "*",
}
CALL = {
    "methodName": "ping",
    "payload": {"a": 1},
    "responseTimeoutInSeconds": 5,
    "connectTimeoutInSeconds": 0,
}
TESTED = {
    "targetCondition": "deviceId = 'x'",
    "customMetricQueries": {"a": "SELECT * FROM devices"},
}
ENDPOINTS: tuple[tuple[str, str, Any], ...] = (
    ("PUT", "/devices/{device}", DEVICE),
    ("GET", "/devices/{device}", None),
    ("DELETE", "/devices/{device}", None),
    ("GET", "/devices", None),
    ("GET", "/devices/{device}/modules", None),
    ("PUT", "/devices/{device}/modules/{module}", MODULE),
    ("GET", "/devices/{device}/modules/{module}", None),
    ("DELETE", "/devices/{device}/modules/{module}", None),
    ("POST", "/devices/{device}/applyConfigurationContent", {"modulesContent": CONTENT}),
    ("GET", "/twins/{device}", None),
    ("PATCH", "/twins/{device}", TWIN),
    ("PUT", "/twins/{device}", TWIN),
    ("GET", "/twins/{device}/modules/{module}", None),
    ("PATCH", "/twins/{device}/modules/{module}", TWIN),
    ("PUT", "/twins/{device}/modules/{module}", TWIN),
    ("POST", "/twins/{device}/methods", CALL),
    ("POST", "/twins/{device}/modules/{module}/methods", CALL),
    ("POST", "/devices/query", {"query": "SELECT * FROM devices"}),
    ("GET", "/configurations", None),
    ("PUT", "/configurations/{configuration}", CONFIGURATION),
    ("GET", "/configurations/{configuration}", None),
    ("DELETE", "/configurations/{configuration}", None),
    ("POST", "/configurations/testQueries", TESTED),
)
ODD_HEADERS = ("", "*", '"*"', '"AAAA"', "-1", "0", "9" * 30, "٣", "x", "1.5", '"', "W/")
HEADERS = ("If-Match", "x-ms-max-item-count", "x-ms-continuation", "Content-Type", "Authorization")
ODD_NAMES = (
    "%00",
    "%20",
    "a%2Fb",
    "%F0%9F%99%82",
    "x" * 200,
    "%24",
    "..",
    "%ED%A0%80",
    "query",
    "'",
)
API_VERSIONS = ("api-version=2021-04-12", "api-version=2024-03-31")
ODD_QUERIES = ("", "api-version=", "api-version=1999-01-01", "api-version=x&top=3", "%ff=%ff")
TOPS = ("", "&top=2", "&top=-1", "&top=x", "&top=99999999999999999999", "&top=%D9%A3")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestCase:
    """One request; path and query are encoded."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def make_case(random: Random) -> RestCase:
    """Return a request to one of the endpoints, damaged or not."""
    method, template, document = random.choice(ENDPOINTS)
    odd = random.choice(ODD_NAMES) if random.random() < 0.1 else None
    path = template.format(
        device=odd or random.choice(DEVICES),
        module=odd or random.choice(MODULES),
        configuration=odd or random.choice(CONFIGURATIONS),
    )
    if random.random() < 0.03:
        method, path = (
            random.choice(("GET", "PUT", "POST", "PATCH")),
            random.choice(("/", "/nothing", "/devices/a/b/c", path + "/x")),
        )
    top = random.choice(TOPS) if method == "GET" else ""
    is_odd = random.random() < 0.05
    return RestCase(
        method=method,
        path=path,
        query=random.choice(ODD_QUERIES) if is_odd else random.choice(API_VERSIONS) + top,
        headers=_headers(random),
        body=_body(random, document),
    )


def _headers(random: Random) -> tuple[tuple[str, str], ...]:
    if random.random() < 0.25:
        return ((random.choice(HEADERS), random.choice(ODD_HEADERS)),)
    return (("If-Match", "*"),) if random.random() < 0.5 else ()


def _body(random: Random, document: Any) -> bytes:
    if document is None:
        return b"{" if random.random() < 0.05 else b""
    if "query" in document:
        where = query.condition(random, 3)
        text = f"SELECT * FROM devices WHERE {where}"  # noqa: S608 - not SQL
        document = {"query": mutate_text(random, text, query.WORDS)}
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        document = mutate_json(random, document)
    data = json.dumps(document).encode()
    return mutate_bytes(random, data) if random.random() < 0.15 else data
