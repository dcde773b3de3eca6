"""What all benches show and ask alike."""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

screen: Any = import_module("benches.plc_bench.screen")
figures: Any = import_module("benches.plc_bench.figures")


@pytest.mark.parametrize(
    ("unit", "row"),
    [
        ("us", "  raw                3      1500      2000      2000      2000  1.00 x"),
        ("ms", "  raw                3     1.500     2.000     2.000     2.000  1.00 x"),
    ],
)
def test_a_table_shows_durations_in_its_unit_and_what_is_remarked(
    unit: str, row: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [figures.figures("raw", [1000.0, 1500.0, 2000.0])]
    screen.print_table("writes", rows, width=15, unit=unit, remarks={"raw": "1.00 x"})
    head, shown = capsys.readouterr().out.splitlines()
    assert head.split() == ["writes", f"({unit})", "n", "p50", "p99", "p99.9", "max"]
    assert shown == row


def test_a_missed_line_stands_out(capsys: pytest.CaptureFixture[str]) -> None:
    screen.print_lines(
        [
            figures.Line(promise="p99 <= 1 ms", measured="0.9 ms", kept=True),
            figures.Line(promise="p50 <= 1 ms", measured="1.1 ms", kept=False),
        ]
    )
    shown = capsys.readouterr().out.splitlines()
    assert shown == ["kept   p99 <= 1 ms: 0.9 ms", "MISSED p50 <= 1 ms: 1.1 ms"]


@pytest.mark.parametrize("wrong", ["0", "-1", "1.5", "many"])
def test_a_number_below_one_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=screen.positive)
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--rounds", wrong])
    assert "--rounds: invalid positive value" in capsys.readouterr().err
