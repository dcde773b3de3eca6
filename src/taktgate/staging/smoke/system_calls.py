"""A filter that refuses the system calls by which a process reaches other processes or a network.

The program is classic BPF over `struct seccomp_data` (seccomp(2)); numbers from the kernel's tables
(arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h).
"""

import ctypes
import errno
import platform
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SET_MODE_FILTER: Final = 1
_ALL_THREADS: Final = 1
_CLONE_THREAD: Final = 0x00010000
_OTHER_NUMBERING: Final = 0x40000000
"""x32: the same calls of an x86-64 kernel under other numbers."""
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets within `struct seccomp_data`; of the argument the lower half (both are little-endian)."""
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW: Final = 0x7FFF0000
_FAIL: Final = 0x00050000
_INSTRUCTION: Final = struct.Struct("=HBBI")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """A processor's name for the kernel, and its numbers of system calls."""

    audit: int
    seccomp: int
    clone: int
    clone3: int
    refused: tuple[int, ...]
    """socket, socketpair, connect, bind, listen, (fork, vfork,) execve, kill, ptrace,
    process_vm_readv, process_vm_writev, execveat, pidfd_send_signal, io_uring_setup."""


_MACHINES: Final[Mapping[str, _Machine]] = {
    "x86_64": _Machine(
        audit=0xC000003E,
        seccomp=317,
        clone=56,
        clone3=435,
        refused=(41, 53, 42, 49, 50, 57, 58, 59, 62, 101, 310, 311, 322, 424, 425),
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        seccomp=277,
        clone=220,
        clone3=435,
        refused=(198, 199, 203, 200, 201, 221, 129, 117, 270, 271, 281, 424, 425),
    ),
}


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_system_calls() -> None:
    """Have the calls fail with EPERM from now on, in every thread of this process.

    Raises:
        OSError: this kernel or processor has no such filter.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise OSError(errno.ENOSYS, f"no numbers of system calls for {platform.machine()}")
    instructions = _program(machine)
    program = _Program(len(instructions) // _INSTRUCTION.size, instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(machine.seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def _program(machine: _Machine) -> bytes:
    refuse = (_RETURN, 0, 0, _FAIL | errno.EPERM)
    steps: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, machine.audit),
        refuse,
        (_LOAD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, 0, 1, _OTHER_NUMBERING),
        refuse,
    ]
    for number in machine.refused:
        steps += [(_IF_EQUAL, 0, 1, number), refuse]
    steps += [
        # Its arguments lie in memory that a filter cannot see; the C library falls back to clone.
        (_IF_EQUAL, 0, 1, machine.clone3),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
        (_IF_EQUAL, 0, 3, machine.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_SET, 1, 0, _CLONE_THREAD),
        refuse,
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(_INSTRUCTION.pack(*step) for step in steps)
