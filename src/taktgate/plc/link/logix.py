"""The controller through pycomm3: the only file that knows that library.

pycomm3 1.2.16 is no longer developed and trusts whatever its socket says; `SafeSocket` is put in
its socket's place before `open`. A driver that raised anything is never used again.
"""

import logging
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from pycomm3 import BOOL, DINT, REAL, Array, CIPDriver, LogixDriver
from pycomm3.custom_types import StructTag

from taktgate.plc.contract.packet_size import packets_of, verdicts_per_packet
from taktgate.plc.contract.records import Reading, ResultRecord, SlotEcho, StatusRecord
from taktgate.plc.contract.tags import CipType, DataType, Tag
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.contract.verified import VerifiedContract
from taktgate.plc.contract.wire import Profile, TagRead
from taktgate.plc.errors import LinkDeadError, LinkError, LinkRefusedError
from taktgate.plc.link.cip import check_writes, values_in
from taktgate.plc.link.marks import Marks, expect_unchanged, marks_in, marks_message
from taktgate.plc.link.packets import MESSAGE_AT
from taktgate.plc.link.port import Mode
from taktgate.plc.link.safe_socket import SafeSocket

log = logging.getLogger(__name__)
T = TypeVar("T")

_OPEN_EXCHANGES: Final = 4
"""Register, forward open (large, then small), marks: a controller that drips gets no more time."""
_MESSAGE_ROUTER: Final = 0x02
_REQUEST_HEAD_BYTES: Final = 6
"""Service, path length and path of a request to the message router: pycomm3 writes its own."""
_CIP_TYPES: Final = {CipType.DINT: DINT, CipType.REAL: REAL, CipType.BOOL: BOOL}


class LogixLink:
    """A `TagLink` to a Logix controller, in this process and this thread."""

    def __init__(
        self, address: str, *, reply_timeout_s: float, profile: Profile | None = None
    ) -> None:
        self._address = address
        self._profile = profile or UdtProfile()
        self._reply_timeout_s = reply_timeout_s
        self._most = 1
        """Results in one packet."""
        self._driver: LogixDriver | None = None
        self._socket: SafeSocket | None = None
        self._contract: VerifiedContract | None = None
        # pycomm3 logs every failure with a traceback; we raise, and the writer logs once.
        logging.getLogger("pycomm3").setLevel(logging.CRITICAL)

    def open(self, connection: socket.socket, contract: VerifiedContract) -> None:
        """Register, open a class 3 connection, compare the marks (see `TagLink.open`).

        Raises:
            LinkRefusedError: the controller refused the session or the connection.
            LinkDeadError: no answer that can be trusted came in time.
            ContractChangedError: it is not as it was when *contract* was verified.
            ConnectionTooSmallError: what the controller grants holds no verdict.
        """
        self.close(abort=True)
        self._socket = SafeSocket(
            connect_timeout_s=self._reply_timeout_s,
            exchange_timeout_s=self._reply_timeout_s,
            connection=connection,
        )
        self._socket.expires_s = time.monotonic() + _OPEN_EXCHANGES * self._reply_timeout_s
        driver = self._call("address", lambda: LogixDriver(self._address, init_tags=False))
        driver._sock = self._socket  # type: ignore[assignment]  # same methods, see SafeSocket
        self._driver, self._contract = driver, contract
        # Not LogixDriver.open: it asks for five things more that the marks say in one exchange.
        self._demand("session", lambda: CIPDriver.open(driver))  # type: ignore[no-untyped-call]
        self._demand("connection", lambda: _forward_open(driver))
        self.recheck()
        self._most = self._size(driver)
        driver._tags = self._call("contract", lambda: _definitions(self._profile, contract))
        # Instance ids change with a download and would then hit other tags, silently.
        driver._cfg["use_instance_ids"] = False
        self._socket.expires_s = None

    def recheck(self) -> Mode:
        """Compare the controller's marks with the contract's (see `TagLink.recheck`).

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
            ContractChangedError: the controller has changed.
        """
        driver, contract = self._session(), self._contract
        assert contract is not None
        marks = self._call("marks", lambda: self._marks(driver))
        try:
            expect_unchanged(contract, marks)
        except LinkError:
            self.close(abort=False)
            raise
        return marks.mode

    def _size(self, driver: LogixDriver) -> int:
        """Return how many results one packet holds.

        Raises:
            ConnectionTooSmallError: not even one.
        """
        try:
            return verdicts_per_packet(self._profile, driver.connection_size)
        except LinkError:
            self.close(abort=False)
            raise

    def _marks(self, driver: LogixDriver) -> Marks:
        message = marks_message(self._profile)
        answer = driver.generic_message(
            service=message[0],
            class_code=_MESSAGE_ROUTER,
            instance=1,
            request_data=message[_REQUEST_HEAD_BYTES:],
            return_response_packet=True,
        )
        packet: Any = answer.value
        return marks_in(packet.raw[MESSAGE_AT:], self._profile)

    def read(self, *, echo: bool) -> Reading:
        """Read the command and, with *echo*, the status (see `TagLink.read`).

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
        """
        values = self._values(self._profile.reads(echo=echo))
        return self._call("decode", lambda: self._profile.reading(values, echo=echo))

    def _values(self, reads: Sequence[TagRead]) -> list[Any]:
        driver = self._session()
        tags = self._call("read", lambda: _checked(driver.read(*(read.path for read in reads))))
        self._call("read", lambda: self._check_types(reads))
        return [tag.value for tag in tags]

    def _check_writes(self, paths: Sequence[str]) -> None:
        """Accept the last reply when it confirms each write; pycomm3 lets much else pass."""
        assert self._socket is not None
        check_writes(self._socket.reply[MESSAGE_AT:], paths)

    def _check_types(self, reads: Sequence[TagRead]) -> None:
        """Accept the last reply when its values are of the types of *reads*.

        pycomm3 never looks: it decodes whatever comes as what it knows the tag to be.
        """
        assert self._socket is not None
        assert self._contract is not None
        values_in(self._socket.reply[MESSAGE_AT:], reads, self._contract.handles)

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        """Write *results* and *status* (see `TagLink.write`); no verdict is split over two packets.

        Raises:
            LinkDeadError: the outcome is unknown, or a tag was refused.
        """
        driver = self._session()
        for some in packets_of(results, self._most):
            values = [(one.path, one.data) for one in self._profile.writes(some, status)]
            self._call("write", partial(_write, driver, values))
            self._call("write", partial(self._check_writes, [path for path, _ in values]))

    def read_back(self, slots: Sequence[int]) -> tuple[SlotEcho, ...]:
        """Read what the result slots hold (see `TagLink.read_back`).

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
        """
        echoes: list[SlotEcho] = []
        for some in packets_of(slots, self._most):
            reads = [read for slot in some for read in self._profile.result_reads(slot)]
            values = self._values(reads)
            echoes += self._call("decode", partial(self._profile.results, values))
        return tuple(echoes)

    def close(self, *, abort: bool) -> None:
        """End the session, politely unless *abort*; one that is dead already is only dropped."""
        driver, connection = self._driver, self._socket
        self._driver = self._socket = self._contract = None
        if driver is not None and not abort:
            self._close_politely(driver)
        if connection is not None:
            connection.abort("closed")

    def _close_politely(self, driver: LogixDriver) -> None:
        """Give the controller its connection back; when it does not answer, it keeps it."""
        try:
            driver.close()  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 - pycomm3 raises anything; we leave anyway
            log.info("the controller did not confirm the close", extra={"error": str(error)})

    def _session(self) -> LogixDriver:
        if self._driver is None:
            raise LinkDeadError("no session is open")
        return self._driver

    def _demand(self, what: str, exchange: Callable[[], Any]) -> None:
        """Have the controller grant *what*. Where it says no it answers: it gets all back."""
        if not self._call(what, exchange):
            self.close(abort=False)
            raise LinkRefusedError(f"{self._address}: the controller refused the {what}")

    def _call(self, what: str, exchange: Callable[[], T]) -> T:
        """Return the result of *exchange*; whatever it raises ends this driver."""
        try:
            return exchange()
        except Exception as error:
            self.close(abort=True)
            raise _translated(what, error) from error


def _translated(what: str, error: Exception) -> LinkError:
    """Return our error for pycomm3's *error*: the deepest cause says what happened."""
    cause: BaseException = error
    while cause.__cause__ is not None and not isinstance(cause, LinkError):
        cause = cause.__cause__
    if isinstance(cause, LinkError):
        return cause
    return LinkDeadError(f"{what}: {type(cause).__name__}: {cause}")


def _write(driver: LogixDriver, values: Sequence[tuple[str, bytes]]) -> None:
    _checked(driver.write(*values))


def _checked(tags: Any) -> list[Any]:
    """Return *tags* as a list when the controller accepted every single one.

    Raises:
        LinkDeadError: a tag carries an error; the others may have been written.
    """
    found = tags if isinstance(tags, list) else [tags]
    for tag in found:
        if tag.error is not None:
            raise LinkDeadError(f"tag {tag.tag}: {tag.error}")
    return found


def _forward_open(driver: LogixDriver) -> bool:
    """Open a connection of 4000 bytes, else one of 500: what pycomm3 does at its first message."""
    if driver._forward_open():  # type: ignore[no-untyped-call]
        return True
    driver._cfg.update({"extended forward open": False, "connection_size": 500})
    return bool(driver._forward_open())  # type: ignore[no-untyped-call]


def _definitions(profile: Profile, contract: VerifiedContract) -> dict[str, Any]:
    """Return what an upload would, from our own table and the handles that the check found."""
    return {tag.name: _definition(tag, contract) for tag in profile.tags}


def _definition(tag: Tag, contract: VerifiedContract) -> dict[str, Any]:
    """Return *tag* in the shape in which pycomm3 keeps an uploaded definition."""
    definition = _type_definition(tag.type, contract)
    if tag.dimension:
        definition["type_class"] = Array(tag.dimension, definition["type_class"])
    return {
        **definition,
        "tag_name": tag.name,
        "dim": int(tag.dimension > 0),
        "dimensions": [tag.dimension, 0, 0],
        "instance_id": None,
    }


def _type_definition(kind: DataType, contract: VerifiedContract) -> dict[str, Any]:
    if isinstance(kind, CipType):
        return {
            "tag_type": "atomic",
            "data_type": kind.value,
            "data_type_name": kind.value,
            "type_class": _CIP_TYPES[kind],
        }
    members = {member.name: member for member in kind.members}
    structure = StructTag(
        *(
            (_CIP_TYPES[one.type](name), one.offset)
            for name, one in members.items()
            if one.bit is None
        ),
        bit_members={
            name: (one.offset, one.bit) for name, one in members.items() if one.bit is not None
        },
        private_members=set(),
        struct_size=kind.size,
    )
    data_type = {
        "name": kind.name,
        "attributes": list(members),
        "internal_tags": {
            name: _type_definition(one.type, contract) for name, one in members.items()
        },
        "template": {
            "structure_size": kind.size,
            "structure_handle": contract.handles[kind.name],
        },
    }
    return {
        "tag_type": "struct",
        "data_type": data_type,
        "data_type_name": kind.name,
        "type_class": structure,
    }
