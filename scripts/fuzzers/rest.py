"""IoT Hub's REST interface: damaged requests to every endpoint of a real hub, over real TLS.

No request may be answered with 500, each error has Azure's shape, and a device that no request
names keeps its twin.
"""

import base64
import json
import logging
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from yarl import URL

from fuzzers.campaign import BrokenPromiseError
from fuzzers.mutation import smaller_sequences
from fuzzers.rest_requests import API_VERSIONS, DEVICE, TWIN, RestCase, make_case
from taktgate.standin.azure import sas
from taktgate.standin.azure.loopback import free_loopback_network
from taktgate.standin.azure.world.cloud import LocalCloud

BYSTANDER = "bystander"
ERROR_SHAPES = (
    frozenset(("Message", "ExceptionMessage")),
    frozenset(("errorCode", "trackingId", "message", "timestampUtc")),
)
"""Both are IoT Hub's own; which one depends on the error."""
LOOK_EVERY = 20
"""Requests between two looks at the bystander."""


class LastError(logging.Handler):
    """Keeps the exception behind an answer of 500: aiohttp logs it and tells the client nothing."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception of *record*."""
        if record.exc_info is not None:
            self.error = record.exc_info[1]


class RestTarget:
    """Sends requests to a hub."""

    name = "rest"

    def __init__(
        self, session: aiohttp.ClientSession, host: str, token: str, last_error: LastError
    ) -> None:
        self._last_error = last_error
        self._session = session
        self._host = host
        self._token = token
        self._requests = 0
        self._bystander: Any = None

    def make(self, random: Random) -> RestCase:
        """Return a request to one of the endpoints, damaged or not."""
        return make_case(random)

    async def check(self, case: RestCase) -> None:
        """Send *case*, look at the answer, and now and then at the bystander."""
        status, body = await self._send(case)
        if status >= 500:
            text = f"no request is answered {status}; {_kind(case)}: {self._last_error.error!r}"
            raise BrokenPromiseError(text) from self._last_error.error
        if status >= 400:
            _check_error(case, status, body)
        elif body and case.method != "HEAD":
            _check_json(case, body)
        self._requests += 1
        if self._requests % LOOK_EVERY == 0 and await self._look() != self._bystander:
            raise BrokenPromiseError("a twin that no request names stays as it is")

    def smaller(self, case: RestCase) -> Iterable[RestCase]:
        """Return cases with fewer headers, then with a shorter body."""
        for headers in smaller_sequences(case.headers):
            yield replace(case, headers=headers)
        for body in smaller_sequences(case.body):
            yield replace(case, body=body)

    def show(self, case: RestCase) -> str:
        """Return the case as Python."""
        return repr(case)

    async def set_up(self) -> None:
        """Create the bystander and keep its twin."""
        query = API_VERSIONS[0]
        plain = {**DEVICE, "deviceId": BYSTANDER, "capabilities": {"iotEdge": False}}
        for method, path, document in (
            ("PUT", f"/devices/{BYSTANDER}", plain),
            ("PATCH", f"/twins/{BYSTANDER}", {**TWIN, "tags": {"ring": "apart"}}),
        ):
            body = json.dumps(document).encode()
            await self._send(RestCase(method=method, path=path, query=query, body=body))
        self._bystander = await self._look()
        if self._bystander["tags"] != {"ring": "apart"}:
            raise BrokenPromiseError(f"the bystander is there; {self._bystander}")

    async def _look(self) -> Any:
        case = RestCase(method="GET", path=f"/twins/{BYSTANDER}", query=API_VERSIONS[0])
        twin = json.loads((await self._send(case))[1])
        return {name: twin.get(name) for name in ("tags", "properties", "etag", "version")}

    async def _send(self, case: RestCase) -> tuple[int, bytes]:
        url = URL(f"https://{self._host}{case.path}?{case.query}", encoded=True)
        headers = {"Authorization": self._token, "Content-Type": "application/json"}
        headers.update(case.headers)
        async with self._session.request(
            case.method, url, headers=headers, data=case.body or None
        ) as response:
            return response.status, await response.read()


def _kind(case: RestCase) -> str:
    """Return method and path without names, so that findings of one endpoint are one."""
    parts = case.path.split("/")
    kept: tuple[str, ...] = ("devices", "twins", "modules", "configurations", "methods", "query")
    kept += ("testQueries", "applyConfigurationContent", "")
    return case.method + " " + "/".join(part if part in kept else "*" for part in parts)


def _check_error(case: RestCase, status: int, body: bytes) -> None:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    is_object = isinstance(document, dict)
    if not is_object or not any(shape <= document.keys() for shape in ERROR_SHAPES):
        raise BrokenPromiseError(
            f"an error {status} has Azure's shape; {_kind(case)} got {body[:200]!r}"
        )


def _check_json(case: RestCase, body: bytes) -> None:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        json.loads(body, parse_constant=refuse)
    except ValueError as error:
        raise BrokenPromiseError(f"{_kind(case)} answers in JSON; {error}") from error


@asynccontextmanager
async def open_rest() -> AsyncIterator[RestTarget]:
    """Open the target on a cloud of its own."""
    network = free_loopback_network()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        async with LocalCloud(Path(folder), address=network.address(1), hub_port=0) as cloud:
            text = cloud.service_connection_string
            fields = dict(part.split("=", 1) for part in text.split(";"))
            key = base64.b64decode(fields["SharedAccessKey"])
            policy = fields["SharedAccessKeyName"]
            token = sas.make(fields["HostName"], key=key, lifetime_s=86_400, key_name=policy)
            tls = ssl.create_default_context(cafile=str(cloud.ca_file))
            connector = aiohttp.TCPConnector(ssl=tls)
            async with aiohttp.ClientSession(connector=connector) as session:
                with _last_error() as last_error:
                    target = RestTarget(session, fields["HostName"], token, last_error)
                    await target.set_up()
                    yield target


@contextmanager
def _last_error() -> Iterator[LastError]:
    """Keep what aiohttp's server logs, and all warnings, from the screen."""
    handler = LastError()
    loggers = [logging.getLogger(name) for name in ("aiohttp.server", "taktgate")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield handler
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True
