"""Time and identity of this start on this host."""

import functools
import secrets
import time
from pathlib import Path
from typing import Final

MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000

monotonic_ns = time.monotonic_ns
"""Now, on the clock that all containers of a host share and that no time server sets."""


@functools.cache
def kernel_boot_id() -> str:
    """Return the id of this boot of the kernel: monotonic times are comparable within one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def new_start_id() -> str:
    """Return a random id for one start of one process."""
    return secrets.token_hex(8)


def new_epoch() -> int:
    """Return a random positive 31-bit number, fit for a DINT."""
    return secrets.randbelow(2**31 - 1) + 1
