"""What a controller says about itself is uploaded whole, or the refusal says who answered."""

import socket
import struct
from collections.abc import Iterator, Mapping

import pytest

from taktgate.plc.contract.tag_check import check_tags
from taktgate.plc.contract.tags import RESULT_SLOTS, TAGS
from taktgate.plc.errors import ContractChangedError, LinkDeadError, LinkRefusedError
from taktgate.plc.link.upload import ControllerReader, upload
from taktgate.standin.logix.faults import Faults
from taktgate.standin.logix.identity import Identity
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.tag_table import TagTable
from taktgate.standin.logix.thread import LogixThread


@pytest.fixture
def controller() -> Iterator[LogixThread]:
    with LogixThread(TagMemory(symbols_of(TAGS))) as controller:
        yield controller


def test_an_upload_holds_identity_marks_and_our_tags(controller: LogixThread) -> None:
    found = upload(controller.address)
    assert found.identity.vendor.startswith("Rockwell")
    assert found.identity.serial == Identity().serial
    assert found.identity.program == Identity().program_name
    assert (found.keyswitch, found.connection_size) == ("REMOTE RUN", 4000)
    assert struct.unpack_from("<H", found.table_version) == (5,)
    assert set(found.handles) == {tag.udt.name for tag in TAGS}
    check_tags(found.definitions)


def test_a_connection_that_is_there_already_is_taken_over(controller: LogixThread) -> None:
    connection = socket.create_connection((controller.host, controller.port), timeout=5)
    assert upload(controller.address, connection).identity.serial == Identity().serial
    assert connection.fileno() == -1


def test_a_reader_reads_whole_tags(controller: LogixThread) -> None:
    with ControllerReader(controller.address) as reader:
        command, results = reader.read(["VIS01_Cmd", f"VIS01_Result{{{RESULT_SLOTS}}}"])
    assert isinstance(command, dict)
    assert command["TriggerId"] == 0
    assert isinstance(results, list)
    assert len(results) == RESULT_SLOTS


def test_a_tag_that_is_not_there_is_named(controller: LogixThread) -> None:
    with (
        ControllerReader(controller.address) as reader,
        pytest.raises(LinkDeadError, match="VIS01_Nothing"),
    ):
        reader.read(["VIS01_Cmd", "VIS01_Nothing"])


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "refused"),
        ("127.0.0.1:many", "Invalid port"),
        ("127.0.0.1/x/y/z", "127.0.0.1/x/y/z"),
        ("nobody.invalid", "nobody.invalid"),
    ],
)
def test_an_address_without_a_controller_is_a_refusal(address: str, words: str) -> None:
    with pytest.raises(LinkRefusedError, match=words):
        upload(address)


def test_a_controller_that_stays_silent_is_given_up_in_time(controller: LogixThread) -> None:
    controller.apply(Faults(is_frozen=True))
    with pytest.raises(LinkDeadError, match="session"):
        upload(controller.address, limit_s=0.3)


def test_a_controller_that_answers_slowly_for_ever_is_given_up_in_time(
    controller: LogixThread,
) -> None:
    """Each reply comes within its own limit; all of them together do not."""
    controller.apply(Faults(delay_ms=150))
    with pytest.raises(LinkDeadError):
        upload(controller.address, limit_s=0.5)


def test_a_server_that_talks_rubbish_is_no_controller() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        connection = socket.create_connection(("127.0.0.1", port), timeout=5)
        peer, _ = listener.accept()
        peer.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
        with pytest.raises(LinkDeadError):
            upload(f"127.0.0.1:{port}", connection)
        peer.close()


class RestlessTable(TagTable):
    """A tag table that is downloaded anew whenever somebody looks at its change marks."""

    looks = 0

    def change_marks(self) -> Mapping[int, bytes]:
        self.looks += 1
        return {**super().change_marks(), 3: self.looks.to_bytes(4, "little")}


def test_a_download_during_the_upload_is_noticed() -> None:
    memory = TagMemory(symbols_of(TAGS))
    memory.table = RestlessTable(memory.symbols)
    with LogixThread(memory) as controller, pytest.raises(ContractChangedError):
        upload(controller.address)
