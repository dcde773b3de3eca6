"""A candidate in the shadow of a real judge: it sees frames, and the line never hears of it."""

import os
import signal
from collections.abc import Iterator

import pytest
from tests.integration.judge_station import JudgeStation, flat, judge_station
from tests.integration.tiny_bundles import Tiny

from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Verdict
from taktgate.inspection import control
from taktgate.inspection.control import Happening, Load, Shadow, Swap
from taktgate.inspection.frames.ring import SLOTS

LIVE = Tiny(version="1.0.0")
CONTRARY = Tiny(version="2.0.0", gain=-8.0)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[JudgeStation, ModelRef]]:
    """A station, and a model in the shadow that says the contrary of the live one."""
    with judge_station(tmp_path_factory.mktemp("station")) as station:
        station.install_tiny(LIVE, "a", confirmed=True)
        contrary = station.install_tiny(CONTRARY, "b")
        station.start_ready()
        station.command(control.KIND_LOAD, Load(slot="b", digest=contrary.digest, golden=True))
        station.wait(lambda: station.runner_pid(contrary.digest) is not None)
        station.command(control.KIND_SHADOW, Shadow(digest=contrary.digest))
        station.wait(lambda: shadow_of(station) == contrary.digest)
        yield station, contrary


def shadow_of(station: JudgeStation) -> str | None:
    return None if station.heard.status is None else station.heard.status.shadow


def count(station: JudgeStation, counter: str) -> int:
    status = station.heard.status
    return 0 if status is None else status.counters[counter]


def test_pairs_go_to_the_agent_and_verdicts_are_the_live_models_alone(
    both: tuple[JudgeStation, ModelRef],
) -> None:
    station, contrary = both
    for grey in (0, 255, 0, 255):
        wanted = len(station.heard.pairs) + 1
        verdict = station.judged(flat(grey))
        assert verdict.verdict is (Verdict.FAIL if grey else Verdict.PASS)
        assert verdict.model is not None
        assert verdict.model.digest != contrary.digest
        station.wait(lambda wanted=wanted: len(station.heard.pairs) >= wanted)  # type: ignore[misc]
        pair = station.heard.pairs[-1]
        assert pair.trigger_id == verdict.trigger_id
        assert (pair.live.verdict, pair.live.score) == (verdict.verdict, verdict.score)
        assert pair.shadow.digest == contrary.digest
        assert pair.shadow.verdict is (Verdict.PASS if grey else Verdict.FAIL)
        assert pair.shadow.run_ns > 0

    assert station.heard.to_writer == {control.KIND_VERDICT, control.KIND_BEAT}
    assert len(station.heard.copies) == len(station.heard.verdicts)


def test_a_shadow_s_frame_is_worked_on_at_idle_priority(
    both: tuple[JudgeStation, ModelRef],
) -> None:
    station, contrary = both
    wanted = len(station.heard.pairs) + 1
    station.judged(flat(0))
    station.wait(lambda: len(station.heard.pairs) >= wanted)
    pid = station.runner_pid(contrary.digest)
    assert pid is not None
    threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    assert 19 in [os.getpriority(os.PRIO_PROCESS, thread) for thread in threads]


def test_a_shadow_that_hangs_is_ended_and_costs_the_line_no_part_and_no_slot(
    both: tuple[JudgeStation, ModelRef],
) -> None:
    station, contrary = both
    pid = station.runner_pid(contrary.digest)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    for _ in range(6):
        assert station.judged(flat(0)).verdict is Verdict.PASS
    station.command(control.KIND_SWAP, Swap(digest=contrary.digest))
    station.wait(lambda: bool(station.happened(Happening.KILLED)))

    assert {event.digest for event in station.happened(Happening.KILLED)} == {contrary.digest}
    assert station.judged(flat(0)).verdict is Verdict.PASS
    station.wait(lambda: count(station, "free_slots") == SLOTS)
    assert count(station, "shadow_dropped_busy") > 0
