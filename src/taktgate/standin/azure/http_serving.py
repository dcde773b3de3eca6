"""What the HTTP servers of the local Azure share: JSON bodies, Azure-shaped errors, listening."""

import asyncio
import errno
import json
import socket
import ssl
import uuid
from datetime import UTC, datetime

from aiohttp import web

from taktgate.standin.azure.errors import HubRequestError, PortInUseError
from taktgate.standin.azure.json_types import JsonObject


def error_response(error: HubRequestError) -> web.Response:
    """Return *error* as IoT Hub shapes its errors."""
    now = datetime.now(UTC).isoformat()
    tracking = f"{uuid.uuid4().hex}-TimeStamp:{now}"
    detail = json.dumps(
        {
            "errorCode": error.number,
            "trackingId": tracking,
            "message": str(error),
            "timestampUtc": now,
        }
    )
    message = detail if error.status in (404, 504) else f"ErrorCode:{error.code};{error}"
    return web.json_response(
        {"Message": message, "ExceptionMessage": f"Tracking ID:{tracking}"},
        status=error.status,
        headers={"iothub-errorcode": error.code},
    )


async def json_object(request: web.Request) -> JsonObject:
    """Return the request's body, which must be a JSON object.

    Raises:
        HubRequestError: It is not.
    """
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise HubRequestError(400, "ArgumentInvalid", f"body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise HubRequestError(400, "ArgumentInvalid", "body is not a JSON object")
    return body


async def start_site(
    runner: web.AppRunner, address: str, port: int, tls: ssl.SSLContext | None = None
) -> int:
    """Start *runner* on address and port; return the port (a free one for 0).

    Raises:
        OSError: The port cannot be bound; the runner is cleaned up.
    """
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
    return int(listener.getsockname()[1])


async def stop_site(runner: web.AppRunner) -> None:
    """Stop *runner* and cut what is open: TLS clients that idle would not answer a polite end."""
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
