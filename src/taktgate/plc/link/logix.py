"""The controller through pycomm3: the only file that knows that library.

pycomm3 1.2.16 is no longer developed and trusts whatever its socket says; `SafeSocket` is put in
its socket's place before `open`. A driver that raised anything is never used again.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from pycomm3 import LogixDriver

from taktgate.plc.contract.tag_check import check_tags
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.contract.wire import Profile
from taktgate.plc.errors import (
    ContractMismatchError,
    LinkDeadError,
    LinkError,
    LinkRefusedError,
)
from taktgate.plc.link.port import Reading, ResultRecord, StatusRecord
from taktgate.plc.link.safe_socket import SafeSocket

log = logging.getLogger(__name__)
T = TypeVar("T")

CONNECT_TIMEOUT_S: Final = 0.25
_OPEN_EXCHANGE_S: Final = 0.5
"""Uploading tag definitions is slower than reading a tag."""
_OPEN_LIMIT_S: Final = 10.0
"""A controller with thousands of tags needs seconds; one that never stops answering gets these."""
_NAMESPACE: Final = "VIS01_"


class LogixLink:
    """A `TagLink` to a Logix controller, in this process and this thread."""

    def __init__(
        self, address: str, *, reply_timeout_s: float, profile: Profile | None = None
    ) -> None:
        self._address = address
        self._profile = profile or UdtProfile()
        self._reply_timeout_s = reply_timeout_s
        self._driver: LogixDriver | None = None
        self._socket: SafeSocket | None = None
        # pycomm3 logs every failure with a traceback; we raise, and the writer logs once.
        logging.getLogger("pycomm3").setLevel(logging.CRITICAL)

    def open(self) -> None:
        """Open a session and check the tags (see `TagLink.open`).

        Raises:
            LinkRefusedError: the controller cannot be reached or refused the session.
            ContractMismatchError: its tags are not those of the table.
        """
        self.close(abort=True)
        connection = SafeSocket(
            connect_timeout_s=CONNECT_TIMEOUT_S, exchange_timeout_s=_OPEN_EXCHANGE_S
        )
        connection.expires_s = time.monotonic() + _OPEN_LIMIT_S
        try:
            driver = self._call("address", self._new_driver)
            driver._sock = connection  # type: ignore[assignment]  # same methods, see SafeSocket
            self._driver, self._socket = driver, connection
            if not self._call("open", driver.open):
                raise LinkRefusedError(f"{self._address}: the controller refused the session")
            mismatch = self._call("tags", lambda: _mismatch(driver.tags))
            if mismatch is not None:
                raise mismatch
        except LinkDeadError as error:
            raise LinkRefusedError(str(error)) from error
        except LinkError:
            self.close(abort=False)
            raise
        # Instance ids change with a download and would then hit other tags, silently.
        driver._cfg["use_instance_ids"] = False
        connection.exchange_timeout_s = self._reply_timeout_s
        connection.expires_s = None
        log.info("controller identified", extra={"identity": _identity(driver.info)})

    def _new_driver(self) -> LogixDriver:
        return LogixDriver(self._address, init_program_tags=False, tag_namespace_filter=_NAMESPACE)

    def read(self, *, echo: bool) -> Reading:
        """Read the command and, with *echo*, the status (see `TagLink.read`).

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
        """
        driver = self._session()
        paths = [read.path for read in self._profile.reads(echo=echo)]
        tags = self._call("read", lambda: _checked(driver.read(*paths)))
        values = [tag.value for tag in tags]
        return self._call("decode", lambda: self._profile.reading(values, echo=echo))

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        """Write *results* and *status* in one request (see `TagLink.write`).

        Raises:
            LinkDeadError: the outcome is unknown, or a tag was refused.
        """
        driver = self._session()
        values = [(one.path, one.data) for one in self._profile.writes(results, status)]
        self._call("write", lambda: _checked(driver.write(*values)))

    def close(self, *, abort: bool) -> None:
        """End the session, politely unless *abort*; one that is dead already is only dropped."""
        driver, connection = self._driver, self._socket
        self._driver = self._socket = None
        if driver is None or connection is None:
            return
        if not abort:
            self._close_politely(driver)
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

    def _call(self, what: str, exchange: Callable[[], T]) -> T:
        """Return the result of *exchange*; whatever it raises ends this driver."""
        try:
            return exchange()
        except LinkError:
            self.close(abort=True)
            raise
        except Exception as error:
            self.close(abort=True)
            raise _translated(what, error) from error


def _mismatch(definitions: Any) -> ContractMismatchError | None:
    """Return how the controller's tags differ from ours: an answer, after which we close politely.

    Definitions of a shape that nobody foresaw raise something else, and end the driver.
    """
    try:
        check_tags(definitions)
    except ContractMismatchError as error:
        return error
    return None


def _translated(what: str, error: Exception) -> LinkError:
    """Return our error for pycomm3's *error*: the deepest cause says what happened."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
        if isinstance(cause, LinkError):
            return cause
    return LinkDeadError(f"{what}: {type(cause).__name__}: {cause}")


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


def _identity(info: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of pycomm3's *info* that a log line can hold."""
    wanted = ("vendor", "product_type", "product_name", "revision", "serial", "keyswitch", "name")
    return {key: info.get(key) for key in wanted}
