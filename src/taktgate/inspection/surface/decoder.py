"""The decoder: a process that reads the bodies of `/infer`, so that nobody else has to.

Parsing 16 MB of JSON holds an interpreter for a tenth of a second, in which the agent could decide
nothing, and may take hundreds of megabytes; image decoders have a history. So both happen here, at
the priority of the infer service that started it and within a limit of memory; a decoder that hangs
or dies is replaced, and costs one request.
"""

import resource
import socket
import sys
from typing import Final

from taktgate.edge.logs import set_up_logging
from taktgate.edge.process import OrphanedError, die_with_parent
from taktgate.inspection.surface.decoder_wire import Fault, Read, Shape, receive, send
from taktgate.inspection.surface.errors import BadInputError
from taktgate.inspection.surface.pixels import Picture, Task, picture_of

MEMORY_BYTES: Final = 2 * 1024**3
"""Of address space: four times what the largest body in JSON takes."""


def main() -> int:
    """Read bodies until the infer service closes the socket."""
    set_up_logging("inference/decoder")
    try:
        die_with_parent()
    except OrphanedError:
        return 0  # nobody wants this process any more
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with socket.socket(fileno=int(sys.argv[1])) as service:
        while True:
            try:
                task, body = receive(service, Task)
            except EOFError:
                return 0
            _answer(service, task, body)


def _answer(service: socket.socket, task: Task, body: bytes) -> None:
    try:
        picture = picture_of(task, body)
    except BadInputError as error:
        send(service, Read(fault=Fault(status=error.status, field=error.field, rule=error.rule)))
        return
    except MemoryError:
        send(service, Read(fault=Fault(status=413, field="body", rule="takes too much memory")))
        return
    send(service, Read(shape=_shape(picture)), picture.pixels.tobytes())


def _shape(picture: Picture) -> Shape:
    height, width = picture.pixels.shape[:2]
    return Shape(
        width=width,
        height=height,
        channels=1 if picture.pixels.ndim == 2 else 3,
        correlation_id=picture.correlation_id,
    )


if __name__ == "__main__":
    sys.exit(main())
