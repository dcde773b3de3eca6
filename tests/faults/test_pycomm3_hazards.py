"""Each hazard of pycomm3 1.2.16 twice: the library as shipped does wrong, our link does right.

A test of the first kind that fails says that a hazard is cured or has changed: look at what
`plc/link/safe_socket.py` and `plc/link/logix.py` do about it. The names are those of the notes:
F2 to F7.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pycomm3 import CommError, LogixDriver
from tests.faults.relay import HEADER_BYTES, Pieces, Relay, unspoiled
from tests.integration.link_bench import PASSED, STATUS_RECORD, opened

from taktgate.plc.contract.encoding import pack_atomic, unpack
from taktgate.plc.contract.flat_profile import FlatProfile
from taktgate.plc.contract.tags import (
    COMMAND,
    COMMAND_TAG,
    FLAT_TAGS,
    RESULT,
    RESULT_TAG,
    STATUS,
    STATUS_TAG,
    TAGS,
    CipType,
)
from taktgate.plc.errors import LinkDeadError, LinkError
from taktgate.plc.link.safe_socket import SafeSocket
from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.faults import Faults
from taktgate.standin.logix.firmware import Firmware
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.tag_table import Symbol
from taktgate.standin.logix.thread import LogixThread

BACKEND = "pycomm3"
STRICT = Firmware(is_strict=True)
TIMEOUT_S = 0.4
SLACK_S = 2.0
"""What a busy machine may add to a limit."""
BOOT_ID, HEARTBEAT = "VIS01_Sts_BootId", "VIS01_Sts_Heartbeat"
SPINNER = """
import sys
from pycomm3 import LogixDriver
driver = LogixDriver(sys.argv[1])
driver.open()
print("open", flush=True)
sys.stdin.readline()
driver.write(("VIS01_Sts.Heartbeat", 1))
"""


@pytest.fixture
def memory() -> TagMemory:
    return TagMemory(symbols_of(TAGS))


@pytest.fixture
def controller(memory: TagMemory) -> Iterator[LogixThread]:
    with LogixThread(memory) as controller:
        yield controller


@pytest.fixture
def flat_memory() -> TagMemory:
    return TagMemory(symbols_of(FLAT_TAGS))


@pytest.fixture
def flat_controller(flat_memory: TagMemory) -> Iterator[LogixThread]:
    with LogixThread(flat_memory) as controller:
        yield controller


@pytest.fixture
def relay(controller: LogixThread) -> Iterator[Relay]:
    with Relay(controller.host, controller.port) as relay:
        yield relay


@contextmanager
def stock(address: str, *, timeout_s: float = 5.0) -> Iterator[LogixDriver]:
    """Open a driver as shipped, but for its time-out where the test waits for it."""
    driver = LogixDriver(address)
    driver.socket_timeout = timeout_s
    driver.open()  # type: ignore[no-untyped-call]
    connection = driver._sock
    assert connection is not None
    try:
        yield driver
    finally:
        connection.close()  # type: ignore[no-untyped-call]


# -- F2: a reply that comes late is taken for the next one -----------------------------------


def delay_one_reply(relay: Relay) -> Callable[[], None]:
    """Spoil one reply: it leaves when nobody waits for it any more, as what is returned is told."""
    is_given_up, is_sent = threading.Event(), threading.Event()

    def late(reply: bytes) -> Pieces:
        relay.meddle = unspoiled
        is_given_up.wait(30.0)
        try:
            yield reply
        finally:
            is_sent.set()

    def let_it_come() -> None:
        is_given_up.set()
        assert is_sent.wait(30.0)

    relay.meddle = late
    return let_it_come


def test_f2_stock_confirms_a_write_that_was_refused_after_a_late_reply(relay: Relay) -> None:
    with stock(relay.address, timeout_s=TIMEOUT_S) as driver:
        let_it_come = delay_one_reply(relay)
        with pytest.raises(CommError):
            driver.write((STATUS_TAG.name, bytes(STATUS.size)))
        let_it_come()
        refused = driver.write((COMMAND_TAG.name, bytes(COMMAND.size)))
        assert refused.error is None, (
            "VIS01_Cmd is read only: the reply was that of the write before"
        )


def test_f2_our_link_ends_with_the_late_reply(relay: Relay) -> None:
    with opened(BACKEND, relay, reply_timeout_s=TIMEOUT_S) as link:
        let_it_come = delay_one_reply(relay)
        with pytest.raises(LinkDeadError, match="deadline"):
            link.write([PASSED], STATUS_RECORD)
        let_it_come()
        with pytest.raises(LinkDeadError, match="no session"):
            link.read(echo=True)


# -- F3: a reply that is cut off makes the call spin for ever --------------------------------


def cpu_s(process: "subprocess.Popen[str]") -> float:
    """Return the processor time that *process* has used, seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_f3_stock_never_returns_from_a_reply_that_is_cut_off(controller: LogixThread) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SPINNER, controller.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            controller.apply(Faults(cut_after_bytes=30))
            before_s = cpu_s(process)
            process.stdin.write("go\n")
            process.stdin.flush()
            limit_s = time.monotonic() + 30.0
            while process.poll() is None and time.monotonic() < limit_s:
                if cpu_s(process) - before_s > 0.5:
                    break
                time.sleep(0.05)
            assert process.poll() is None, "it came back"
            assert cpu_s(process) - before_s > 0.5, "it waits, but does not spin"
        finally:
            process.kill()


@pytest.mark.parametrize("sent_bytes", [0, 1, 23, 24, 30, 47])
def test_f3_our_link_ends_at_once_with_a_reply_that_is_cut_off(
    controller: LogixThread, sent_bytes: int
) -> None:
    with opened(BACKEND, controller, reply_timeout_s=10.0) as link:
        controller.apply(Faults(cut_after_bytes=sent_bytes))
        began_s = time.monotonic()
        with pytest.raises(LinkDeadError, match="cut off"):
            link.write([PASSED], STATUS_RECORD)
        assert time.monotonic() - began_s < 5.0


# -- F4: the time-out bounds one recv, not the exchange --------------------------------------


def dripped(reply: bytes) -> Pieces:
    """Spoil a reply: its header at once, then byte by byte, each well inside the time-out."""
    yield reply[:HEADER_BYTES]
    for byte in reply[HEADER_BYTES:]:
        yield TIMEOUT_S / 4
        yield bytes((byte,))


def test_f4_stock_waits_many_time_outs_for_a_dripped_reply(relay: Relay) -> None:
    with stock(relay.address, timeout_s=TIMEOUT_S) as driver:
        relay.meddle = dripped
        began_s = time.monotonic()
        with suppress(CommError):
            driver.write((f"{STATUS_TAG.name}.Heartbeat", 1))
        assert time.monotonic() - began_s > 4 * TIMEOUT_S


def test_f4_our_link_ends_at_the_deadline_of_the_exchange(relay: Relay) -> None:
    with opened(BACKEND, relay, reply_timeout_s=TIMEOUT_S) as link:
        relay.meddle = dripped
        began_s = time.monotonic()
        with pytest.raises(LinkDeadError, match="deadline"):
            link.write([PASSED], STATUS_RECORD)
        assert TIMEOUT_S <= time.monotonic() - began_s < TIMEOUT_S + SLACK_S


# -- F5: a single write carries its body twice -----------------------------------------------


def test_f5_stock_cannot_write_one_tag_to_a_strict_controller(memory: TagMemory) -> None:
    with LogixThread(memory, firmware=STRICT) as strict, stock(strict.address) as driver:
        assert driver.write((f"{STATUS_TAG.name}.Heartbeat", 7)).error is not None
        assert memory.load(STATUS_TAG.name, "Heartbeat") == 0


def test_f5_stock_writes_one_tag_to_a_strict_controller_through_our_socket(
    memory: TagMemory,
) -> None:
    with LogixThread(memory, firmware=STRICT) as strict:
        driver = LogixDriver(strict.address)
        safe = SafeSocket(connect_timeout_s=2.0, exchange_timeout_s=2.0)
        driver._sock = safe  # type: ignore[assignment]  # same methods
        driver.open()  # type: ignore[no-untyped-call]
        assert driver.write((f"{STATUS_TAG.name}.Heartbeat", 7)).error is None
        assert memory.load(STATUS_TAG.name, "Heartbeat") == 7
        safe.abort("test is over")


def test_f5_our_link_writes_to_a_strict_controller(memory: TagMemory) -> None:
    with LogixThread(memory, firmware=STRICT) as strict, opened(BACKEND, strict) as link:
        link.write([], STATUS_RECORD)
        assert memory.load(STATUS_TAG.name, "Heartbeat") == STATUS_RECORD.heartbeat


# -- F6: an instance id belongs to another tag after a download ------------------------------


def test_f6_stock_writes_to_another_tag_after_a_download(
    flat_controller: LogixThread, flat_memory: TagMemory
) -> None:
    with stock(flat_controller.address) as driver:
        flat_controller.download(Download(change=Change.ADD))
        assert driver.write((BOOT_ID, 4711)).error is None
    assert number_in(flat_memory, BOOT_ID) == 0
    assert number_in(flat_memory, HEARTBEAT) == 4711


def test_f6_our_link_writes_to_the_same_tag_after_a_download(
    flat_controller: LogixThread, flat_memory: TagMemory
) -> None:
    with opened(BACKEND, flat_controller, profile=FlatProfile()) as link:
        flat_controller.download(Download(change=Change.ADD))
        link.write([], STATUS_RECORD)
    assert number_in(flat_memory, BOOT_ID) == STATUS_RECORD.boot_id
    assert number_in(flat_memory, HEARTBEAT) == STATUS_RECORD.heartbeat


def number_in(memory: TagMemory, tag: str) -> int:
    return int.from_bytes(memory.element(tag), "little", signed=True)


# -- F7: threads get each other's replies ----------------------------------------------------


def at_once(*works: Callable[[], None]) -> None:
    """Run *works*, each in a thread of its own, as interleaved as this interpreter does it."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30.0)
            assert not thread.is_alive()
    finally:
        sys.setswitchinterval(interval_s)


def test_f7_stock_gives_two_threads_each_others_values(
    flat_controller: LogixThread, flat_memory: TagMemory
) -> None:
    flat_memory.bytes_of(known(flat_memory, BOOT_ID))[:] = pack_atomic(CipType.DINT, 1)
    flat_memory.bytes_of(known(flat_memory, HEARTBEAT))[:] = pack_atomic(CipType.DINT, 2)
    wrong: list[object] = []
    limit_s = time.monotonic() + 60.0

    def read(driver: LogixDriver, tag: str, value: int) -> None:
        with suppress(Exception):
            for _ in range(500):
                found = driver.read(tag)
                if found.error is None and found.value != value:
                    wrong.append(found)
                    return

    while not wrong and time.monotonic() < limit_s:
        # Who has lost its reply to the other waits for it, to no purpose: not for long.
        with stock(flat_controller.address, timeout_s=TIMEOUT_S) as driver:
            at_once(
                lambda driver=driver: read(driver, BOOT_ID, 1),  # type: ignore[misc]
                lambda driver=driver: read(driver, HEARTBEAT, 2),  # type: ignore[misc]
            )
    assert wrong


def known(memory: TagMemory, tag: str) -> Symbol:
    symbol = memory.symbol(tag)
    assert symbol is not None
    return symbol


def test_f7_our_link_stops_two_threads_with_an_error_and_gives_no_wrong_value(
    controller: LogixThread, memory: TagMemory
) -> None:
    memory.store(COMMAND_TAG.name, "TriggerId", 4714)
    memory.store(STATUS_TAG.name, "BootId", 77)
    errors: list[LinkError] = []
    wrong: list[object] = []
    reads = 0

    def read(*, echo: bool) -> None:
        nonlocal reads
        try:
            while len(errors) == 0:
                reading = link.read(echo=echo)
                reads += 1
                is_right = reading.command.trigger_id == 4714
                if echo:
                    is_right = reading.echo is not None and reading.echo.boot_id == 77
                if not is_right:
                    wrong.append(reading)
        except LinkError as error:
            errors.append(error)

    for _ in range(5):
        errors.clear()
        with opened(BACKEND, controller) as link:
            at_once(lambda: read(echo=False), lambda: read(echo=True))
        assert errors
    assert not wrong


# -- what a Tag says: errors per tag, and values of another type -----------------------------


def test_stock_takes_any_text_for_a_true_bool(flat_controller: LogixThread) -> None:
    with stock(flat_controller.address) as driver:
        assert driver.write(("VIS01_Sts_Online", "Hello")).error is None
        assert driver.read("VIS01_Sts_Online").value is True


def test_our_link_writes_a_bool_as_one_bit_and_nothing_else(
    controller: LogixThread, memory: TagMemory
) -> None:
    with opened(BACKEND, controller) as link:
        link.write([PASSED], STATUS_RECORD)
    result = memory.element(RESULT_TAG.name, PASSED.trigger_id & 7)
    assert result[32:36] == bytes((0b0011, 0, 0, 0))
    assert unpack(RESULT, result)["Reject"] is False


def test_stock_tells_of_a_refused_tag_only_in_that_tag(controller: LogixThread) -> None:
    with stock(controller.address) as driver:
        writes = [
            (f"{STATUS_TAG.name}.Heartbeat", 7),
            (COMMAND_TAG.name, bytes(COMMAND.size)),
            (f"{STATUS_TAG.name}.LastSeq", 8),
        ]
        errors = [tag.error for tag in driver.write(*writes)]
    assert [error is None for error in errors] == [True, False, True]


def test_our_link_counts_the_whole_write_as_failed_when_one_tag_is_refused(
    controller: LogixThread, memory: TagMemory
) -> None:
    with opened(BACKEND, controller) as link:
        controller.download(Download(change=Change.ACCESS, tag=STATUS_TAG.name))
        with pytest.raises(LinkDeadError, match=STATUS_TAG.name):
            link.write([PASSED], STATUS_RECORD)
        with pytest.raises(LinkDeadError, match="no session"):
            link.write([PASSED], STATUS_RECORD)


def test_stock_reads_a_tag_of_another_type_as_if_it_were_the_old_one(
    flat_controller: LogixThread, flat_memory: TagMemory
) -> None:
    with stock(flat_controller.address) as driver:
        flat_controller.download(Download(change=Change.RETYPE, tag=BOOT_ID))
        flat_memory.bytes_of(known(flat_memory, BOOT_ID))[:] = pack_atomic(CipType.REAL, 1.0)
        found = driver.read(BOOT_ID)
    assert (found.error, found.type, found.value) == (None, "DINT", 0x3F80_0000)


def test_our_link_reads_no_tag_of_another_type(
    flat_controller: LogixThread, flat_memory: TagMemory
) -> None:
    with opened(BACKEND, flat_controller, profile=FlatProfile()) as link:
        flat_controller.download(Download(change=Change.RETYPE, tag=BOOT_ID))
        with pytest.raises(LinkDeadError, match=BOOT_ID):
            link.read(echo=True)
