"""Each row of the behaviour table: the real writer process over TCP against a controller.

The table is that of docs/plc-guide.md; every row has a test of its name, on both backends where the
link matters. The judge is the test's own; the PLC's program, its gate and its audit run in another
process. Rows that leave PLC and writer as they found them share one pair for each backend.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pycomm3 import LogixDriver
from tests.integration.hand_plc import HandPlc, hand_plc
from tests.integration.writer_station import READY_S, Station, running_station

from taktgate.contracts.line import LineState
from taktgate.contracts.outcome import Outcome
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.plc.writer.status import WriterStatus
from taktgate.standin.control.commands import Event
from taktgate.standin.logix.downloads import Change, Download

Scenario = Callable[[Station], Awaitable[Any]]
RATE = 10.0


STEPPING_CLOCK = """
import itertools, runpy, sys, time
real, real_ns, steps = time.time, time.time_ns, itertools.cycle((0, 7200, -86400))
time.time = lambda: real() + next(steps)
time.time_ns = lambda: real_ns() + next(steps) * 10**9
sys.argv = ["taktgate.plc.writer.process"]
runpy.run_module("taktgate.plc.writer.process", run_name="__main__", alter_sys=True)
"""
"""The real writer in a process whose wall clock jumps by hours between any two looks at it."""


on_one_backend = pytest.mark.parametrize("backend", ["cached"], indirect=True)
"""For rows of the rules, which no backend knows."""
on_one_line = pytest.mark.parametrize("line", ["cached"], indirect=True)
"""The same, for those that share a line."""


@pytest.fixture(params=["pycomm3", "cached"])
def backend(request: pytest.FixtureRequest) -> str:
    """Both ways to carry an exchange."""
    return str(request.param)


@pytest.fixture
def play(backend: str, tmp_path: Path) -> Callable[..., Any]:
    """Run a scenario with a line, a writer of one backend, and a judge that passes each part."""

    def run(scenario: Scenario, *, deadline_ms: int = 500) -> Any:
        async def playing() -> Any:
            settings = {"backend": backend}
            async with running_station(
                tmp_path, deadline_ms=deadline_ms, settings=settings
            ) as station:
                station.start_writer()
                await station.until_ready()
                result = await scenario(station)
                counters = await station.plc.status()
                assert counters["unsafe"] == counters["unexplained"] == 0
                return result

        return asyncio.run(playing())

    return run


class SharedLine:
    """A PLC and a writer for many rows; after a row that fails, the next one gets new ones."""

    def __init__(
        self, runner: asyncio.Runner, new_folder: Callable[[], Path], backend: str
    ) -> None:
        self._runner = runner
        self._new_folder = new_folder
        self._backend = backend
        self._station: Station | None = None

    def play(self, scenario: Scenario) -> Any:
        """Run *scenario* with the line ready, and a judge that passes each part."""
        try:
            return self._runner.run(self._playing(scenario))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End both processes."""
        if self._station is not None:
            station, self._station = self._station, None
            self._runner.run(station.close())

    async def _playing(self, scenario: Scenario) -> Any:
        if self._station is None:
            self._station = Station(
                self._new_folder(), deadline_ms=500, settings={"backend": self._backend}
            )
            await self._station.open()
            self._station.start_writer()
        station = self._station
        station.judge = lambda line: [station.pass_for(line)]
        station.listen()  # what came since the last row counts no more
        await station.until_ready()
        result = await scenario(station)
        await empty(station)
        return result


async def empty(station: Station) -> None:
    """Let the last part reach its gate, and forget what was told until now.

    Raises:
        AssertionError: a part passed that may not have.
    """
    await station.plc.end_parts()
    while (counters := await station.plc.status())["open_parts"]:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert counters["unsafe"] == counters["unexplained"] == 0
    while not station.plc.events.empty():
        station.plc.events.get_nowait()


@pytest.fixture(scope="module", params=["pycomm3", "cached"])
def line(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Scenario], Any]]:
    """Run a scenario that leaves PLC and writer as it found them, on one that others share."""
    with asyncio.Runner() as runner:
        shared = SharedLine(runner, lambda: tmp_path_factory.mktemp("line"), str(request.param))
        yield shared.play
        shared.close()


async def next_part(station: Station) -> Event:
    return await station.next_event("part")


async def accepted_part(station: Station) -> Event:
    """Wait until the gate lets a part pass again."""
    async with asyncio.timeout(READY_S):
        while (part := await next_part(station))["gate"] != "accept":
            pass
    return part


async def until_state(station: Station, state: str) -> None:
    await station.until(lambda: station.status is not None and station.status.state == state)


async def look(station: Station, *names: str) -> list[Any]:
    """Read tags as somebody else does."""

    def read() -> list[Any]:
        with LogixDriver(station.plc.address) as driver:
            found = driver.read(*names)
            return [tag.value for tag in (found if isinstance(found, list) else [found])]

    return await asyncio.to_thread(read)


def last_of(station: Station, trigger_id: int) -> Outcome:
    """Return the last word on a part.

    Raises:
        LookupError: nothing was said of it yet.
    """
    return [one for one in station.outcomes if one.trigger_id == trigger_id][-1]


def test_plc_in_program_mode(line: Callable[[Scenario], Any]) -> None:
    async def scenario(station: Station) -> tuple[list[Any], list[Any], Event]:
        await station.plc.run(None, RATE)
        await accepted_part(station)
        await station.plc.set_mode("program")
        await until_state(station, "degraded")
        assert station.status is not None
        assert station.status.error in ("plc_program", "plc_stalled")
        names = ("VIS01_Sts.Heartbeat", "VIS01_Sts.Ready", "VIS01_Sts.State")
        before = after = await look(station, *names)
        async with asyncio.timeout(READY_S):
            # The controller takes writes in Program mode, so the beat goes on.
            while after[0] < before[0] + 3:
                after = await look(station, *names)
        await station.plc.set_mode("run")
        return before, after, await accepted_part(station)

    before, after, _ = line(scenario)
    assert before[1:] == after[1:] == [False, 3]


def test_plc_reboot(play: Callable[..., Any]) -> None:
    async def scenario(station: Station) -> tuple[Outcome, Event]:
        held: list[VerdictEnvelope] = []

        def hold(line: LineState) -> list[VerdictEnvelope]:
            held.append(station.pass_for(line))
            return []

        station.judge = hold
        await station.plc.run(None, 3.0)
        await station.until(lambda: len(held) > 0)
        losses = station.losses
        await station.plc.power_cycle(off_ms=300)
        await station.until_lost(losses)
        await station.until_ready()
        station.send_verdict(held[0])
        station.judge = lambda line: [station.pass_for(line)]
        part = await accepted_part(station)
        return last_of(station, held[0].trigger_id), part

    outcome, part = play(scenario, deadline_ms=1500)
    assert outcome.verdict is not Verdict.PASS, "what was decided before the reboot is never sent"
    assert part["trigger_id"] != outcome.trigger_id


def test_download(line: Callable[[Scenario], Any]) -> None:
    async def scenario(station: Station) -> Event:
        await station.plc.run(None, RATE)
        await accepted_part(station)
        losses = station.losses
        await station.plc.download("renumber")
        await station.until_lost(losses)
        await station.until_ready()
        return await accepted_part(station)

    line(scenario)


@pytest.mark.parametrize("fault", ["blackhole", "freeze"])
def test_cable_pull_or_silence(line: Callable[[Scenario], Any], fault: str) -> None:
    async def scenario(station: Station) -> Event:
        await station.plc.run(None, RATE)
        await accepted_part(station)
        await station.plc.fault(**{fault: True})
        await station.until(lambda: station.is_connected is False)
        while (await station.next_event("state"))["comm_ok"]:
            pass  # the PLC's own watchdog rejects all, soon
        await station.plc.fault(clear=True)
        await station.until_ready()
        return await accepted_part(station)

    line(scenario)


def test_class_3_connection_timed_out_at_the_plc(line: Callable[[Scenario], Any]) -> None:
    async def scenario(station: Station) -> int:
        await station.plc.run(None, RATE)
        await accepted_part(station)
        assert station.status is not None
        before, losses = station.status.reconnects, station.losses
        await station.plc.forget()
        await station.until_lost(losses)
        await station.until_ready()
        await accepted_part(station)
        return station.status.reconnects - before

    assert line(scenario) == 1


@pytest.mark.parametrize(
    ("change", "tag", "member", "words"),
    [
        (Change.RETYPE, "VIS01_Result", "Score", "VIS01_Result.Score: must be a REAL"),
        (Change.DELETE, "VIS01_Cmd", "", "VIS01_Cmd: must exist"),
        (Change.ACCESS, "VIS01_Sts", "", "VIS01_Sts: external access"),
    ],
)
def test_wrong_tag_type_missing_tag_or_no_external_access(
    tmp_path: Path, backend: str, change: Change, tag: str, member: str, words: str
) -> None:
    async def scenario() -> str:
        async with (
            hand_plc(deadline_ms=9000) as plc,
            running_station(
                tmp_path, address=plc.address, settings={"backend": backend}
            ) as station,
        ):
            plc.server.download(Download(change=change, tag=tag, member=member))
            station.start_writer()
            await until_state(station, "fault")
            assert station.status is not None
            assert plc.server.newest_writes(1) == (), "no partial contract is ever written"
            return station.status.error

    assert words in asyncio.run(scenario())


def test_a_tag_refused_at_run_time_is_a_fault_and_no_retry(play: Callable[..., Any]) -> None:
    async def scenario(station: Station) -> str:
        await station.plc.run(None, RATE)
        await accepted_part(station)
        await station.plc.download("access", tag="VIS01_Result")
        await until_state(station, "fault")
        assert station.status is not None
        return station.status.error

    assert "VIS01_Result: external access" in play(scenario)


def test_partial_msp_error(tmp_path: Path, backend: str) -> None:
    """The result is executed, the status beside it is refused: the whole counts as failed."""

    async def scenario() -> tuple[Outcome, list[bytes]]:
        async with (
            hand_plc(deadline_ms=9000) as plc,
            running_station(
                tmp_path, address=plc.address, settings={"backend": backend}
            ) as station,
        ):
            held: list[VerdictEnvelope] = []

            def hold(line: LineState) -> list[VerdictEnvelope]:
                held.append(station.pass_for(line))
                return []

            station.judge = hold
            station.start_writer()
            await station.until_ready()
            project = plc.memory.symbols
            plc.command("TriggerId", 101)
            await station.until(lambda: len(held) > 0)
            beat = plc.memory.load("VIS01_Sts", "Heartbeat")
            await station.until(lambda: plc.memory.load("VIS01_Sts", "Heartbeat") != beat)
            # The beat has just been written: the next request to write will be the verdict's.
            station.send_verdict(held[0])
            plc.server.download(Download(change=Change.ACCESS, tag="VIS01_Sts"))
            await station.until(lambda: station.is_connected is False)
            plc.memory.install(project)
            slot = ("VIS01_Result", 101 & 7)
            await station.until(lambda: len(plc.memory.writes(*slot)) > 1)
            plc.command("AckSeq", plc.result(101)["SeqEnd"])
            await station.until(lambda: last_of(station, 101).written)
            return last_of(station, 101), [one.content for one in plc.memory.writes(*slot)]

    outcome, contents = asyncio.run(scenario())
    assert (outcome.verdict, outcome.retries) == (Verdict.PASS, 1)
    assert outcome.acknowledged_ms is not None, "which of the two was consumed, only AckSeq tells"
    assert len(contents) == 2, "written once more inside the deadline"
    assert contents[0] == contents[1], "the same slot, the same Seq: nothing can act twice"


@on_one_line
def test_decision_late(line: Callable[[Scenario], Any]) -> None:
    async def scenario(station: Station) -> tuple[Event, list[Any]]:
        def late(line: LineState) -> list[VerdictEnvelope]:
            return [station.pass_for(line, deadline_ns=line.observed_after_ns)]

        station.judge = late
        (before,) = await look(station, "VIS01_Sts.CntLate")
        await station.plc.run(1, RATE)
        part = await next_part(station)
        slot, after = await look(
            station, f"VIS01_Result[{part['trigger_id'] & 7}]", "VIS01_Sts.CntLate"
        )
        return part, [slot, after - before]

    part, (slot, late_count) = line(scenario)
    assert part["gate"] == "reject"
    assert (slot["Decision"], slot["Late"], slot["Reject"], slot["Pass"]) == (4, True, True, False)
    assert late_count == 1


@on_one_backend
def test_out_of_order(play: Callable[..., Any]) -> None:
    async def scenario(station: Station) -> list[Event]:
        held: list[VerdictEnvelope] = []

        def swap_pairs(line: LineState) -> list[VerdictEnvelope]:
            held.append(station.pass_for(line))
            if len(held) % 2:
                return []
            return [held[-1], held[-2]]

        station.judge = swap_pairs
        await station.plc.run(4, 5.0)
        return [await next_part(station) for _ in range(4)]

    parts = play(scenario, deadline_ms=1000)
    assert [part["gate"] for part in parts] == ["accept"] * 4


@on_one_line
def test_duplicate_trigger_id_with_the_same_decision(line: Callable[[Scenario], Any]) -> None:
    async def scenario(station: Station) -> tuple[Event, list[Any]]:
        def twice(line: LineState) -> list[VerdictEnvelope]:
            envelope = station.pass_for(line)
            return [envelope, envelope]

        station.judge = twice
        names = ("VIS01_Sts.CntDup", "VIS01_Sts.CntPass", "VIS01_Sts.Fault")
        before = await look(station, *names)
        await station.plc.run(1, RATE)
        part = await next_part(station)
        after = await look(station, *names)
        return part, [after[0] - before[0], after[1] - before[1], after[2]]

    part, counts = line(scenario)
    assert part["gate"] == "accept"
    assert counts == [1, 1, False]


@on_one_backend
def test_duplicate_trigger_id_with_another_decision(play: Callable[..., Any]) -> None:
    async def scenario(station: Station) -> tuple[Event, list[Any]]:
        def contradict(line: LineState) -> list[VerdictEnvelope]:
            passed = station.pass_for(line)
            return [passed, station.pass_for(line, verdict=Verdict.FAIL, score=0.9)]

        station.judge = contradict
        await station.plc.run(1, RATE)
        part = await next_part(station)
        return part, await look(station, "VIS01_Sts.Fault", "VIS01_Sts.CntPass")

    part, (has_fault, _) = play(scenario)
    assert part["gate"] == "reject"
    assert has_fault is True


@on_one_backend
def test_module_restart(play: Callable[..., Any]) -> None:
    names = ("VIS01_Sts.BootId", "VIS01_Sts.LastSeq")

    async def scenario(station: Station) -> tuple[list[Any], list[Any], Outcome]:
        await station.plc.run(None, RATE)
        await accepted_part(station)
        station.judge = lambda line: []
        waiting = len(station.outcomes)
        await station.until(lambda: len(station.outcomes) > waiting)
        before = await look(station, *names)
        station.writers[-1].kill()
        station.writers[-1].wait()
        station.listen()  # its last words
        known = len(station.outcomes)
        station.start_writer()
        await station.until(lambda: len(station.outcomes) > known)
        first = station.outcomes[known]
        station.judge = lambda line: [station.pass_for(line)]
        await station.until_ready()
        await accepted_part(station)
        return before, await look(station, *names), first

    (boot_before, last_before), (boot_after, last_after), first = play(scenario, deadline_ms=400)
    assert boot_after != boot_before
    assert last_after > last_before, "numbers go on from where the PLC's tag stands"
    assert (first.verdict, first.reason) == (Verdict.NO_DECISION, Reason.RESTARTED)


@on_one_backend
def test_orderly_end_leaves_the_line_not_ready(play: Callable[..., Any]) -> None:
    async def scenario(station: Station) -> list[Any]:
        station.writers[-1].send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(station.writers[-1].wait, READY_S) == 0
        return await look(station, "VIS01_Sts.Ready", "VIS01_Sts.Online", "VIS01_Sts.State")

    assert play(scenario) == [False, False, 0]


@on_one_backend
def test_queue_full(tmp_path: Path, backend: str) -> None:
    async def scenario() -> tuple[list[Outcome], WriterStatus, HandPlc]:
        async with (
            hand_plc(deadline_ms=9000) as plc,
            running_station(
                tmp_path, address=plc.address, settings={"backend": backend}
            ) as station,
        ):
            station.start_writer()
            await station.until_ready()
            seen: list[int] = []

            def note(line: LineState) -> list[VerdictEnvelope]:
                seen.append(line.trigger_id)
                return []

            station.judge = note
            known = len(station.outcomes)
            for trigger_id in range(101, 110):
                plc.command("TriggerId", trigger_id)
                await station.until(lambda newest=trigger_id: newest in seen)  # type: ignore[misc]
            await station.until(lambda: len(station.outcomes) > known)
            await station.until(lambda: station.status is not None and station.status.overflows > 0)
            assert station.status is not None
            return station.outcomes[known:], station.status, plc

    outcomes, status, plc = asyncio.run(scenario())
    (refused,) = outcomes
    assert (refused.trigger_id, refused.written, refused.verdict) == (
        109,
        False,
        Verdict.NO_DECISION,
    ), "eight parts are open: the newest stays without a result, none of the eight is dropped"
    assert status.has_fault
    assert plc.result(109)["TriggerId"] != 109


@on_one_backend
def test_wall_clock_step(tmp_path: Path, backend: str) -> None:
    async def scenario() -> Event:
        settings = {"backend": backend}
        async with running_station(tmp_path, deadline_ms=500, settings=settings) as station:
            station.start_writer(main=("-c", STEPPING_CLOCK))
            await station.until_ready()
            await station.plc.run(20, RATE)
            return await station.next_event("finished")

    finished = asyncio.run(scenario())
    assert finished["gate"] == {"accept": 20, "reject": 0}
