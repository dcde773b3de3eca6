"""The real writer process and a real PLC process over TCP; the test is judge and agent."""

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from tests.integration.link_bench import connect, contract_of
from tests.integration.writer_station import (
    EXIT_FOREIGN_WRITER,
    EXIT_ROLE_TAKEN,
    READY_S,
    Station,
    running_station,
)

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict, seal
from taktgate.plc.contract.records import BLANK_STATUS
from taktgate.plc.contract.tags import WriterState
from taktgate.plc.link.logix import LogixLink
from taktgate.standin.control.commands import Event

NOTICED_S, BACK_S = 3.0, 5.0
"""Ten times the design's figures, which `scripts/bench plc` measures: a machine may be busy."""


def test_every_part_of_a_run_is_passed_at_the_gate(tmp_path: Path) -> None:
    async def scenario() -> Event:
        async with running_station(tmp_path, deadline_ms=500) as station:
            writer = station.start_writer()
            await station.until_ready()
            await station.plc.run(20, 10.0)
            finished = await station.next_event("finished")
            await station.until(lambda: len(station.outcomes) >= 21)
            assert {o.lane for o in station.outcomes[1:]} == {Lane.LOCAL}
            writer.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(writer.wait) == 0
            return finished

    finished = asyncio.run(scenario())
    assert finished["gate"] == {"accept": 20, "reject": 0}
    assert finished["unsafe"] == finished["unexplained"] == finished["second_verdicts"] == 0


def test_a_killed_writer_costs_parts_and_never_safety(tmp_path: Path) -> None:
    async def scenario() -> tuple[Event, Event]:
        async with running_station(tmp_path) as station:
            writer = station.start_writer()
            await station.until_ready()
            await station.plc.run(None, 10.0)
            for _ in range(3):
                await station.next_event("part")
            writer.kill()
            writer.wait()
            state = await station.next_event("state")
            station.start_writer()
            await station.until_ready()
            since = max(outcome.trigger_id for outcome in station.outcomes)
            gates: list[str] = []
            while len(gates) < 10:
                part = await station.next_event("part")
                if part["trigger_id"] > since:
                    gates.append(part["gate"])
            assert "accept" in gates, "the line goes on"
            await station.plc.end_parts()
            return state, await station.plc.status()

    state, result = asyncio.run(scenario())
    assert state["comm_ok"] is False
    assert result["unsafe"] == result["unexplained"] == 0
    assert result["gate"]["reject"] >= 1


def test_a_dead_plc_is_noticed_and_written_to_again(tmp_path: Path) -> None:
    async def scenario() -> tuple[float, float, Any]:
        async with running_station(tmp_path, deadline_ms=500) as station:
            station.start_writer()
            await station.until_ready()
            await station.plc.fault(freeze=True)
            noticed_s = await station.until(
                lambda: station.status is not None and not station.status.is_connected
            )
            await asyncio.sleep(0.5)
            await station.plc.fault(clear=True)
            back_s = await station.until(
                lambda: station.status is not None and station.status.is_connected
            )
            await station.until_ready()
            await station.plc.run(5, 10.0)
            return noticed_s, back_s, await station.next_event("finished")

    noticed_s, back_s, finished = asyncio.run(scenario())
    assert noticed_s < NOTICED_S
    assert back_s < BACK_S
    assert finished["gate"]["accept"] == 5
    assert finished["unsafe"] == 0


def test_a_silent_judge_ends_in_no_verdict_for_each_part(tmp_path: Path) -> None:
    async def scenario() -> list[Reason]:
        async with running_station(tmp_path) as station:
            station.start_writer()
            await station.until_ready()
            await station.plc.run(None, 10.0)
            await station.next_event("part")
            station.judge_is_alive = False
            before = len(station.outcomes)
            await station.until(lambda: len(station.outcomes) > before + 1)
            await station.until(lambda: station.status is not None and not station.status.is_ready)
            assert station.status is not None
            assert station.status.error == "no_beat"
            return [outcome.reason for outcome in station.outcomes[before + 1 :]]

    assert Reason.NO_VERDICT in asyncio.run(scenario())


def test_a_second_writer_of_the_controller_does_not_start(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with running_station(tmp_path) as station:
            station.start_writer()
            await station.until_ready()
            second = station.start_writer(private="private-of-another-module")
            return await asyncio.to_thread(second.wait)

    assert asyncio.run(scenario()) == EXIT_ROLE_TAKEN


def test_a_foreign_boot_id_ends_the_writer(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with running_station(tmp_path) as station:
            writer = station.start_writer()
            await station.until_ready()
            await asyncio.to_thread(
                write_as_somebody_else,
                station.plc.address,
                until=lambda: station.status is not None and station.status.state == "fault",
            )
            assert writer.poll() is None, "the pause that spares the supervisor's budget"
            writer.send_signal(signal.SIGTERM)
            return await asyncio.to_thread(writer.wait, 2.5)  # by itself it ends after 3 s

    assert asyncio.run(scenario()) == EXIT_FOREIGN_WRITER


def test_a_writer_that_comes_to_a_living_one_leaves_every_part_to_it(tmp_path: Path) -> None:
    """Two hosts, one controller by mistake: no lock is shared between them."""

    async def scenario() -> tuple[Event, bool]:
        (tmp_path / "own").mkdir()
        (tmp_path / "other").mkdir()
        async with running_station(tmp_path / "own", deadline_ms=500) as station:
            station.start_writer()
            await station.until_ready()
            await station.plc.run(15, 10.0)
            other = Station(tmp_path / "other", plc=station.plc)
            await other.open()
            intruder = other.start_writer()
            finished = await station.next_event("finished")
            await other.until(lambda: other.status is not None and other.status.state == "fault")
            intruder.terminate()
            assert await asyncio.to_thread(intruder.wait) == EXIT_FOREIGN_WRITER
            await other.close()
            return finished, station.status is not None and station.status.is_ready

    finished, is_ready = asyncio.run(scenario())
    assert finished["gate"] == {"accept": 15, "reject": 0}
    assert finished["unsafe"] == finished["second_verdicts"] == 0
    assert is_ready


def test_a_rival_takes_a_pass_back_although_the_connection_was_cut_meanwhile(
    tmp_path: Path,
) -> None:
    async def scenario() -> Event:
        async with running_station(tmp_path, deadline_ms=3000) as station:
            station.start_writer()
            await station.until_ready()
            await station.plc.run(1, 1.5)
            await station.until(lambda: station.outcomes[-1].verdict is Verdict.PASS)
            await station.plc.fault(cut=True)
            await station.until(lambda: station.is_connected is False)
            await station.plc.fault(clear=True)
            await station.until(lambda: station.is_connected is True)
            (passed,) = station.verdicts
            rival = seal(replace(passed, verdict=Verdict.FAIL, score=0.99, sequence=10_000))
            station.send_verdict(rival)
            return await station.next_event("part")

    part = asyncio.run(scenario())
    assert (part["gate"], part["why"]) == ("reject", "REVOKED")


def write_as_somebody_else(address: str, *, until: Callable[[], bool]) -> None:
    """Write on and on: ours is overwritten every 100 ms, and the writer must look in between."""
    status = replace(BLANK_STATUS, boot_id=1, state=WriterState.RUN, last_seq=1, online=True)
    link = LogixLink(address, reply_timeout_s=5.0)
    link.open(connect(address), contract_of(address))
    deadline_s = time.monotonic() + READY_S
    for heartbeat in count(2):
        link.write([], replace(status, heartbeat=heartbeat))
        if until():
            break
        assert time.monotonic() < deadline_s, "nobody has noticed"
        time.sleep(0.02)
    link.close(abort=False)
