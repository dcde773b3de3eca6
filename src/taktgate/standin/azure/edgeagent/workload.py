"""The workload API: what aziot-edged offers each module on a unix socket of its own.

Azure/iotedge edgelet/edgelet-http-workload/src; how requests are read and refused:
Azure/iot-identity-service http-common/src/server.rs.
"""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from taktgate.standin.azure import strict_json
from taktgate.standin.azure.edgeagent.errors import InvalidInputError, RequestRefusedError
from taktgate.standin.azure.edgeagent.workload_crypto import (
    CertificateIssuer,
    ModuleSecrets,
)
from taktgate.standin.azure.json_types import JsonObject

log = logging.getLogger(__name__)

API_VERSION = "2019-01-30"
"""What edgeAgent tells modules to ask for."""
API_VERSIONS = frozenset(
    (
        "2018-06-28",
        "2019-01-30",
        "2019-10-22",
        "2019-11-05",
        "2020-07-07",
        "2021-12-07",
        "2022-08-03",
    )
)
"""edgelet/edgelet-http/src/version.rs of 1.5; every call here exists since the first of them."""
_MODULE = r"/modules/(?P<module>[^/]+)"
_GENERATION = rf"{_MODULE}/genid/(?P<generation>[^/]+)"

_Answer = tuple[int, JsonObject]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSettings:
    """Whom one socket serves."""

    socket_path: Path
    module: str
    uri: str
    """`azureiot://HUB/devices/D/modules/M`: the name in the module's identity certificate."""
    key: bytes
    """The module's symmetric key."""
    trust_bundle: Callable[[], str]
    issuer: CertificateIssuer | None = None


class WorkloadApi:
    """Serves one module; a request in another module's name is refused."""

    def __init__(self, settings: WorkloadSettings) -> None:
        self._settings = settings
        self._secrets = ModuleSecrets(settings.key)
        self._runner: web.AppRunner | None = None
        self._calls: tuple[tuple[re.Pattern[str], str, _Call], ...] = (
            (re.compile("/trust-bundle"), "GET", self._trust_bundle),
            (re.compile("/manifest-trust-bundle"), "GET", self._no_trust_bundle),
            (re.compile(f"{_GENERATION}/sign"), "POST", self._sign),
            (re.compile(f"{_GENERATION}/encrypt"), "POST", self._encrypt),
            (re.compile(f"{_GENERATION}/decrypt"), "POST", self._decrypt),
            (re.compile(f"{_GENERATION}/certificate/server"), "POST", self._server_certificate),
            (re.compile(f"{_MODULE}/certificate/identity"), "POST", self._identity_certificate),
        )

    @property
    def uri(self) -> str:
        """The value for IOTEDGE_WORKLOADURI."""
        return f"unix://{self._settings.socket_path}"

    async def start(self) -> None:
        """Listen on the socket; a stale file is replaced."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._on_request)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        self._settings.socket_path.unlink(missing_ok=True)
        await web.UnixSite(runner, str(self._settings.socket_path)).start()
        # Containers run as other users; who may speak is decided by who has the socket.
        self._settings.socket_path.chmod(0o666)
        self._runner = runner

    async def stop(self) -> None:
        """Stop to listen and remove the socket."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
        self._settings.socket_path.unlink(missing_ok=True)

    async def _on_request(self, request: web.Request) -> web.Response:
        try:
            status, answer = await self._answer(request)
        except RequestRefusedError as error:
            facts = {"module_name": self._settings.module, "reason": str(error)}
            log.warning("workload request refused", extra=facts)
            status, answer = error.status, {"message": str(error)}
        except InvalidInputError as error:
            status, answer = 400, {"message": str(error)}
        return web.json_response(answer, status=status)

    async def _answer(self, request: web.Request) -> _Answer:
        _check_version(request.query.get("api-version"))
        for path, method, call in self._calls:
            match = path.fullmatch(request.path)
            if match is None:
                continue
            if request.method != method:
                raise RequestRefusedError(400, "method not allowed")
            body = await _body(request) if method == "POST" else None
            self._check_caller(match.groupdict())
            return await call(match.groupdict(), body)
        raise RequestRefusedError(404, "not found")

    def _check_caller(self, named: Mapping[str, str]) -> None:
        """Refuse another module's name. The generation is not checked, as edgelet does not."""
        module = named.get("module", self._settings.module)
        if module.lstrip("$") != self._settings.module.lstrip("$"):
            raise RequestRefusedError(403, "forbidden")

    async def _trust_bundle(self, _named: Mapping[str, str], _body: Any) -> _Answer:
        return 200, {"certificate": self._settings.trust_bundle()}

    async def _no_trust_bundle(self, _named: Mapping[str, str], _body: Any) -> _Answer:
        return 200, {"certificate": ""}

    async def _sign(self, _named: Mapping[str, str], body: Any) -> _Answer:
        """Sign with the module's key; keyId and algo are not looked at, as in sign.rs."""
        return 200, {"digest": self._secrets.sign(_field(body, "data"))}

    async def _encrypt(self, named: Mapping[str, str], body: Any) -> _Answer:
        plaintext, vector = _field(body, "plaintext"), _field(body, "initializationVector")
        owner = named["module"] + named["generation"]
        return 200, {"ciphertext": self._secrets.encrypt(plaintext, vector, owner)}

    async def _decrypt(self, named: Mapping[str, str], body: Any) -> _Answer:
        ciphertext, vector = _field(body, "ciphertext"), _field(body, "initializationVector")
        owner = named["module"] + named["generation"]
        return 200, {"plaintext": self._secrets.decrypt(ciphertext, vector, owner)}

    async def _server_certificate(self, named: Mapping[str, str], body: Any) -> _Answer:
        common_name = _field(body, "commonName")
        return self._certificate(common_name, [common_name, named["module"]], is_server=True)

    async def _identity_certificate(self, named: Mapping[str, str], _body: Any) -> _Answer:
        return self._certificate(named["module"], [self._settings.uri], is_server=False)

    def _certificate(self, common_name: str, names: list[str], *, is_server: bool) -> _Answer:
        if self._settings.issuer is None:
            raise RequestRefusedError(500, "failed to create cert: this device has no edge CA")
        try:
            issued = self._settings.issuer.issue(common_name, names, is_server=is_server)
        except ValueError as error:
            raise RequestRefusedError(
                500, f"failed to create cert for {common_name}: {error}"
            ) from None
        return 201, {
            "privateKey": {"type": "key", "bytes": issued.key_pem},
            "certificate": issued.certificate_pem,
            "expiration": issued.expires_at.isoformat(),
        }


_Call = Callable[[Mapping[str, str], Any], Awaitable[_Answer]]


def _check_version(version: str | None) -> None:
    if version is None:
        raise RequestRefusedError(400, "api-version not specified")
    if version not in API_VERSIONS:
        raise RequestRefusedError(400, f"invalid api-version {json.dumps(version)}")


async def _body(request: web.Request) -> Any:
    """Return the JSON of a body, None for one of another type: SDKs send it without any type."""
    try:
        content = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise RequestRefusedError(400, "request body is too large") from None
    kind = request.headers.get("Content-Type")
    if not content or (kind is not None and kind.partition(";")[0].strip() != "application/json"):
        return None
    try:
        return strict_json.parse(content)
    except ValueError as error:
        raise RequestRefusedError(422, f"body is not JSON: {error}") from None


def _field(body: Any, name: str) -> str:
    if body is None:
        raise RequestRefusedError(400, "missing request body")
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str):
        raise RequestRefusedError(422, f"field {name}; rule: a text")
    return value
