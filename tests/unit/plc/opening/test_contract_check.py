"""The full check: what a session may rely on, or why there is nothing to rely on."""

from dataclasses import replace

import pytest
from tests.refusing_port import refusing_port

from taktgate.contracts.codec import decode, encode
from taktgate.plc.contract.flat_profile import FlatProfile
from taktgate.plc.contract.tags import FLAT_TAGS, TAGS
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.errors import (
    ConnectionTooSmallError,
    ContractMismatchError,
    ForeignControllerError,
)
from taktgate.plc.link.address import parse_address
from taktgate.plc.link.upload import Upload, upload
from taktgate.plc.opening.check_report import CheckReport, Finding
from taktgate.plc.opening.contract_check import check_controller, resolve, verify
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.thread import LogixThread


@pytest.fixture(scope="module")
def uploaded() -> Upload:
    """What the stand-in's tags come to."""
    with LogixThread(TagMemory(symbols_of(TAGS))) as controller:
        return upload(controller.address)


def test_what_is_verified_is_what_the_controller_said(uploaded: Upload) -> None:
    verified = verify("10.0.0.1", UdtProfile(), uploaded)
    assert verified.serial == uploaded.identity.serial
    assert bytes.fromhex(verified.table_version) == uploaded.table_version
    assert set(verified.handles) == {"UDT_VIS_Result", "UDT_VIS_Status", "UDT_VIS_Cmd"}


def test_a_controller_of_another_make_is_foreign(uploaded: Upload) -> None:
    other = replace(uploaded, identity=replace(uploaded.identity, vendor="Somebody Else"))
    with pytest.raises(ForeignControllerError, match="Somebody Else"):
        verify("10.0.0.1", UdtProfile(), other)


def test_tags_of_the_other_profile_are_a_mismatch(uploaded: Upload) -> None:
    with pytest.raises(ContractMismatchError, match="must exist"):
        verify("10.0.0.1", FlatProfile(), uploaded)


def test_connections_that_hold_no_verdict_are_a_mismatch() -> None:
    with LogixThread(TagMemory(symbols_of(FLAT_TAGS))) as controller:
        flat = upload(controller.address)
    assert verify("10.0.0.1", FlatProfile(), flat).handles == {}
    with pytest.raises(ConnectionTooSmallError):
        verify("10.0.0.1", FlatProfile(), replace(flat, connection_size=200))


def test_a_name_is_checked_at_what_it_stands_for() -> None:
    with LogixThread(TagMemory(symbols_of(TAGS))) as controller:
        report = check_controller(f"localhost:{controller.port}", UdtProfile())
    assert (report.finding, report.host) == (Finding.VERIFIED, "127.0.0.1")
    assert report.contract is not None
    assert report.contract.address == f"localhost:{controller.port}"


def test_nobody_at_the_address_is_a_refusal_that_says_where() -> None:
    with refusing_port() as port:
        report = check_controller(f"127.0.0.1:{port}", UdtProfile())
    assert report.finding is Finding.REFUSED
    assert f"127.0.0.1:{port}" in report.words


def test_a_name_that_can_be_none_is_a_refusal() -> None:
    report = check_controller("plc..local", UdtProfile())
    assert report.finding is Finding.REFUSED
    assert "plc..local" in report.words


def test_a_number_is_not_looked_up() -> None:
    assert resolve(parse_address("192.0.2.1")) == "192.0.2.1"


def test_a_report_travels_unchanged(uploaded: Upload) -> None:
    verified = verify("10.0.0.1", UdtProfile(), uploaded)
    report = CheckReport(finding=Finding.VERIFIED, host="10.0.0.1", verified=verified)
    assert decode(CheckReport, encode(report)) == report
