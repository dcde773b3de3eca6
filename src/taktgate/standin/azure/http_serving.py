"""What the HTTP servers of the local Azure share: JSON bodies, Azure-shaped errors, listening."""

import asyncio
import errno
import json
import socket
import ssl
import uuid
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from taktgate.standin.azure import strict_json
from taktgate.standin.azure.errors import HubRequestError, PortInUseError
from taktgate.standin.azure.json_types import JsonObject

HTTPS_PORT = 443
THROTTLED_S = 10
_NESTED = ("DeviceNotOnline", "GatewayTimeout")
_BARE = ("ModuleAlreadyExistsOnDevice",)


def error_response(error: HubRequestError) -> web.Response:
    """Return *error* as IoT Hub shapes its errors.

    Most come as `{"Message": "ErrorCode:<code>;<text>", "ExceptionMessage": "Tracking ID:..."}`;
    those of direct methods as a JSON document within `Message`, and a second create of a module as
    that document alone (mwalser/terraform-provider-iothub CONCEPT.md, section 11.4).
    """
    now = datetime.now(UTC)
    tracking = f"{uuid.uuid4().hex.upper()}-G:0-TimeStamp:{now:%m/%d/%Y %H:%M:%S}"
    detail = {
        "errorCode": error.number,
        "trackingId": tracking,
        "message": str(error),
        "timestampUtc": f"{now:%Y-%m-%dT%H:%M:%S.%f}Z",
    }
    body: JsonObject = {
        "Message": f"ErrorCode:{error.code};{error}",
        "ExceptionMessage": f"Tracking ID:{tracking}",
    }
    if error.code in _NESTED:
        info = {"timeout": "00:00:00"} if error.code == "DeviceNotOnline" else {}
        body = {"Message": json.dumps({**detail, "info": info}), "ExceptionMessage": ""}
    elif error.code in _BARE:
        body = detail
    headers = {"iothub-errorcode": error.code}
    if error.status == 429:
        headers["Retry-After"] = str(THROTTLED_S)
    return web.json_response(body, status=error.status, headers=headers)


async def json_object(request: web.Request) -> JsonObject:
    """Return the request's body, which must be a JSON object.

    Raises:
        HubRequestError: It is not.
    """
    body = await json_value(request)
    if not isinstance(body, dict):
        raise HubRequestError(400, "ArgumentInvalid", "body is not a JSON object")
    return body


async def json_value(request: web.Request) -> Any:
    """Return the request's body, which must be JSON that can be written again as UTF-8.

    Raises:
        HubRequestError: 400, it is not.
    """
    raw = await request.read()
    try:
        return strict_json.parse(raw)
    except ValueError as error:
        raise HubRequestError(400, "IotHubFormatError", f"body is not JSON: {error}") from error


class HttpSite:
    """One port on which an application is served."""

    def __init__(self) -> None:
        self._runner: web.AppRunner | None = None

    async def start(
        self, app: web.Application, address: str, port: int, tls: ssl.SSLContext | None = None
    ) -> int:
        """Serve *app*; return the port (a free one for 0).

        Raises:
            OSError: The port cannot be bound; nothing is left open.
        """
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            await runner.setup()
            await web.SockSite(runner, listener, ssl_context=tls).start()
        except OSError:
            listener.close()
            await runner.cleanup()
            raise
        self._runner = runner
        return int(listener.getsockname()[1])

    async def stop(self) -> None:
        """Stop to listen and cut what is open: TLS clients that idle do not answer a polite end."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        for connection in runner.server.connections if runner.server is not None else ():
            if connection.transport is not None:
                assert isinstance(connection.transport, asyncio.WriteTransport)
                connection.transport.abort()
        await runner.cleanup()


def as_port_in_use(error: OSError, address: str, port: int, rule: str) -> Exception:
    """Return the error to raise for *error*: PortInUseError if that is what it means."""
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(address, port, rule)
    return error
