"""The workload API: each module's own unix socket, where it signs and reads the trust bundle."""

import base64
import binascii
from pathlib import Path

from aiohttp import web

from taktgate.standin.azure import sas
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.http_serving import json_object

API_VERSION = "2019-01-30"


class WorkloadApi:
    """Serves one module; a request in another module's name is refused."""

    def __init__(
        self, *, socket_path: Path, module: str, generation_id: str, key: bytes, trust_bundle: str
    ) -> None:
        self.socket_path = socket_path
        self._module = module
        self._generation_id = generation_id
        self._key = key
        self._trust_bundle = trust_bundle
        self._runner: web.AppRunner | None = None

    @property
    def uri(self) -> str:
        """The value for IOTEDGE_WORKLOADURI."""
        return f"unix://{self.socket_path}"

    def change_trust_bundle(self, trust_bundle: str) -> None:
        """Return another trust bundle from now on, as after a change of the CA."""
        self._trust_bundle = trust_bundle

    async def start(self) -> None:
        """Listen on the socket; a stale file is replaced."""
        app = web.Application()
        app.router.add_get("/trust-bundle", self._on_trust_bundle)
        app.router.add_post("/modules/{module}/genid/{generation}/sign", self._on_sign)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        self.socket_path.unlink(missing_ok=True)
        await web.UnixSite(runner, str(self.socket_path)).start()
        self._runner = runner

    async def stop(self) -> None:
        """Stop to listen and remove the socket."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
        self.socket_path.unlink(missing_ok=True)

    async def _on_trust_bundle(self, _request: web.Request) -> web.Response:
        return web.json_response({"certificate": self._trust_bundle})

    async def _on_sign(self, request: web.Request) -> web.Response:
        named = request.match_info["module"], request.match_info["generation"]
        if named != (self._module, self._generation_id):
            return _refusal(403, "this socket belongs to another module")
        try:
            body = await json_object(request)
            data = base64.b64decode(body["data"], validate=True).decode()
        except (HubRequestError, KeyError, TypeError, binascii.Error, UnicodeDecodeError):
            return _refusal(400, "rule: {keyId, algo: HMACSHA256, data: base64}")
        if body.get("algo") != "HMACSHA256":
            return _refusal(400, "rule: algo is HMACSHA256")
        digest = base64.b64encode(sas.sign(self._key, data)).decode("ascii")
        return web.json_response({"digest": digest})


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
