"""Where the container engine is, and how containers of a device reach its edgeHub."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

HOST_NETWORK = "host"
ENGINE_SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerSettings:
    """How modules run as containers."""

    socket: Path = ENGINE_SOCKET
    network: str = HOST_NETWORK
    """The network of modules whose create options name none. Azure has a bridge, azure-iot-edge;
    the host's is the only one from which a gateway on a loopback address can be reached."""
    gateway: str | None = None
    """The address of edgeHub as containers see it; None is the device's own gateway."""

    def __post_init__(self) -> None:
        if self.network != HOST_NETWORK and (self.gateway is None or _is_loopback(self.gateway)):
            raise ValueError(
                f"gateway {self.gateway!r} for network {self.network!r}; rule: containers outside "
                "the host's network need an address of edgeHub that is not loopback"
            )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
