"""Is the camera still there? One register, read from beside the control connection.

GigE Vision 1.2, GVCP: READREG_CMD (0x0080) is answered to any application; register 0x0A00 is the
control channel privilege. The library asks too, but gives a silent camera some six seconds.
"""

import contextlib
import socket
import struct
from typing import Final

PORT: Final = 3956
_HEADER: Final = struct.Struct(">BBHHH")
_KEY, _ACKNOWLEDGE = 0x42, 0x01
_READREG_CMD, _READREG_ACK = 0x0080, 0x0081
_PRIVILEGE: Final = struct.pack(">I", 0x0A00)


def is_there(address: str, *, timeout_s: float = 0.3, tries: int = 3) -> bool:
    """Tell whether the camera at *address* answers; takes at most *timeout_s* times *tries*."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(timeout_s)
        for request_id in range(1, tries + 1):
            request = _HEADER.pack(_KEY, _ACKNOWLEDGE, _READREG_CMD, len(_PRIVILEGE), request_id)
            with contextlib.suppress(OSError):
                link.sendto(request + _PRIVILEGE, (address, PORT))
                answer = link.recv(64)
                if len(answer) >= _HEADER.size and _HEADER.unpack_from(answer)[2] == _READREG_ACK:
                    return True
    return False
