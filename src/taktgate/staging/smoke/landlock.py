"""Leaves a thread a few folders to read, and no other file: landlock(7), by its system calls."""

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_READ_FILE_AND_FOLDER: Final = 1 << 2 | 1 << 3
_FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights on files there are since which version of the interface."""
_NETWORK_SINCE, _SCOPE_SINCE = 4, 6
_BIND_AND_CONNECT_TCP: Final = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS: Final = 0b11


def allow_reading_only(folders: Iterable[Path]) -> None:
    """Let the calling thread, and those that it starts, read files below *folders* and no others.

    What is open already stays open. TCP, too, ends where the kernel can do that.

    Raises:
        OSError: this kernel has no Landlock, or it is switched off.
    """
    version = _call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    attributes = _attributes(version)
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for folder in folders:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                _allow(ruleset, folder)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _attributes(version: int) -> bytes:
    """Return `struct landlock_ruleset_attr`, as long as *version* knows it."""
    rights = (1 << _FILE_RIGHTS[max(each for each in _FILE_RIGHTS if each <= version)]) - 1
    if version < _NETWORK_SINCE:
        return struct.pack("=Q", rights)
    if version < _SCOPE_SINCE:
        return struct.pack("=QQ", rights, _BIND_AND_CONNECT_TCP)
    return struct.pack("=QQQ", rights, _BIND_AND_CONNECT_TCP, _ABSTRACT_SOCKETS_AND_SIGNALS)


def _allow(ruleset: int, folder: Path) -> None:
    descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        rule = struct.pack("=Qi", _READ_FILE_AND_FOLDER, descriptor)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(ctypes.c_long(number), *map(_as_long, arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), "landlock")
    return result


def _as_long(argument: int | bytes | None) -> object:
    """Have a number fill its register: the C library takes any arguments, and knows no types."""
    return ctypes.c_long(argument) if isinstance(argument, int) else argument
