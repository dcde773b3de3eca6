"""What an operator of the station may ask for, and what the cloud's order means then."""

from tests.unit.inspection.models_of_a_station import (
    Station,
    commissioned,
    model,
    notice,
    on_trial,
    phase_of,
    slot,
)

from taktgate.contracts.twins import TypedError
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.agent.phases import Phase


def ask(agent: Activator, letter: str) -> TypedError | None:
    return agent.request(agent.operator.order_for(model(letter), f"slot-{letter}"))


def test_a_request_goes_the_way_of_any_order() -> None:
    station, agent = commissioned()
    assert ask(agent, "b") is None
    station.settle(agent)

    assert phase_of(agent) is Phase.TRIAL
    assert agent.candidate == slot("b", "operator-1")


def confirmed_by_request() -> tuple[Station, Activator]:
    station, agent = commissioned()
    assert ask(agent, "b") is None
    station.settle(agent)
    for _ in range(60):
        station.part(agent)
    station.settle(agent)
    assert station.disk.last_known_good == slot("b", "operator-1")
    return station, agent


def test_the_cloud_s_order_of_before_asks_for_nothing_even_after_a_restart() -> None:
    station, _ = confirmed_by_request()
    agent = station.agent()
    agent.staged(notice("a", "o1"))
    station.settle(agent)

    assert station.live == model("b").digest
    assert phase_of(agent) is Phase.IDLE


def test_the_cloud_s_next_order_counts_again() -> None:
    station, agent = confirmed_by_request()
    agent.staged(notice("a", "o2"))
    station.settle(agent)

    assert agent.candidate == slot("a", "o2")


def test_what_is_live_already_needs_nothing() -> None:
    station, agent = commissioned()
    before = station.disk
    assert ask(agent, "a") is None

    assert (station.disk, phase_of(agent)) == (before, Phase.IDLE)


def test_what_was_rolled_back_here_must_be_cleared_first() -> None:
    station, agent = on_trial()
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
    station.settle(agent)
    refused = ask(agent, "b")
    assert refused is not None
    assert refused.reason == "BLOCKED"

    assert agent.clear(model("b").digest) is None
    assert ask(agent, "b") is None
    station.settle(agent)
    assert phase_of(agent) is Phase.TRIAL


def test_a_request_that_the_disk_refuses_changes_nothing() -> None:
    station, agent = commissioned()
    station.disk_is_full = True
    refused = ask(agent, "b")
    station.settle(agent)

    assert refused is not None
    assert refused.reason == "STATE_WRITE"
    assert phase_of(agent) is Phase.IDLE


def test_a_cleared_model_is_tried_again_under_the_order_that_still_stands() -> None:
    station, agent = on_trial()
    for _ in range(3):
        station.part(agent, Verdict.NO_DECISION, Reason.TIMEOUT)
    station.settle(agent)
    assert agent.clear(model("b").digest) is None
    station.settle(agent)

    assert agent.candidate == slot("b", "o2")
