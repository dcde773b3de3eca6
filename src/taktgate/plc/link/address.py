"""Where a controller is: the address of the station file, in its parts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Final

DEFAULT_PORT: Final = 44818
_BACKPLANE: Final = {"bp", "backplane", "1"}
_PORT_NAMES: Final = {*_BACKPLANE, "enet"}
_HIGHEST_PORT: Final = 14
"""From 15 on a port segment has another form (CIP Vol 1, C-1.4.1)."""
_HIGHEST_SLOT: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerAddress:
    """Host and port of the EtherNet/IP interface, and the way from there to the controller.

    `route` is a sequence of port and link, `("bp", "0")` where the address names none.
    """

    host: str
    port: int
    route: tuple[str, ...]

    @property
    def is_numeric(self) -> bool:
        """True when no name has to be looked up, which can take seconds."""
        return _is_ipv4(self.host)

    def at(self, host: str) -> str:
        """Return the address as pycomm3 takes it, with *host* in the place of the name."""
        return "/".join((f"{host}:{self.port}", *self.route))


def parse_address(address: str) -> ControllerAddress:
    """Return the parts of *address*: `host`, `host:port`, `host/slot`, or `host/port/link/...`.

    All spellings of one controller give the same parts.

    Raises:
        ValueError: names the part and the rule.
    """
    endpoint, *route = re.split(r"[/\\,]", address.strip().lower())
    host, _, port = endpoint.partition(":")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", host):
        raise ValueError(f"plc.address: host must be an IPv4 address or a name, is {host!r}")
    if port and not (port.isdigit() and 0 < int(port) < 65535):
        raise ValueError(f"plc.address: port must be 1..65534, is {port!r}")
    if len(route) < 2:
        route = ["bp", *(route or ["0"])]
    if len(route) % 2:
        raise ValueError(f"plc.address: route must be pairs of port and link, is {route}")
    _check_route(route)
    if route[0] in _BACKPLANE:
        route[0] = "bp"
    return ControllerAddress(host=host, port=int(port or DEFAULT_PORT), route=tuple(route))


def _check_route(route: Sequence[str]) -> None:
    """Refuse what no port segment can carry: a typo is no fault of the network.

    Raises:
        ValueError: names the port or the link, and the rule.
    """
    for port, link in zip(route[::2], route[1::2], strict=True):
        if port not in _PORT_NAMES and not _is_number(port, 1, _HIGHEST_PORT):
            raise ValueError(
                f"plc.address: port of the route must be bp, enet or 1..{_HIGHEST_PORT}, "
                f"is {port!r}"
            )
        if not _is_number(link, 0, _HIGHEST_SLOT) and not _is_ipv4(link):
            raise ValueError(
                f"plc.address: slot must be 0..{_HIGHEST_SLOT} or an IPv4 address, is {link!r}"
            )


def _is_number(text: str, lowest: int, highest: int) -> bool:
    return re.fullmatch(r"[0-9]{1,3}", text) is not None and lowest <= int(text) <= highest


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True
