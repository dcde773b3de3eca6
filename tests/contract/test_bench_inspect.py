"""scripts/bench inspect: it measures what it says, and its exit code is honest."""

import json
import math
import socket
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import monotonic_ns
from taktgate.edge.lane import pack

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "scripts/benches/inspect_bench/__main__.py"
PARTS = 40
"""Of the tiny run, 30 in a second: a machine that stands still for a moment misses only some."""
sys.path.insert(0, str(ROOT / "scripts"))


def bench(name: str) -> ModuleType:
    return import_module(f"benches.inspect_bench.{name}")


def part(
    *, score: float | None = 0.2, model: str = "a", verdict_ns: int = 40, gated: bool = True
) -> Any:
    """Return a part as the bench saw it, times in ns from the trigger's 0."""
    made = bench("station").ModelRef(name="m", version="1.0.0", digest=f"sha256:{model * 64}")
    judged = score is not None
    envelope = VerdictEnvelope(
        contract="1.1",
        station="VIS01",
        kernel_boot_id="boot",
        judge_start_id="start",
        plc_epoch=1,
        sequence=1,
        trigger_id=1,
        verdict=Verdict.PASS if judged else Verdict.NO_DECISION,
        reason=Reason.NONE if judged else Reason.TIMEOUT,
        score=score,
        model=made,
        trigger_ns=0,
        received_ns=3_000,
        inference_start_ns=10_000,
        inference_end_ns=30_000,
        decided_ns=35_000,
        deadline_ns=200_000,
    )
    return bench("parts").SeenPart(
        trigger_id=1,
        frame=None,
        due_ns=0,
        sent_ns=0,
        exposure_ns=1_000,
        frame_sent_ns=2_000,
        decide_by_ns=100_000,
        envelope=envelope,
        verdict_ns=verdict_ns * 1_000,
        seen_ns=verdict_ns * 1_000 + 2_000,
        arrived_ns=4_000 if gated else None,
        gated_ns=6_000 if gated else None,
    )


def test_the_overhead_is_all_from_frame_to_verdict_but_run_and_image_gate() -> None:
    steps = bench("parts").steps_of(part())
    assert (steps.camera, steps.run, steps.gate, steps.wake) == (2.0, 20.0, 2.0, 2.0)
    assert steps.overhead == (40 - 3) - 20 - 2
    assert steps.beyond_run == (40 - 3) - 20


def test_without_a_note_nothing_before_the_run_is_left_out() -> None:
    steps = bench("parts").steps_of(part(gated=False))
    assert steps.overhead == steps.beyond_run == (40 - 3) - 20


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (part(), (0, 0, 0)),
        (part(score=0.7), (0, 1, 0)),
        (part(score=0.2, model="b"), (0, 1, 0)),
        (part(model="c"), (0, 1, 0)),
        (part(verdict_ns=101), (1, 0, 0)),
        (part(score=None), (0, 0, 1)),
    ],
    ids=["well", "other score", "other model", "unknown model", "late", "undecided"],
)
def test_a_part_that_a_swap_has_spoilt_is_counted(seen: Any, found: tuple[int, int, int]) -> None:
    expected = {f"sha256:{'a' * 64}": [0.2], f"sha256:{'b' * 64}": [0.7]}
    tally = bench("swap").Tally(expected=expected)
    tally.count(seen, 0)
    assert (tally.late, tally.mixed, tally.undecided.total()) == found


def test_the_first_part_of_each_swap_is_timed_by_itself() -> None:
    tally = bench("swap").Tally(expected={})
    for number, model in enumerate("aabba"):
        tally.count(part(model=model, verdict_ns=10 * (1 + number)), 0)
    assert tally.first_us == [30, 50], "the first model of all was not swapped in"


def swaps(**grown: int) -> Any:
    module, holdings = bench("swap"), bench("holdings")
    names = ("descriptors", "memfds", "threads", "processes", "shared_segments")
    first = dict.fromkeys(names, 3)
    held = [holdings.Holdings(resident_kb=100.0, **first)] * 2
    held.append(
        holdings.Holdings(resident_kb=100.0, **{name: 3 + grown.get(name, 0) for name in names})
    )
    return module.Swaps(tally=module.Tally(expected={}), held=held)


@pytest.mark.parametrize("name", ["descriptors", "memfds", "processes", "shared_segments"])
def test_one_thing_left_over_after_all_swaps_breaks_the_line(name: str) -> None:
    lines = bench("swap")._lines
    assert all(line.kept for line in lines(swaps()))
    assert [line.kept for line in lines(swaps(**{name: 1}))] == [True, True, True, True, False]


@pytest.mark.parametrize(("kb_per_swap", "kept"), [(0.9, True), (1.1, False)])
def test_memory_that_grows_with_each_swap_breaks_its_line(kb_per_swap: float, kept: bool) -> None:
    measured = swaps()
    holdings = bench("holdings").Holdings
    rest = {"descriptors": 3, "memfds": 3, "threads": 3, "processes": 3, "shared_segments": 3}
    measured.held[:] = [
        holdings(resident_kb=1000 + kb_per_swap * number, **rest) for number in range(101)
    ]
    assert bench("swap")._lines(measured)[-1].kept is kept


def suffered(fault: str, **changes: Any) -> Any:
    usual = {"late_us": 10.0, "was_judged": False, "lost": [], "back_ms": 50.0}
    return bench("failsafe").Suffered(fault=fault, **(usual | changes))


@pytest.mark.parametrize(
    ("everything", "excess_us", "broken"),
    [
        ([("slow", {})], 2000.0, []),
        ([("slow", {})], 2001.0, [0]),
        ([("slow", {"was_judged": True})], 0.0, [1]),
        ([("hung", {"was_judged": True})], 0.0, []),
        ([("crashing", {"late_us": -1.0})], 0.0, []),
        ([("crashing", {"late_us": 1.0})], 0.0, [2]),
        ([("slow", {}), ("slow", {"lost": ["TIMEOUT"]})], 0.0, [3]),
    ],
)
def test_a_single_fault_that_spreads_breaks_its_line(
    everything: list[tuple[str, dict[str, Any]]], excess_us: float, broken: list[int]
) -> None:
    module = bench("failsafe")
    strike = module.signal.SIGSTOP
    faults = [
        module.Fault(name="slow", frame=None, is_kept_waiting=True),
        module.Fault(name="hung", frame=None, is_kept_waiting=True, strike=strike),
        module.Fault(name="crashing", frame=None, is_kept_waiting=False, strike=strike),
    ]
    excess = import_module("benches.plc_bench.figures").Interval(
        figure=excess_us, low=0.0, high=1e6
    )
    found = module._lines(excess, faults, [suffered(name, **how) for name, how in everything])
    assert [index for index, line in enumerate(found) if not line.kept] == broken


def test_the_wayward_model_does_what_its_frame_orders(tmp_path: Path) -> None:
    wayward, raw = bench("wayward"), bench("raw")
    (tmp_path / "base").mkdir()
    session = raw.RawSession(wayward.wayward(tmp_path))
    frame = bench("frames").weld_frames(1)[0]
    score, _ = session.run(frame)
    assert 0 < score < 0.1
    assert session.run(wayward.ordered(frame, steps=3))[0] == pytest.approx(score, abs=1e-3)
    assert math.isnan(session.run(wayward.ordered(frame, nan=True))[0])
    quick_ns = min(session.run(wayward.ordered(frame, steps=0))[1] for _ in range(3))
    assert session.run(wayward.ordered(frame, steps=300))[1] > 5 * quick_ns


def test_a_datagram_has_the_time_of_its_sending_not_of_its_reading(tmp_path: Path) -> None:
    letters: list[Any] = []
    inbox = bench("inbox").StampedInbox(tmp_path / "inbox.sock", letters.append)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        before_ns = monotonic_ns()
        sender.sendto(pack("verdict", Lane.LOCAL, b"{}"), str(tmp_path / "inbox.sock"))
        after_ns = monotonic_ns()
    while monotonic_ns() < after_ns + 20_000_000:
        pass
    inbox.read()
    inbox.close()
    slack_ns = 1_000_000  # two clocks are read one after the other
    assert before_ns - slack_ns <= letters[0].sent_ns <= after_ns + slack_ns
    assert letters[0].seen_ns >= after_ns + 20_000_000


def test_a_page_gets_the_figures_of_what_was_measured_and_keeps_the_rest() -> None:
    line = {"promise": "p", "measured": "m", "kept": False}
    row = {"case": "c", "samples": 3, **dict.fromkeys(("p50_us", "p99_us", "p999_us"), 1500.0)}
    section = {
        "seconds": 2.0,
        "tables": {"t": [row | {"max_us": 2500.0}]},
        "notes": [],
        "lines": [line],
    }
    machine = {"cpus": 2, "python": "3", "load_1_min": 0.0, "realtime": False}
    document = {"sections": {"swap": section}, "machine": machine, "quick": True}
    page = (
        "a\n<!-- figures: swap -->\nold\n<!-- end -->\nb\n<!-- figures: busy -->\nx\n<!-- end -->"
    )
    filled = bench("page").filled(page, document)
    assert "| c | 3 | 1.500 | 1.500 | 1.500 | 2.500 |" in filled
    assert "| p | m | **no** |" in filled
    assert "old" not in filled
    assert filled.endswith("\nb\n<!-- figures: busy -->\nx\n<!-- end -->")
    assert bench("page").filled(filled, document) == filled


def test_the_page_of_performance_has_a_place_for_each_section() -> None:
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    for section in bench("__main__").MEASURES:
        assert page.count(f"<!-- figures: {section} -->") == 1, section


@pytest.mark.parametrize("wrong", [["--only", "nothing"], ["--parts", "0"], ["--swaps", "x"]])
def test_wrong_usage_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        bench("__main__").main(wrong)
    assert refusal.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_a_tiny_run_of_the_real_judge_reports_every_part(tmp_path: Path) -> None:
    """Whatever the machine makes of the lines: the exit code says the same as they do."""
    found, plot = tmp_path / "inspect.json", tmp_path / "inspect.svg"
    command = [sys.executable, str(PROGRAM), "--only", "overhead", "--parts", str(PARTS)]
    command += ["--no-realtime", "--json", str(found), "--plot", str(plot)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.exists(), done.stderr
    document = json.loads(found.read_text(encoding="utf-8"))
    verdict = document["verdict"]
    assert done.returncode == int(not verdict["met"])
    assert verdict["met"] == all(line["kept"] for line in verdict["lines"])
    assert 1 <= document["overhead_ms"]["n"] <= PARTS
    assert {"n", "p50", "p99", "p999"} <= set(document["overhead_ms"])
    assert document["machine"]["realtime"] is False
    samples = (tmp_path / document["samples"]).read_text(encoding="utf-8").splitlines()
    kept = {each["case"]: each["us"] for each in map(json.loads, samples)}
    assert len(kept["overhead, normal priority"]) == document["overhead_ms"]["n"]
    assert "session.run" in plot.read_text(encoding="utf-8")
