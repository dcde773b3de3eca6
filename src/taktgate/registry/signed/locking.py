"""One command at a time: two at once would write one version twice."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from taktgate.registry.errors import BusyError, NoRegistryError

_LOCK_S: Final = 10.0


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other commands out of the registry in *folder* while the block runs.

    Raises:
        NoRegistryError: there is no such folder.
        BusyError: another command holds it.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoRegistryError(f"{folder}: no registry: {error.strerror}") from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    until = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise BusyError(f"{folder}: another command is at work here") from error
            time.sleep(0.05)
