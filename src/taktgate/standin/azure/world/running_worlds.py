"""Where running worlds are written down, so that a command finds the one that it is for."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.contracts.codec import STRICT_DOCUMENT, ContractError, decode, encode
from taktgate.edge.files import publish
from taktgate.standin.azure.errors import NoWorldError, WorldSetupError

MAX_SOCKET_PATH: Final = 100
_SOCKET_NAME: Final = "control.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningWorld:
    """A world that runs, or did when this was written."""

    __pydantic_config__ = STRICT_DOCUMENT

    directory: str
    socket: str
    pid: int
    started_at_s: float
    """Seconds since 1970."""


def socket_path(directory: Path, pid: int) -> Path:
    """Return where a world's control socket is: in its directory, if its path is short enough.

    Raises:
        WorldSetupError: The folder for running worlds cannot be used.
    """
    path = directory / _SOCKET_NAME
    return path if len(str(path)) <= MAX_SOCKET_PATH else records_folder() / f"{pid}.sock"


def write_down(world: RunningWorld) -> Path:
    """Write *world* down; the caller removes the file when the world has ended.

    Raises:
        WorldSetupError: The folder for running worlds cannot be used.
    """
    path = records_folder() / f"{world.pid}.json"
    try:
        publish(path, encode(world), mode=0o600)
    except OSError as error:
        raise WorldSetupError(f"{path}: {error.strerror}") from error
    return path


def find_world(directory: Path | None) -> RunningWorld:
    """Return the world in *directory*, or the one that was started last.

    Raises:
        NoWorldError: None runs, or none there.
    """
    worlds = sorted(_worlds(), key=lambda each: each.started_at_s, reverse=True)
    if directory is None:
        if not worlds:
            raise NoWorldError("no world runs; rule: start one with `taktgate world up`")
        return worlds[0]
    wanted = str(directory.resolve())
    for world in worlds:
        if world.directory == wanted:
            return world
    known = ", ".join(each.directory for each in worlds) or "none"
    raise NoWorldError(f"no world runs in {wanted}; rule: one of those that run: {known}")


def records_folder() -> Path:
    """Return the folder of the records, for this user only.

    Raises:
        WorldSetupError: It cannot be made, or belongs to somebody else.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    folder = (
        Path(base) / "taktgate" if base else Path(tempfile.gettempdir()) / f"taktgate-{os.getuid()}"
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat(follow_symlinks=False)
    except OSError as error:
        raise WorldSetupError(f"{folder}: {error.strerror}") from error
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise WorldSetupError(f"{folder}; rule: a folder that is yours, for the running worlds")
    return folder


def _worlds() -> Iterator[RunningWorld]:
    """Yield the worlds that listen; the record of one that was killed is removed."""
    for path in records_folder().glob("*.json"):
        try:
            world = decode(RunningWorld, path.read_bytes())
        except (OSError, ContractError):  # ends just now, or no record of ours
            continue
        if _is_alive(world):
            yield world
        else:
            path.unlink(missing_ok=True)


def _is_alive(world: RunningWorld) -> bool:
    """Tell whether somebody listens: a killed world leaves its socket, and its number to others."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(world.socket)
        except OSError:
            return False
    return True
