"""A module of ours as a child process that serves one socket and dies with its parent."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from taktgate.edge.process import PARENT_VARIABLE

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def start_module(
    module: str,
    theirs: socket.socket,
    environment: Mapping[str, str] = _NOTHING,
    arguments: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Start *module*, which inherits *theirs* under the number that its first argument says.

    It dies with this process once it has called `die_with_parent`. To start it takes 1 ms on an
    idle machine and as long as the scheduler likes on a busy one: vfork(2) holds this process until
    the child, at ordinary priority, has come to its execve(2).

    Args:
        module: Which.
        theirs: Its end of a socket.
        environment: Beyond this process's own.
        arguments: What follows the socket's number.

    Raises:
        OSError: no process is to be had.
    """
    return subprocess.Popen(
        [sys.executable, "-m", module, str(theirs.fileno()), *arguments],
        env={**os.environ, **environment, PARENT_VARIABLE: str(os.getpid())},
        pass_fds=[theirs.fileno()],
    )
