"""The control socket of a running world: `POST /<command>` with a JSON object, answered in JSON."""

import logging
import os
import socket
from pathlib import Path

from aiohttp import web

from taktgate.contracts.codec import ContractError, encode
from taktgate.standin.azure.errors import AzureStandInError, HubRequestError
from taktgate.standin.azure.http_serving import json_object
from taktgate.standin.azure.world.control import COMMANDS, WorldControl

log = logging.getLogger(__name__)

_OWNER_ONLY = 0o177
_LEVELS = {"status": logging.DEBUG, "telemetry": logging.DEBUG}
"""Looks change nothing, and `--watch` makes many."""


class ControlServer:
    """Serves one world's control on a unix socket that only its owner may open."""

    def __init__(self, control: WorldControl, path: Path) -> None:
        self._control = control
        self._path = path
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen; the stale socket of a killed world is replaced.

        Raises:
            OSError: The socket cannot be made.
        """
        app = web.Application()
        app.router.add_post("/{command}", self._on_command)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        self._path.unlink(missing_ok=True)
        await web.SockSite(runner, _private_socket(self._path)).start()
        self._runner = runner

    async def stop(self) -> None:
        """Stop to listen and remove the socket."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
        self._path.unlink(missing_ok=True)

    async def _on_command(self, request: web.Request) -> web.Response:
        command = request.match_info["command"]
        if command not in COMMANDS:
            known = ", ".join(COMMANDS)
            return _refused(404, f"no command {command!r}; rule: one of {known}")
        try:
            answer = await self._control.carry_out(command, await json_object(request))
        except (AzureStandInError, ContractError) as error:
            status = error.status if isinstance(error, HubRequestError) else 400
            log.info("command refused", extra={"command": command, "reason": str(error)})
            return _refused(status, str(error))
        log.log(_LEVELS.get(command, logging.INFO), "command", extra={"command": command})
        return web.Response(body=encode(answer), content_type="application/json")


def _refused(status: int, reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=status)


def _private_socket(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # By the mask and not by chmod: nobody else can connect in between.
    before = os.umask(_OWNER_ONLY)
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener
