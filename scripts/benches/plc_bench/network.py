"""A network of two machines on one: the PLC behind a cable that can be pulled."""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_CLONE_NEWNET: Final = 0x4000_0000
_HERE: Final = Path("/proc/self/ns/net")


class Cable:
    """A pair of virtual interfaces; the far end is the only one of the PLC's namespace."""

    def __init__(self) -> None:
        number = os.getpid()
        self._namespace = f"taktgate-{number}"
        self._near = f"tg{number}"
        third, fourth = number // 64 % 256, number % 64 * 4
        # 198.18.0.0/15 is set aside for benchmarks (RFC 2544).
        self._near_address = f"198.18.{third}.{fourth + 1}"
        self.far_address = f"198.18.{third}.{fourth + 2}"

    def lay(self) -> None:
        """Create both ends.

        Raises:
            subprocess.CalledProcessError: this process may not.
            FileNotFoundError: there is no `ip` here.
        """
        _ip("netns", "add", self._namespace)
        try:
            _ip("link", "add", self._near, "type", "veth", "peer", "eth0", "netns", self._namespace)
            _ip("address", "add", f"{self._near_address}/30", "dev", self._near)
            _ip("link", "set", self._near, "up")
            far = ("-n", self._namespace)
            _ip(*far, "address", "add", f"{self.far_address}/30", "dev", "eth0")
            _ip(*far, "link", "set", "eth0", "up")
        except subprocess.CalledProcessError:
            self.remove()
            raise

    def pull(self) -> None:
        """Pull the cable at this end: no carrier."""
        _ip("link", "set", self._near, "down")

    def plug(self) -> None:
        """Put it back."""
        _ip("link", "set", self._near, "up")

    def remove(self) -> None:
        """Take everything away; the far end goes with its namespace."""
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "delete", self._near)
        _ip("netns", "delete", self._namespace)

    @contextlib.contextmanager
    def far_end(self) -> Iterator[None]:
        """Let what is started within be on the PLC's machine."""
        here = os.open(_HERE, os.O_RDONLY)
        there = os.open(f"/run/netns/{self._namespace}", os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(here)
            os.close(here)
            os.close(there)


def laid_cable() -> Cable | None:
    """Return a cable, or None when this machine does not let us have one."""
    cable = Cable()
    try:
        cable.lay()
    except (subprocess.CalledProcessError, FileNotFoundError):
        return None
    return cable


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
