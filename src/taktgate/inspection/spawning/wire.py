"""What judge and spawner say to each other over their SEQPACKET socket. Pure.

A request is JSON, and the child's socket goes with it (SCM_RIGHTS, unix(7)). An answer is a struct;
with STARTED goes a descriptor of the process (pidfd_open(2)).
"""

import json
import struct
from dataclasses import dataclass
from typing import Any, Final

from taktgate.inspection.spawning.port import Program

MAX_REQUEST_BYTES: Final = 16 * 1024
MAX_ANSWER_BYTES: Final = 64
_STARTED: Final = b"S"
_FAILED: Final = b"F"
_ANSWER: Final = struct.Struct("<cxxxIi")


class SpawnerProtocolError(ValueError):
    """A message is none of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Start this program; the answer bears the same number."""

    number: int
    program: Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a request: a process id, or the errno that forbade it."""

    number: int
    pid: int | None = None
    errno: int = 0


def pack_request(request: Request) -> bytes:
    """Return the bytes of *request*.

    Raises:
        SpawnerProtocolError: it is longer than a request may be.
    """
    program = request.program
    document = {
        "number": request.number,
        "module": program.module,
        "arguments": list(program.arguments),
        "variables": dict(program.variables),
    }
    data = json.dumps(document).encode()
    if len(data) > MAX_REQUEST_BYTES:
        raise SpawnerProtocolError(f"a request of {len(data)} bytes is too long")
    return data


def unpack_request(data: bytes) -> Request:
    """Return the request in *data*.

    Raises:
        SpawnerProtocolError: *data* is no request.
    """
    try:
        facts: dict[str, Any] = json.loads(data)
        number, arguments, variables = facts["number"], facts["arguments"], facts["variables"]
        program = Program(
            module=facts["module"], arguments=tuple(arguments), variables=dict(variables)
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SpawnerProtocolError(f"no request: {error!r}") from error
    texts = (program.module, *program.arguments, *program.variables, *program.variables.values())
    if type(number) is not int or not all(type(text) is str for text in texts):
        raise SpawnerProtocolError("no request: number must be an integer, all else text")
    if "\0" in "".join(texts):
        raise SpawnerProtocolError("no request: execve(2) takes no NUL in a text")
    return Request(number=number, program=program)


def pack_answer(answer: Answer) -> bytes:
    """Return the bytes of *answer*."""
    if answer.pid is None:
        return _ANSWER.pack(_FAILED, answer.number, answer.errno)
    return _ANSWER.pack(_STARTED, answer.number, answer.pid)


def unpack_answer(data: bytes) -> Answer:
    """Return the answer in *data*.

    Raises:
        SpawnerProtocolError: *data* is no answer.
    """
    if len(data) != _ANSWER.size or data[:1] not in (_STARTED, _FAILED):
        raise SpawnerProtocolError(f"no answer: {len(data)} bytes of kind {data[:1]!r}")
    kind, number, value = _ANSWER.unpack(data)
    if value <= 0:
        raise SpawnerProtocolError(f"neither a process id nor an errno: {value}")
    if kind == _FAILED:
        return Answer(number=number, errno=value)
    return Answer(number=number, pid=value)
