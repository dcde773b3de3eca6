"""What a controller says about itself and its tags: read-only, through pycomm3.

An upload takes up to seconds on a controller with thousands of tags (pycomm3 #286), so the writer
never makes one itself: the contract check does, in a process of its own, and `taktgate plc check`.
"""

import logging
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from pycomm3 import CIPDriver, LogixDriver, ResponseError

from taktgate.plc.contract.tag_check import Definitions
from taktgate.plc.errors import (
    ContractChangedError,
    ForeignControllerError,
    LinkDeadError,
    LinkError,
    LinkRefusedError,
)
from taktgate.plc.link.safe_socket import SafeSocket

log = logging.getLogger(__name__)
T = TypeVar("T")

NAMESPACE: Final = "VIS01_"
CONNECT_TIMEOUT_S: Final = 0.5
EXCHANGE_TIMEOUT_S: Final = 0.5
"""Uploading tag definitions is slower than reading a tag."""
LIMIT_S: Final = 10.0
"""A controller with thousands of tags needs seconds; one that never stops answering gets these."""

_PLC: Final = "Programmable Logic Controller"
_MICRO800: Final = "2080"
_TABLE_CLASS: Final = 0xAC
_TABLE_ATTRIBUTES: Final = (1, 2, 3, 4, 10)
_GET_ATTRIBUTE_LIST: Final = 0x03


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The controller's identity object (class 0x01), and the name of its program (class 0x64)."""

    vendor: str
    product_type: str
    product_name: str
    major: int
    minor: int
    serial: int
    program: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One upload. *definitions* has the tags of our prefix only, at controller scope."""

    identity: Identity
    keyswitch: str
    """As pycomm3 reads it from the status word: `RUN`, `REMOTE PROG`, ..., or `UNKNOWN`."""
    connection_size: int
    """Bytes of the class 3 connection: 4000, or 500 where the large forward open was refused."""
    table_version: bytes
    """Class 0xAC, attributes 1, 2, 3, 4 and 10, as they came; empty where it was refused."""
    definitions: Definitions

    @property
    def handles(self) -> Mapping[str, int]:
        """Return the structure handle of each uploaded type, by its name."""
        types = (tag["data_type"] for tag in self.definitions.values())
        return {
            kind["name"]: kind["template"]["structure_handle"]
            for kind in types
            if isinstance(kind, Mapping)
        }


def upload(
    address: str, connection: socket.socket | None = None, limit_s: float = LIMIT_S
) -> Upload:
    """Return what the controller at *address* says, within *limit_s* seconds.

    Args:
        address: `host`, `host:port`, `host/slot`, as pycomm3 takes it.
        connection: Taken over instead of connecting, when given.
        limit_s: For all of it; each exchange has its own, shorter limit.

    Raises:
        LinkRefusedError: nobody answers there, it is no controller, or it refused.
        LinkDeadError: no answer that can be trusted came in time.
        ContractChangedError: the tags were changed while they were uploaded.
    """
    with ControllerReader(address, connection, limit_s=limit_s) as reader:
        return reader.upload


class ControllerReader:
    """A session that can only read: it has no way to write a tag."""

    def __init__(
        self, address: str, connection: socket.socket | None = None, *, limit_s: float = LIMIT_S
    ) -> None:
        """Connect, and upload what the controller says (see `upload`)."""
        # pycomm3 logs every failure with a traceback; we raise instead.
        logging.getLogger("pycomm3").setLevel(logging.CRITICAL)
        self._address = address
        self._socket = SafeSocket(
            connect_timeout_s=min(CONNECT_TIMEOUT_S, limit_s),
            exchange_timeout_s=EXCHANGE_TIMEOUT_S,
            connection=connection,
        )
        self._socket.expires_s = time.monotonic() + limit_s
        try:
            self._driver = self._new_driver()
        except Exception as error:
            self._socket.abort("no address")
            raise LinkRefusedError(f"{address}: {error}") from error
        self._driver._sock = self._socket  # type: ignore[assignment]  # same methods, see SafeSocket
        self._identify()
        self.upload = self._upload()
        self._socket.expires_s = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, paths: Sequence[str]) -> list[Any]:
        """Return the values of *paths*, at least two: in as few exchanges as hold them.

        A structure is a mapping of its members; `Name{8}` is a list of eight elements.

        Raises:
            LinkDeadError: a tag was refused, or no answer that can be trusted came in time.
        """
        # Instance ids change with a download and would then read other tags, silently.
        self._driver._cfg["use_instance_ids"] = False
        tags: Any = self._call("read", lambda: self._driver.read(*paths))
        for tag in tags:
            if tag.error is not None:
                raise LinkDeadError(f"tag {tag.tag}: {tag.error}")
        return [tag.value for tag in tags]

    def close(self) -> None:
        """Give the controller its connection back; when it does not answer, it keeps it."""
        try:
            self._driver.close()  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 - pycomm3 raises anything; we leave anyway
            log.info("the controller did not confirm the close", extra={"error": str(error)})
        self._socket.abort("closed")

    def _new_driver(self) -> LogixDriver:
        return LogixDriver(self._address, init_program_tags=False, tag_namespace_filter=NAMESPACE)

    def _identify(self) -> None:
        """Find out who answers, before anything is asked that only a controller understands."""
        driver = self._driver
        if not self._call("session", self._register):
            raise self._refused("refused the session")
        listed = self._call("list identity", driver._list_identity) or {}
        name = str(listed.get("product_name", ""))
        if name.startswith(_MICRO800):
            raise self._foreign(f"is a Micro800 ({name}): it takes no packet of several tags")
        info = self._call("identity of the controller in that slot", driver.get_plc_info)
        if info["product_type"] != _PLC:
            raise self._foreign(f"is no PLC but a {info['product_type']} ({info['product_name']})")

    def _upload(self) -> Upload:
        driver = self._driver
        self._call("program name", self._initialise)
        before = self._table_version()
        self._call("tags", lambda: driver.get_tag_list(tag_namespace_filter=NAMESPACE))
        if self._table_version() != before:
            self.close()
            raise ContractChangedError("class 0xAC")
        return self._call("upload", lambda: _understood(driver, before))

    def _register(self) -> bool:
        """Open as pycomm3 does, without asking for what only a controller has."""
        return bool(CIPDriver.open(self._driver))  # type: ignore[no-untyped-call]

    def _initialise(self) -> None:
        self._driver._initialize_driver(init_tags=False, init_program_tags=False)  # type: ignore[no-untyped-call]

    def _table_version(self) -> bytes:
        attributes = struct.pack(
            f"<{len(_TABLE_ATTRIBUTES) + 1}H", len(_TABLE_ATTRIBUTES), *_TABLE_ATTRIBUTES
        )
        answer = self._call(
            "table version",
            lambda: self._driver.generic_message(
                service=_GET_ATTRIBUTE_LIST,
                class_code=_TABLE_CLASS,
                instance=1,
                request_data=attributes,
            ),
        )
        return b"" if answer.error is not None else bytes(answer.value)

    def _call(self, what: str, exchange: Callable[[], T]) -> T:
        """Return the result of *exchange*; whatever it raises ends this session."""
        try:
            return exchange()
        except Exception as error:
            cause = _translated(f"{self._address}: {what}", error)
            # Where the controller answered, it can be left in good order.
            (self.close if isinstance(cause, LinkRefusedError) else self._abort)()
            raise cause from error

    def _abort(self) -> None:
        self._socket.abort("no answer that can be trusted")

    def _foreign(self, why: str) -> ForeignControllerError:
        self.close()
        return ForeignControllerError(f"{self._address}: {why}")

    def _refused(self, why: str) -> LinkRefusedError:
        self.close()
        return LinkRefusedError(f"{self._address}: {why}")


def _translated(what: str, error: Exception) -> LinkError:
    """Return our error for pycomm3's *error*: the deepest cause says what happened."""
    cause: BaseException = error
    while cause.__cause__ is not None and not isinstance(cause, LinkError):
        cause = cause.__cause__
    if isinstance(cause, LinkDeadError):
        return LinkDeadError(f"{what}: {cause}")
    if isinstance(cause, LinkError):
        return cause
    if isinstance(cause, ResponseError):
        return LinkRefusedError(f"{what}: {cause}")
    return LinkDeadError(f"{what}: {type(cause).__name__}: {cause}")


def _understood(driver: LogixDriver, table_version: bytes) -> Upload:
    info: dict[str, Any] = driver.info
    identity = Identity(
        vendor=str(info["vendor"]),
        product_type=str(info["product_type"]),
        product_name=str(info["product_name"]),
        major=int(info["revision"]["major"]),
        minor=int(info["revision"]["minor"]),
        serial=int(info["serial"], 16),
        program=str(info.get("name", "")),
    )
    return Upload(
        identity=identity,
        keyswitch=str(info["keyswitch"]),
        connection_size=driver.connection_size,
        table_version=table_version,
        definitions=dict(driver.tags),
    )
