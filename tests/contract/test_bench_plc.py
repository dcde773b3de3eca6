"""scripts/bench plc: it measures what it says, and its exit code is honest."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.thread import LogixThread

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
ROUNDS = 3
"""The verdicts of one take 0.2 s: all of them are late if the machine stands still meanwhile."""


def bench(name: str) -> ModuleType:
    return import_module(f"benches.plc_bench.{name}")


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=40), max_size=6), st.data())
def test_frames_are_counted_however_they_are_cut(bodies: list[bytes], data: Any) -> None:
    stream = b"".join(
        b"o\0" + len(each).to_bytes(2, "little") + bytes(20) + each for each in bodies
    )
    counter = bench("relay").FrameCounter()
    while stream:
        size = data.draw(st.integers(min_value=1, max_value=len(stream)))
        counter.feed(stream[:size])
        stream = stream[size:]
    assert (counter.frames, counter.frame_bytes) == (len(bodies), sum(24 + len(b) for b in bodies))


@pytest.fixture(scope="module")
def plc() -> Iterator[LogixThread]:
    with LogixThread(TagMemory(symbols_of(TAGS))) as thread:
        yield thread


@pytest.fixture(scope="module")
def passed(plc: LogixThread) -> dict[str, Any]:
    """What passes for four writes of three results and the status, by client."""
    measuring = bench("measuring").Measuring()
    found = {}
    with bench("relay").Relay((plc.host, plc.port)) as relay:
        for case in bench("clients").OPENERS:
            measuring.open(case, *relay.address)
            measuring.run(case, 1, 3)
            before = relay.passed()
            measuring.run(case, 4, 3)
            found[case] = relay.passed().since(before)
            measuring.close(case)
    return found


@pytest.mark.parametrize("case", ["cached backend", "pycomm3 backend"])
def test_the_floor_is_the_packet_of_the_same_request(passed: dict[str, Any], case: str) -> None:
    assert passed[case] == passed["raw packet"]


def test_each_write_of_ours_is_one_request_and_one_reply(passed: dict[str, Any]) -> None:
    for case in ("cached backend", "pycomm3 backend"):
        assert (passed[case].requests, passed[case].replies) == (4, 4)


def test_a_slope_of_steady_growth_excludes_zero_and_one_of_noise_does_not() -> None:
    slope = bench("figures").slope
    steady = slope([1000.0 + 7 * number for number in range(20)])
    assert steady.low == pytest.approx(7)
    noise = slope([(-1.0) ** number for number in range(20)])
    assert noise.low < 0 < noise.high


def test_an_interval_holds_its_figure_and_has_no_width_when_rounds_agree() -> None:
    interval = bench("figures").interval
    values = {0: 1.0, 1: 2.0, 2: 6.0}
    spread = interval((0, 1, 2), lambda chosen: sum(values[each] for each in chosen) / len(chosen))
    assert spread.low < spread.figure == 3.0 < spread.high
    same = interval((0, 1, 2), lambda chosen: 5.0)
    assert (same.low, same.figure, same.high) == (5.0, 5.0, 5.0)


@pytest.mark.parametrize(
    ("case", "ours_us", "kept"),
    [
        ("cached backend", 120.0, True),
        ("cached backend", 121.0, False),
        ("pycomm3 backend", 320.0, True),
        ("pycomm3 backend", 321.0, False),
    ],
)
def test_a_ratio_is_kept_up_to_its_figure_and_not_beyond(
    case: str, ours_us: float, kept: bool
) -> None:
    writes = bench("writes")
    samples = {"raw packet": {0: [100.0]}, case: {0: [ours_us]}}
    requests = {case: dict.fromkeys(range(1, 9), 1.0)}
    measured = writes.Writes(samples_us=samples, requests=requests, request_bytes={})
    assert [line.kept for line in writes.lines(measured)] == [kept, True]


def test_a_write_of_two_requests_breaks_its_line() -> None:
    writes = bench("writes")
    samples = {case: {0: [100.0]} for case in ("raw packet", "cached backend")}
    requests = {"cached backend": {1: 1.0, 8: 2.0}}
    measured = writes.Writes(samples_us=samples, requests=requests, request_bytes={})
    assert [line.kept for line in writes.lines(measured)] == [True, False]


def test_the_excess_is_that_of_the_same_rounds() -> None:
    verdicts = bench("verdicts")
    measured = verdicts.Verdicts(
        verdicts_us={0: [900.0, 2500.0], 1: [2000.0]},
        floor_us={0: [500.0], 1: [100.0]},
        unwritten=0,
    )
    assert verdicts.excess_p99_us(measured).figure == 2000.0
    assert [line.kept for line in verdicts.lines(measured)] == [True]


def test_verdicts_that_were_never_acknowledged_cannot_hide_behind_a_percentile() -> None:
    verdicts = bench("verdicts")
    measured = verdicts.Verdicts(verdicts_us={0: [900.0] * 98}, floor_us={0: [500.0]}, unwritten=2)
    assert [line.kept for line in verdicts.lines(measured)] == [False]


def cycles(*, granted: bool = True, long: int) -> Any:
    loop = bench("loop")
    return loop.Cycles(
        mode=loop.WITH_RIGHTS,
        granted=granted,
        cycles=1000,
        long=long,
        late=0,
        longest_below_ms=20.0,
    )


def test_one_cycle_in_a_hundred_may_be_long() -> None:
    lines = bench("loop").lines
    assert [line.kept for line in lines([cycles(long=10)])] == [True]
    assert [line.kept for line in lines([cycles(long=11)])] == [False]


def test_a_loop_without_the_rights_that_it_asked_for_proves_nothing() -> None:
    assert [line.kept for line in bench("loop").lines([cycles(granted=False, long=0)])] == [False]


def losses(*, noticed_ms: float = 100.0, written_ms: float = 100.0, **grown: int) -> Any:
    module = bench("losses")
    held = {"descriptors": 9, "threads": 1, "children": 0, "resident_bytes": 4096}
    last = held | {name: held[name] + more for name, more in grown.items()}
    each = module.Loss(kind="reset", noticed_ms=noticed_ms, written_ms=written_ms)
    return module.Losses(losses=[each], held=[module.Held(**held), module.Held(**last)])


@pytest.mark.parametrize(
    ("measured", "broken"),
    [
        ({"noticed_ms": 250.0, "written_ms": 500.0}, []),
        ({"noticed_ms": 250.1}, [0]),
        ({"written_ms": 500.1}, [1]),
        ({"descriptors": 1}, [2]),
        ({"threads": 1, "descriptors": -1}, [2]),
        ({"children": 1}, [2]),
    ],
    ids=str,
)
def test_a_single_loss_beyond_a_line_breaks_it(measured: dict[str, Any], broken: list[int]) -> None:
    lines = bench("losses").lines(losses(**measured))
    assert [index for index, line in enumerate(lines) if not line.kept] == broken


def test_memory_that_grows_with_each_loss_breaks_its_line() -> None:
    measured = losses()
    held = [measured.held[0]] * 10
    measured.held[:] = held
    assert bench("losses").lines(measured)[-1].kept
    grown = [
        bench("losses").Held(**(as_dict(each) | {"resident_bytes": 4096 * number}))
        for number, each in enumerate(held)
    ]
    measured.held[:] = grown
    assert not bench("losses").lines(measured)[-1].kept


def as_dict(held: Any) -> dict[str, int]:
    names = ("descriptors", "threads", "children", "resident_bytes")
    return {name: getattr(held, name) for name in names}


@pytest.mark.timeout(300)
def test_a_quick_run_reports_every_part_with_all_its_samples(tmp_path: Path) -> None:
    """Whatever the machine makes of the lines: the exit code says the same as they do."""
    samples, plot = tmp_path / "plc.jsonl", tmp_path / "plc.svg"
    command = [sys.executable, str(ROOT / "scripts/benches/plc.py"), "--quick", "--json"]
    command += ["--rounds", str(ROUNDS)]
    command += ["--samples", str(samples), "--plot", str(plot)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    facts = json.loads(done.stdout)
    assert done.returncode == int(not all(line["kept"] for line in facts["lines"]))
    samples_of = {
        name: [each["samples"] for each in table] for name, table in facts["figures"].items()
    }
    floor, verdicts = samples_of.pop("verdicts")
    assert 0 < floor <= 8 * ROUNDS
    assert 0 < verdicts <= 8 * ROUNDS - facts["verdicts"]["unwritten"]
    assert samples_of == {
        "writes": [20 * ROUNDS] * 7,
        "losses, noticed": [1, 1],
        "losses, written again": [1, 1],
    }
    assert set(facts["writes"]["requests"]["cached backend"].values()) == {1.0}
    assert [each["cycles"] > 0 for each in facts["loop"]] == [True, True]
    written = 20 * ROUNDS
    kept = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    assert (
        sum(len(each["us"]) for each in kept if each.get("case") == "write, raw packet") == written
    )
    assert ElementTree.parse(plot).getroot().tag == "{http://www.w3.org/2000/svg}svg"
