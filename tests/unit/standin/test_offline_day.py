"""The simulated day: an hour of it is good and repeatable, and its ledger sees faults."""

from collections.abc import Callable
from pathlib import Path

import pytest

from taktgate.standin.azure import simulated_time
from taktgate.standin.azure.offline_day.day import DayPlan, DayReport, live_through
from taktgate.standin.azure.offline_day.ledger import Lane, Ledger

LANE = Lane(sender="a", output="o", endpoint="b/i", priority=0, ttl_s=None)
MORTAL = Lane(sender="a", output="o", endpoint="b/i", priority=0, ttl_s=10)


def live(plan: DayPlan, file: Path) -> DayReport:
    return simulated_time.run(live_through(plan, file, lambda _hour, _counts: None))


@pytest.mark.azure(
    "edgeHub",
    "Through outages nothing is lost that had not expired, order holds per endpoint and sender, "
    "and only a lost receipt makes a duplicate",
    source="Azure/iotedge test/modules/NetworkController",
)
def test_hour_of_outages_keeps_every_promise(tmp_path: Path) -> None:
    report = live(
        DayPlan(hours=1, seed=5, burst_every_s=90, edgehub_ends_every_s=600),
        tmp_path / "edgehub.db",
    )
    assert report.findings == []
    for event in ("edgehub_killed", "line_cut", "module_gone", "delivered_again", "expired"):
        assert report.counts[event] > 0


def test_same_seed_makes_the_same_day(tmp_path: Path) -> None:
    plan = DayPlan(hours=0.2, seed=3)
    reports = [live(plan, tmp_path / f"{number}.db") for number in range(2)]
    assert reports[0].counts == reports[1].counts


def sent_and_receipted(ledger: Ledger, *, at_s: float = 0.0) -> int:
    number = ledger.new_message("a", "o")
    ledger.reached_edgehub("a", "o", number, at_s)
    ledger.acknowledged("a", "o", number, at_s)
    return number


def arrives(ledger: Ledger, number: int, *, at_s: float = 1.0, is_confirmed: bool = True) -> None:
    ledger.arrived("a", "o", "b/i", number, at_s)
    if is_confirmed:
        ledger.confirmed("a", "o", "b/i", number)


def lost(ledger: Ledger) -> None:
    sent_and_receipted(ledger)


def overtaken(ledger: Ledger) -> None:
    numbers = [sent_and_receipted(ledger) for _ in range(2)]
    for number in reversed(numbers):
        arrives(ledger, number)


def doubled(ledger: Ledger) -> None:
    number = sent_and_receipted(ledger)
    arrives(ledger, number)
    arrives(ledger, number)


def doubled_after_a_lost_receipt(ledger: Ledger) -> None:
    number = sent_and_receipted(ledger)
    arrives(ledger, number, is_confirmed=False)
    arrives(ledger, number)


def doubled_after_a_kill(ledger: Ledger) -> None:
    number = sent_and_receipted(ledger)
    arrives(ledger, number)
    ledger.forgotten("a", "o", "b/i", number)
    arrives(ledger, number)


def sent_twice(ledger: Ledger) -> None:
    number = sent_and_receipted(ledger)
    ledger.reached_edgehub("a", "o", number, 0.5)
    arrives(ledger, number)
    arrives(ledger, number)


@pytest.mark.parametrize(
    ("story", "promises"),
    [
        (lost, ["nothing is lost"]),
        (overtaken, ["order is kept"]),
        (doubled, ["no duplicate without a lost receipt"]),
        (doubled_after_a_lost_receipt, []),
        (doubled_after_a_kill, []),
        (sent_twice, []),
    ],
)
def test_ledger_finds_what_went_wrong(story: Callable[[Ledger], None], promises: list[str]) -> None:
    ledger = Ledger((LANE,))
    story(ledger)
    assert [each.promise for each in ledger.findings(1000.0)] == promises


@pytest.mark.parametrize(("later_at_s", "findings"), [(10.5, 0), (9.5, 1)])
def test_message_is_lost_if_a_later_one_came_before_it_expired(
    later_at_s: float, findings: int
) -> None:
    ledger = Ledger((MORTAL,))
    sent_and_receipted(ledger)
    arrives(ledger, sent_and_receipted(ledger), at_s=later_at_s)
    assert len(ledger.findings(1000.0)) == findings
