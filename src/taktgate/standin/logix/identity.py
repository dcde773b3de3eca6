"""Who the controller says it is: identity and mode, program name, clock."""

import socket
import struct
import time
from dataclasses import dataclass
from enum import Enum
from typing import Final

from taktgate.standin.logix.directory import attribute_list
from taktgate.standin.logix.errors import CipError, Status
from taktgate.standin.logix.messages import Reply, Request

_GET_ATTRIBUTES_ALL: Final = 0x01
_GET_ATTRIBUTE_LIST: Final = 0x03
_GET_ATTRIBUTE_SINGLE: Final = 0x0E

_VENDOR: Final = 1
_DEVICE_TYPE: Final = 14
_PRODUCT_CODE: Final = 166
_REVISION: Final = (33, 11)
_OPERATIONAL: Final = 3
_CLOCK_ATTRIBUTES: Final = (0x06, 0x0B)


class Mode(Enum):
    """Keyswitch and mode: the status word of the identity object (Rockwell KB 28917).

    The low byte says whether the program runs (0x60) or not (0x70), the high one where the key
    stands: 0x10 Run, 0x20 Program, 0x30 Remote, each with or without bit 0.
    """

    RUN = 0x1160
    PROGRAM = 0x2170
    REMOTE_RUN = 0x3160
    REMOTE_PROGRAM = 0x3170

    @property
    def is_running(self) -> bool:
        """Tell whether the controller scans its program."""
        return self in (Mode.RUN, Mode.REMOTE_RUN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What stands on the controller's label."""

    product_name: str = "Taktgate stand-in Logix"
    program_name: str = "TaktgateLine"
    serial: int = 0x7A6B5C4D
    mode: Mode = Mode.REMOTE_RUN
    vendor: int = _VENDOR
    device_type: int = _DEVICE_TYPE
    """14 is a programmable controller, 12 a communications adapter (CIP Vol 1, appendix B)."""

    def attributes(self) -> bytes:
        """Return the attributes of the identity object, in order."""
        name = self.product_name.encode("ascii")
        kind = (self.vendor, self.device_type, _PRODUCT_CODE)
        head = (*kind, *_REVISION, self.mode.value, self.serial)
        return struct.pack("<HHHBBHI", *head) + bytes((len(name),)) + name

    def listing(self, host: str, port: int) -> bytes:
        """Return the identity item of a ListIdentity reply."""
        address = struct.pack(">hH4s8x", socket.AF_INET, port, socket.inet_aton(host))
        return struct.pack("<H", 1) + address + self.attributes() + bytes((_OPERATIONAL,))

    def identify(self, request: Request) -> Reply:
        """Answer class 0x01.

        Raises:
            CipError: the service or the attribute is unknown.
        """
        attributes = self.attributes()
        if request.service == _GET_ATTRIBUTES_ALL:
            return Reply(data=attributes)
        if request.service != _GET_ATTRIBUTE_SINGLE:
            raise CipError(Status.SERVICE_NOT_SUPPORTED)
        bounds = (0, 2, 4, 6, 8, 10, 14, len(attributes))
        number = request.path[-1]
        if not 1 <= number < len(bounds):
            raise CipError(Status.ATTRIBUTE_NOT_SUPPORTED)
        return Reply(data=attributes[bounds[number - 1] : bounds[number]])

    def name_program(self, request: Request) -> Reply:
        """Answer class 0x64.

        Raises:
            CipError: the service is unknown.
        """
        if request.service != _GET_ATTRIBUTES_ALL:
            raise CipError(Status.SERVICE_NOT_SUPPORTED)
        name = self.program_name.encode("ascii")
        return Reply(data=struct.pack("<H", len(name)) + name)


def tell_time(request: Request) -> Reply:
    """Answer class 0x8B: the wall clock in microseconds.

    Raises:
        CipError: the service or an attribute is unknown.
    """
    microseconds = time.time_ns() // 1000
    return _attribute_list(request, dict.fromkeys(_CLOCK_ATTRIBUTES, microseconds), "<Q")


def _attribute_list(request: Request, values: dict[int, int], layout: str) -> Reply:
    if request.service != _GET_ATTRIBUTE_LIST:
        raise CipError(Status.SERVICE_NOT_SUPPORTED)
    numbers = attribute_list(request.data)
    parts = [struct.pack("<H", len(numbers))]
    for number in numbers:
        if number not in values:
            raise CipError(Status.ATTRIBUTE_NOT_SUPPORTED)
        parts.append(struct.pack("<HH", number, Status.SUCCESS))
        parts.append(struct.pack(layout, values[number]))
    return Reply(data=b"".join(parts))
