"""A controller that goes, comes back, or comes back as another: the real writer over real TCP.

The design's figures are proven under a clock of our own (`tests/unit/plc/writer/test_opening`) and
measured by `scripts/bench plc`; here the limits leave room for a loaded machine.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from tests.integration.ladder_controller import LadderController
from tests.integration.writer_here import WriterHere

from taktgate.plc.contract.tags import COMMAND_TAG, RESULT_TAG, STATUS_TAG, StatusError, WriterState
from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.faults import HEALTHY, Faults
from taktgate.standin.logix.identity import Mode

NOTICED_S = 4.0
BACK_S = 5.0
SETTLED = 10
LOSSES = 60


@pytest.fixture
def controller() -> Iterator[LadderController]:
    with LadderController() as controller:
        yield controller


@pytest.fixture
def writer(controller: LadderController) -> Iterator[WriterHere]:
    with WriterHere(controller.address) as writer:
        writer.until_ready()
        yield writer


def expect_writing_again(writer: WriterHere, controller: LadderController) -> None:
    """Expect a new heartbeat at the controller soon."""
    started_s, before = time.monotonic(), controller.status()["Heartbeat"]
    writer.until(lambda _: controller.status()["Heartbeat"] != before)
    assert time.monotonic() - started_s < BACK_S


@pytest.mark.parametrize(
    "faults",
    [Faults(is_frozen=True), Faults(is_blackhole=True), Faults(is_cut=True)],
    ids=["frozen", "blackhole", "cut"],
)
def test_a_controller_that_is_away_is_noticed_and_written_to_again_without_another_check(
    writer: WriterHere, controller: LadderController, faults: Faults
) -> None:
    controller.server.apply(faults)
    started_s = time.monotonic()
    writer.until(lambda status: status.losses >= 1)
    assert time.monotonic() - started_s < NOTICED_S
    writer.turn_for(0.3)
    controller.server.apply(HEALTHY)
    expect_writing_again(writer, controller)
    writer.until_ready()
    assert writer.status().contract_checks == 1
    assert writer.status().last_loss


@pytest.mark.parametrize(
    "end",
    [
        lambda server: server.reset(),
        lambda server: server.forget(),
        lambda server: server.forget(sessions=False),
    ],
    ids=["reset", "forgotten session", "forgotten connection"],
)
def test_a_session_that_the_controller_ends_is_opened_again(
    writer: WriterHere, controller: LadderController, end: Callable[[object], None]
) -> None:
    end(controller.server)
    writer.until(lambda status: status.losses >= 1)
    expect_writing_again(writer, controller)
    assert writer.status().contract_checks == 1


def test_a_controller_without_a_free_connection_is_named_and_asked_again(
    writer: WriterHere, controller: LadderController
) -> None:
    controller.server.apply(Faults(is_refusing_sessions=True))
    controller.server.reset()
    writer.until(lambda status: "refused" in status.error)
    controller.server.apply(HEALTHY)
    expect_writing_again(writer, controller)


@pytest.mark.parametrize("change", [Change.NONE, Change.RENUMBER, Change.ADD])
def test_a_download_that_leaves_our_tags_is_checked_and_written_to(
    writer: WriterHere, controller: LadderController, change: Change
) -> None:
    controller.server.download(Download(change=change))
    controller.server.reset()
    writer.until(lambda status: status.contract_checks >= 2)
    expect_writing_again(writer, controller)


def test_a_download_within_a_session_is_noticed_by_the_next_recheck(
    writer: WriterHere, controller: LadderController
) -> None:
    controller.server.download(Download(change=Change.NONE))
    writer.leap(5)
    writer.until(lambda status: status.losses >= 1)
    assert "0xAC" in writer.status().last_loss
    expect_writing_again(writer, controller)


@pytest.mark.parametrize(
    ("download", "words"),
    [
        (Download(change=Change.RETYPE, tag=RESULT_TAG.name, member="TriggerId"), "TriggerId"),
        (Download(change=Change.DELETE, tag=COMMAND_TAG.name), "VIS01_Cmd: must exist"),
        (Download(change=Change.ACCESS, tag=STATUS_TAG.name), "external access"),
        (Download(change=Change.RESHAPE, tag=RESULT_TAG.name), "UDT_VIS_Result must have 44 bytes"),
    ],
    ids=["retyped", "deleted", "no access", "reshaped"],
)
def test_a_download_that_takes_our_tags_is_a_fault_and_nothing_is_written(
    writer: WriterHere, controller: LadderController, download: Download, words: str
) -> None:
    controller.is_scanning = False
    controller.server.download(download)
    controller.server.reset()
    writer.until(lambda status: status.state == "fault")
    written = controller.server.newest_writes(1)
    assert words in writer.status().error
    assert writer.status().error_code == StatusError.TAGS
    writer.turn_for(0.3)
    assert controller.server.newest_writes(1) == written


def test_a_controller_with_other_tags_is_never_written_to() -> None:
    tags = (replace(RESULT_TAG, dimension=4), STATUS_TAG, COMMAND_TAG)
    with LadderController(tags) as controller, WriterHere(controller.address) as writer:
        writer.until(lambda status: status.state == "fault")
        writer.turn_for(0.3)
        assert "dimension 8" in writer.status().error
        assert not controller.server.newest_writes(1)


def test_program_mode_is_degraded_and_not_ready(
    writer: WriterHere, controller: LadderController
) -> None:
    controller.server.set_mode(Mode.REMOTE_PROGRAM)
    controller.is_scanning = False
    writer.until(lambda _: controller.status()["ErrorCode"] == StatusError.PLC_PROGRAM)
    assert controller.status()["State"] == WriterState.DEGRADED
    assert controller.status()["Ready"] is False
    controller.server.set_mode(Mode.REMOTE_RUN)
    controller.is_scanning = True
    writer.until_ready()


def test_a_power_cycle_of_the_controller_is_survived(
    writer: WriterHere, controller: LadderController
) -> None:
    controller.server.power_off()
    writer.until(lambda status: status.losses >= 1)
    writer.turn_for(0.3)
    controller.server.power_on()
    expect_writing_again(writer, controller)


def test_fifty_losses_make_nothing_grow(writer: WriterHere, controller: LadderController) -> None:
    for number in range(1, 1 + LOSSES):
        if number == 1 + SETTLED:
            before = writer.footprint()
        lose(writer, controller, number)
    files, objects = (now - then for now, then in zip(writer.footprint(), before, strict=True))
    assert files <= 0
    assert objects < 20
    assert writer.status().contract_checks == 1


def lose(writer: WriterHere, controller: LadderController, number: int) -> None:
    """Reset a session that has lived, and wait for the next one."""
    writer.leap()
    controller.server.reset()
    writer.until(lambda status: status.losses >= number)
    writer.until(lambda status: status.is_connected)
