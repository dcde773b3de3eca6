"""The other end of a world's control socket, for the commands that steer it."""

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any, Final

from taktgate.standin.azure.errors import NoWorldError, WorldControlError
from taktgate.standin.azure.world.running_worlds import RunningWorld

TIMEOUT_S: Final = 60.0


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def send(world: RunningWorld, command: str, order: Mapping[str, Any] | None = None) -> Any:
    """Send *command* to *world* and return its answer, a tree of JSON values.

    Raises:
        NoWorldError: The world does not answer: it has ended.
        WorldControlError: It refuses; the message is its own.
    """
    connection = _UnixConnection(world.socket)
    try:
        connection.request("POST", f"/{command}", body=json.dumps(dict(order or {})))
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoWorldError(f"the world in {world.directory} does not answer: {error}") from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise WorldControlError(str(answer["error"]))
    return answer
