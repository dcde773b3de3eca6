"""How a bench shows its figures on a terminal, and what it is asked there."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from benches.plc_bench.figures import Figures, Line

Unit = Literal["us", "ms"]
_FORMATS: Final[Mapping[Unit, tuple[float, str]]] = {"us": (1.0, "9.0f"), "ms": (1e-3, "9.3f")}
"""By what a duration in us is multiplied, and how it is written."""


def print_table(
    name: str,
    rows: Sequence[Figures],
    *,
    width: int,
    unit: Unit,
    remarks: Mapping[str, str] | None = None,
) -> None:
    """Print the durations of some cases.

    Args:
        name: Of the table.
        rows: A line each.
        width: Of the column with the cases' names, in characters.
        unit: Of the durations.
        remarks: By case: what stands behind its figures.
    """
    scale, style = _FORMATS[unit]
    print(f"{f'{name} ({unit})':{width}} {'n':>6} {'p50':>9} {'p99':>9} {'p99.9':>9} {'max':>9}")
    for row in rows:
        times_us = (row.p50_us, row.p99_us, row.p999_us, row.max_us)
        figures = " ".join(f"{scale * time_us:{style}}" for time_us in times_us)
        remark = (remarks or {}).get(row.case, "")
        print(f"  {row.case:{width - 2}} {row.samples:6} {figures}{remark and f'  {remark}'}")


def print_lines(lines: Sequence[Line]) -> None:
    """Print each promise, and whether it is kept."""
    for line in lines:
        print(f"{'kept  ' if line.kept else 'MISSED'} {line.promise}: {line.measured}")


def add_extent(parser: argparse.ArgumentParser, sections: Sequence[str]) -> None:
    """Let the caller choose how much is measured: `--quick`, and `--only` some *sections*."""
    parser.add_argument("--quick", action="store_true", help="a few samples of everything")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=sections,
        default=sections,
        metavar="SECTION",
        help=f"of {', '.join(sections)}",
    )


def positive(text: str) -> int:
    """Return the number that an option gives.

    Raises:
        ValueError: It is none, or less than 1.
    """
    number = int(text)
    if number < 1:
        raise ValueError
    return number
