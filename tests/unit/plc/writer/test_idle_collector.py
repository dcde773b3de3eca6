"""The garbage collector strikes where nothing waits."""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.plc.writer.idle_collector import OVERDUE_NS, PERIOD_NS, ROOM_NS, IdleCollector


@dataclass(slots=True)
class Bench:
    now_ns: int = 5 * SECOND
    collections: int = 0

    def collect(self) -> None:
        self.collections += 1

    def run(self, collector: IdleCollector, *, seconds: int, left_ns: int) -> None:
        for _ in range(100 * seconds):
            self.now_ns += 10 * MILLISECOND
            collector.rest(left_ns)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def collector(bench: Bench) -> IdleCollector:
    return IdleCollector(lambda: bench.now_ns, bench.collect)


def test_an_idle_writer_collects_once_a_second(bench: Bench, collector: IdleCollector) -> None:
    bench.run(collector, seconds=20, left_ns=ROOM_NS)
    assert bench.collections == 20 * SECOND // PERIOD_NS


def test_nothing_is_collected_shortly_before_a_tick(bench: Bench, collector: IdleCollector) -> None:
    bench.run(collector, seconds=9, left_ns=ROOM_NS - 1)
    assert bench.collections == 0


def test_a_writer_that_is_never_idle_collects_all_the_same(
    bench: Bench, collector: IdleCollector
) -> None:
    bench.run(collector, seconds=40, left_ns=0)
    assert bench.collections == 40 * SECOND // OVERDUE_NS


_TAKE_OVER = """
import gc, time
from taktgate.plc.writer.idle_collector import IdleCollector
IdleCollector(time.monotonic_ns).take_over()
print(gc.isenabled(), gc.get_freeze_count() > 1000)
"""


def test_the_automatic_collector_is_off_and_what_was_there_is_frozen() -> None:
    """In a process of its own: these tests want their collector back."""
    done = subprocess.run(
        [sys.executable, "-c", _TAKE_OVER], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]
