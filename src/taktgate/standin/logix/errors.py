"""What can go wrong at a controller.

LogixError
├── EncapsulationError   the peer sends what is no EtherNet/IP: its session ends
├── CipError             a request is refused: the reply carries the status
├── DownloadError        a download asks for what cannot be done to the tags
└── ListenError          the controller cannot listen where it was told to
"""

from enum import IntEnum


class LogixError(Exception):
    """The root of this package's errors."""


class EncapsulationError(LogixError):
    """The bytes of a session make no sense, so nothing behind them can be trusted either."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


class ListenError(LogixError):
    """The address cannot be listened on.

    Attributes:
        address: `host:port` as it was wanted.
    """

    def __init__(self, address: str, rule: str) -> None:
        super().__init__(f"cannot listen on {address}: {rule}")
        self.address = address


class Status(IntEnum):
    """CIP general status codes (CIP Volume 1, appendix B)."""

    SUCCESS = 0x00
    CONNECTION_FAILURE = 0x01
    PATH_SEGMENT_ERROR = 0x04
    PATH_DESTINATION_UNKNOWN = 0x05
    PARTIAL_TRANSFER = 0x06
    SERVICE_NOT_SUPPORTED = 0x08
    PERMISSION_DENIED = 0x0F
    REPLY_TOO_LARGE = 0x11
    NOT_ENOUGH_DATA = 0x13
    ATTRIBUTE_NOT_SUPPORTED = 0x14
    TOO_MUCH_DATA = 0x15
    EMBEDDED_SERVICE_ERROR = 0x1E
    GENERAL_ERROR = 0xFF


class Extended(IntEnum):
    """Extended status words that clients look at."""

    CONNECTION_IN_USE = 0x0100
    CONNECTION_NOT_FOUND = 0x0107
    INVALID_CONNECTION_SIZE = 0x0109
    RPI_NOT_SUPPORTED = 0x0111
    OUT_OF_CONNECTIONS = 0x0113
    NO_SUCH_LINK = 0x0312
    BEYOND_END = 0x2105
    TYPE_MISMATCH = 0x2107


class CipError(LogixError):
    """A request is answered with a general status other than success."""

    def __init__(self, status: Status, extended: Extended | None = None) -> None:
        super().__init__(status.name if extended is None else f"{status.name} {extended.name}")
        self.status = status
        self.extended = extended


class DownloadError(LogixError):
    """A download asks for what cannot be done to the tags; nothing has changed."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule
