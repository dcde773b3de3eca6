"""The campaigns of scripts/fuzz, a few hundred cases of each; and that they find and shrink."""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
CASES = 300
FEWER = {"surface": 100}
"""Each of its cases is a connection, and some are cut off by a timer only."""
SEED = 3


@pytest.fixture(autouse=True)
def scripts_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))


class Vault:
    """A target with a bug: it fails on any x."""

    name = "vault"

    def __init__(self) -> None:
        self.checked: list[str] = []

    def make(self, random: Random) -> str:
        return "".join(random.choice("abcx") for _ in range(random.randrange(40)))

    async def check(self, case: str) -> None:
        self.checked.append(case)
        if "x" in case:
            raise KeyError(case)

    def smaller(self, case: str) -> Iterable[str]:
        from fuzzers.mutation import smaller_sequences

        shorter: Iterator[str] = smaller_sequences(case)
        return shorter

    def show(self, case: str) -> str:
        return repr(case)


def campaign(target: Any, *, seed: int, cases: int = CASES, first: int = 0) -> Any:
    from fuzzers.campaign import run

    return asyncio.run(run(target, cases=cases, seed=seed, first=first))


def test_finding_is_told_once_with_its_smallest_input() -> None:
    report = campaign(Vault(), seed=1)
    [finding] = report.findings
    assert (finding.where, finding.input) == ("KeyError", "'x'")
    assert finding.seen > 1


def test_same_seed_makes_the_same_cases_and_any_one_of_them_alone() -> None:
    once, again, alone = Vault(), Vault(), Vault()
    report = campaign(once, seed=1)
    campaign(again, seed=1)
    assert once.checked == again.checked
    number = report.findings[0].number
    campaign(alone, seed=1, cases=1, first=number)
    assert alone.checked[0] in once.checked
    assert "x" in alone.checked[0]


def test_case_that_takes_too_long_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    from fuzzers import campaign as campaigns

    monkeypatch.setattr(campaigns, "SLOW_S", -1.0)
    [finding] = campaign(Vault(), seed=1, cases=1).findings
    assert "took" in finding.error


@pytest.mark.parametrize(
    "name",
    [
        "routes",
        "query",
        "mqtt",
        "rest",
        "cip",
        "surface",
        "bundle",
    ],
)
def test_malformed_input_breaks_no_promise(name: str) -> None:
    from fuzzers.__main__ import TARGETS

    async def short_campaign() -> Any:
        from fuzzers.campaign import run

        async with TARGETS[name]() as target:
            return await run(target, cases=FEWER.get(name, CASES), seed=SEED)

    assert asyncio.run(short_campaign()).findings == []
