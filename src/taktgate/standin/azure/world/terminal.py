"""How the commands of `taktgate world` speak and end: lines, widths, exit codes."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import Final

from rich.console import Console

from taktgate.standin.azure.errors import (
    AzureStandInError,
    HubStoreError,
    NoWorldError,
    PortInUseError,
    WorldSetupError,
)

EXIT_DONE: Final = 0
EXIT_REFUSED: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_INTERRUPTED: Final = 130

_LOG_WIDTH: Final = 160
_BAD_INPUT: Final = (HubStoreError, WorldSetupError, NoWorldError, PortInUseError)

Run = Callable[[argparse.Namespace], int]


def until_interrupted(command: Run) -> Run:
    """Return *command*, for which Ctrl-C is the usual end."""

    def run(arguments: argparse.Namespace) -> int:
        try:
            return command(arguments)
        except KeyboardInterrupt:
            return EXIT_DONE

    return run


def guarded(command: Run, *, refused: int = EXIT_REFUSED) -> Run:
    """Return *command* with its errors as one line and an exit code; *refused* is that of others.

    A command to a world is refused by it; a world that cannot start was asked for what cannot be.
    """

    def run(arguments: argparse.Namespace) -> int:
        try:
            return command(arguments)
        except BrokenPipeError:  # the reader has seen enough: `taktgate world telemetry | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_DONE
        except _BAD_INPUT as error:
            sys.stderr.write(f"taktgate world: {error}\n")
            return EXIT_BAD_INPUT
        except AzureStandInError as error:
            sys.stderr.write(f"taktgate world: {error}\n")
            return refused

    return run


def console() -> Console:
    """Return where tables go."""
    # A log keeps its lines whole; a terminal knows its own width.
    return Console(highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)


def say(line: str) -> None:
    """Print *line*: the one place of these commands that does."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
