"""The infer service's end of its decoder: started when needed, ended when it hangs."""

import contextlib
import socket
import subprocess
from typing import Final

from taktgate.contracts.codec import ContractError
from taktgate.edge.child import start_module
from taktgate.edge.clock import SECOND, monotonic_ns
from taktgate.inspection.surface.decoder_wire import Read, Shape, receive, send
from taktgate.inspection.surface.errors import BadInputError, UnavailableError
from taktgate.inspection.surface.pixels import Task

_MODULE: Final = "taktgate.inspection.surface.decoder"
_END_LIMIT_S: Final = 5.0


class DecoderLink:
    """One decoder at a time. Used by one thread, whose death ends the decoder."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """Return the decoder's process id, None while there is none."""
        return None if self._process is None else self._process.pid

    def read(self, task: Task, body: bytes, *, until_ns: int) -> tuple[Shape, bytes]:
        """Return the shape and the pixels of the picture in *body*.

        Raises:
            BadInputError: the body breaks a rule.
            UnavailableError: the decoder died over it or was not done in time; there is a new one
                next time.
        """
        try:
            stream = self._stream()
            stream.settimeout(max(0.001, (until_ns - monotonic_ns()) / SECOND))
            send(stream, task, body)
            read, pixels = receive(stream, Read)
        except (OSError, EOFError, ContractError) as error:
            self.close()
            why = "took too long" if isinstance(error, TimeoutError) else "failed"
            raise UnavailableError(f"reading the body {why}") from error
        if read.fault is not None:
            fault = read.fault
            raise BadInputError(fault.rule, field=fault.field, status=fault.status)
        assert read.shape is not None
        return read.shape, pixels

    def close(self) -> None:
        """End the decoder, if there is one."""
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_LIMIT_S)
        self._process = self._socket = None

    def _stream(self) -> socket.socket:
        if self._socket is None:
            self._socket, theirs = socket.socketpair()
            with theirs:
                self._process = start_module(_MODULE, theirs)
        return self._socket
