"""The clients that are compared: each writes results and the status as its users would."""

import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import ciplink
from benches.plc_bench.raw import RawClient
from pycomm3 import LogixDriver
from pylogix import PLC

from taktgate.plc.contract.encoding import encode_result, encode_status, unpack
from taktgate.plc.contract.records import BLANK_STATUS, ResultRecord, StatusRecord
from taktgate.plc.contract.tags import RESULT, RESULT_TAG, STATUS, STATUS_TAG, WriterState, slot_of
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.link.cached_link import CachedLink
from taktgate.plc.link.logix import LogixLink
from taktgate.plc.link.port import TagLink
from taktgate.plc.opening.contract_check import check_controller

REPLY_TIMEOUT_S: Final = 5.0


class ClientError(Exception):
    """A client says that its write failed, or wrote something else."""


class Client(Protocol):
    """One client with an open session."""

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        """Write and wait for the answer."""

    def close(self) -> None:
        """End the session."""


class Raw:
    """The cached packet of our own request, with nothing around it."""

    def __init__(self, host: str, port: int) -> None:
        self._client = RawClient(host, port)
        self._prepared: tuple[int, ...] = ()

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        """Send the packet that was built for as many results, whatever they say now."""
        slots = tuple(slot_of(record.trigger_id) for record in results)
        if slots != self._prepared:
            self._client.prepare(UdtProfile().writes(results, status))
            self._prepared = slots
        self._client.exchange()

    def sizes(self) -> tuple[int, int]:
        """Return the bytes of the last request and of its reply."""
        return self._client.request_bytes, self._client.reply_bytes

    def close(self) -> None:
        """Drop the session."""
        self._client.close()


class Link:
    """One of our own backends."""

    def __init__(self, link: TagLink) -> None:
        self._link = link

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        """Write as the writer does."""
        self._link.write(results, status)

    def close(self) -> None:
        """End the session politely."""
        self._link.close(abort=False)


class Driver:
    """A LogixDriver as shipped (pycomm3, and ciplink, which kept its interface)."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        if not driver.open():
            raise ClientError("the driver did not open")

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        """Write one dictionary for each record."""
        values = [(path_of(record), members_of(record)) for record in results]
        values.append((STATUS_TAG.name, unpack(STATUS, encode_status(status))))
        for tag in self._driver.write(*values):
            if tag.error is not None:
                raise ClientError(f"{tag.tag}: {tag.error}")

    def close(self) -> None:
        """End the session."""
        self._driver.close()


class Pylogix:
    """pylogix as shipped: it has no structures, so each member is a tag."""

    def __init__(self, host: str, port: int) -> None:
        self._plc = PLC(host, port=port, timeout=REPLY_TIMEOUT_S)
        # pylogix never closes the socket that it keeps for incoming messages.
        self._plc.conn.msg_socket.close()

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        """Write all members in as few requests as the library makes of them."""
        values = [
            (f"{path_of(record)}.{name}", value)
            for record in results
            for name, value in members_of(record).items()
        ]
        members = unpack(STATUS, encode_status(status))
        values += [(f"{STATUS_TAG.name}.{name}", value) for name, value in members.items()]
        for answer in self._plc.Write(values):
            if answer.Status != "Success":
                raise ClientError(f"{answer.TagName}: {answer.Status}")

    def close(self) -> None:
        """End the session."""
        self._plc.Close()


def path_of(record: ResultRecord) -> str:
    """Return the tag of *record*'s slot."""
    return f"{RESULT_TAG.name}[{slot_of(record.trigger_id)}]"


def members_of(record: ResultRecord) -> Mapping[str, Any]:
    """Return *record* as members by name."""
    return unpack(RESULT, encode_result(record))


def _backend(kind: type[LogixLink | CachedLink], host: str, port: int) -> Client:
    """Return one of our backends, after the full check that the writer has made elsewhere."""
    address = f"{host}:{port}"
    link = kind(address, reply_timeout_s=REPLY_TIMEOUT_S, profile=UdtProfile())
    contract = check_controller(address, UdtProfile()).contract
    if contract is None:
        raise ClientError(f"{address}: its tags are not those of the contract")
    link.open(socket.create_connection((host, port)), contract)
    return Link(link)


OPENERS: Final[Mapping[str, Callable[[str, int], Client]]] = {
    "raw packet": Raw,
    "cached backend": lambda host, port: _backend(CachedLink, host, port),
    "pycomm3 backend": lambda host, port: _backend(LogixLink, host, port),
    "pycomm3 as shipped": lambda host, port: Driver(LogixDriver(f"{host}:{port}")),
    "ciplink": lambda host, port: Driver(ciplink.LogixDriver(f"{host}:{port}")),
    "pylogix": Pylogix,
}
"""By name, in the order of the table. The echo is no client of a controller: see `measuring`."""


def records(number: int, results: int) -> tuple[list[ResultRecord], StatusRecord]:
    """Return what the write with this *number* carries: *results* results and the status."""
    made = [
        ResultRecord(
            sequence=number + offset + 1,
            trigger_id=offset,
            decision=1,
            error_code=0,
            score=0.25,
            age_ms=42,
            model_rev=7,
        )
        for offset in range(results)
    ]
    status = replace(
        BLANK_STATUS,
        heartbeat=number + 1,
        boot_id=77,
        state=WriterState.RUN,
        last_seq=number + results,
        last_trigger_id=results,
        cnt_pass=number,
        online=True,
        ready=True,
    )
    return made, status


def quiet() -> None:
    """Have the drivers log nothing: they format a line for each packet otherwise."""
    for name in ("pycomm3", "ciplink"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
