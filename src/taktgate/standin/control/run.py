"""What the main function of every stand-in process does around its business."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

from taktgate.edge.logs import set_up_logging
from taktgate.edge.process import die_with_parent

USAGE_ERROR = 2


def run_until_told(
    name: str,
    serve: Callable[[asyncio.Event], Awaitable[None]],
    refusals: tuple[type[Exception], ...],
) -> int:
    """Run *serve* until SIGTERM or SIGINT sets the event that it gets; return the exit code.

    An exception of *refusals* means that the start was asked for wrongly: its message goes to
    stderr and the exit code is 2.
    """
    die_with_parent()
    set_up_logging(name, level=logging.WARNING)
    try:
        asyncio.run(_serve(serve))
    except refusals as error:
        sys.stderr.write(f"{name}: {error}\n")
        return USAGE_ERROR
    return 0


async def _serve(serve: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(stop)


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `host:port`, for argparse.

    Raises:
        ArgumentTypeError: *text* has another form.
    """
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"must be host:port, got {text!r}")
    return host, int(port)
