"""Loopback networks: the SDK fixes the ports, so each device gets an address of its own."""

import secrets
import socket
from dataclasses import dataclass

from taktgate.standin.azure.errors import PortInUseError

ATTEMPTS = 50
HUB_HOST, FIRST_GATEWAY_HOST = 1, 2
PROBED = ((HUB_HOST, 8443), (HUB_HOST, 8883), (FIRST_GATEWAY_HOST, 8883))


@dataclass(frozen=True, slots=True)
class LoopbackNetwork:
    """A network 127.a.b.0/24 that nobody else uses; `address(1)` is for the hub."""

    prefix: str

    def address(self, host: int) -> str:
        """Return the address of *host* (1..254)."""
        if not 1 <= host <= 254:
            raise ValueError(f"host must be within 1..254, got {host}")
        return f"{self.prefix}.{host}"


def free_loopback_network() -> LoopbackNetwork:
    """Return a random loopback network on which the local world's ports are free.

    Raises:
        PortInUseError: None was found; somebody listens on 0.0.0.0.
    """
    for _ in range(ATTEMPTS):
        prefix = f"127.{secrets.randbelow(250) + 2}.{secrets.randbelow(254) + 1}"
        network = LoopbackNetwork(prefix)
        if all(_is_free(network.address(host), port) for host, port in PROBED):
            return network
    raise PortInUseError("127.0.0.0/8", 8883, "one loopback address must be free")


def _is_free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
