"""docs/traps.md names a red and a green test for each trap of the article, and they exist."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/traps.md"
TRAPS = [*(f"S{n}" for n in range(1, 17)), *(f"D{n}" for n in range(1, 14))]
DEFINITION = re.compile(r"^ *(?:async )?def (test_\w+)\(", re.M)
BENCH_KEYS = {
    "overhead_ms",
    "seed_ratio_p99",
    "failsafe_after_deadline_ms",
    "overload",
    "swap",
    "peers",
}


def rows() -> dict[str, list[str]]:
    """Return the cells of each trap's row."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if "|" in line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row for row in cells if row[0] in TRAPS}


def named(cell: str) -> set[str]:
    return set(re.findall(r"`(test_\w+)`", cell))


@cache
def existing(folder: str) -> set[str]:
    """Return the names of all tests below *folder*."""
    return {
        name
        for file in (ROOT / folder).rglob("test_*.py")
        for name in DEFINITION.findall(file.read_text(encoding="utf-8"))
    }


def test_every_trap_has_one_row_in_order() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    found = [match[1] for line in lines if (match := re.match(r"\| ([SD]\d+) \|", line))]
    assert found == TRAPS


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_red_on_the_article_and_green_here(trap: str) -> None:
    _, what, red, green = rows()[trap]
    assert what
    assert named(red)
    assert named(green)
    assert named(red) | named(green) <= existing("tests")
    assert not named(red) & named(green), "one test cannot show both"


@pytest.mark.parametrize("trap", TRAPS)
def test_red_runs_on_the_articles_fixture(trap: str) -> None:
    assert named(rows()[trap][2]) <= existing("tests/article")


@pytest.mark.parametrize("trap", TRAPS)
def test_a_bench_line_is_named_by_its_key(trap: str) -> None:
    _, _, bench = rows()[trap][3].partition("bench:")
    assert set(re.findall(r"`(\w+)`", bench)) <= BENCH_KEYS
