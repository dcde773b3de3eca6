"""Alive and ready, judged from the status board."""

from dataclasses import replace
from typing import Any

import pytest

from taktgate.contracts.model import ModelRef
from taktgate.edge.clock import SECOND
from taktgate.inspection.surface.board import Facts, LiveModel
from taktgate.inspection.surface.documents import Readiness
from taktgate.inspection.surface.health import ALIVE_NS, health, readiness

LIVE = LiveModel(
    model=ModelRef(name="weld", version="1.0", digest="sha256:" + "a" * 64),
    slot="slot-a",
    fingerprint="f",
    provider="CPUExecutionProvider",
    is_fallback=False,
)
GOOD = Facts(
    turned_ns=100 * SECOND,
    phase="idle",
    live=LIVE,
    is_judge_silent=False,
    is_ready=True,
    reason="",
    is_enabled=True,
    last_good_ns=99 * SECOND,
)
NOW = 101 * SECOND


def ready(facts: Facts, *, provider: str = "cpu", **stores: str) -> Readiness:
    return readiness(facts, NOW, required_provider=provider, stores=stores)


def failed(answer: Readiness) -> set[str]:
    return {check.name for check in answer.checks if check.ok is False}


def test_station_that_judges_is_ready_and_says_how_old_its_last_good_inference_is() -> None:
    answer = ready(GOOD, state="")
    assert (answer.ready, answer.last_good_inference_age_s) == (True, 2.0)
    assert (answer.active_model, answer.provider) == ("weld-1.0", "CPUExecutionProvider")


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"live": None}, {"model", "provider"}),
        ({"is_judge_silent": True}, {"judge"}),
        ({"is_ready": False, "reason": "breaker: 5 parts without an answer"}, {"judge"}),
        ({"is_enabled": None}, {"plc"}),
        ({"write_fault": "No space left on device"}, {"state_write"}),
        ({"turned_ns": NOW - ALIVE_NS - 1}, {"agent"}),
        ({"live": replace(LIVE, is_fallback=True)}, {"provider"}),
    ],
)
def test_what_keeps_a_station_from_being_ready_is_named(
    changes: dict[str, Any], names: set[str]
) -> None:
    answer = ready(replace(GOOD, **changes))
    assert not answer.ready
    assert failed(answer) == names


def test_reason_of_the_judge_is_shown_word_by_word() -> None:
    answer = ready(replace(GOOD, is_ready=False, reason="no camera: gone"))
    assert {check.detail for check in answer.checks if check.name == "judge"} == {"no camera: gone"}


def test_line_that_is_switched_off_is_no_fault_of_the_station() -> None:
    assert ready(replace(GOOD, is_enabled=False)).ready


@pytest.mark.parametrize(("provider", "is_ready"), [("auto", True), ("cpu", True), ("cuda", False)])
def test_provider_must_be_the_one_that_the_station_demands(provider: str, is_ready: bool) -> None:
    assert ready(GOOD, provider=provider).ready is is_ready


def test_store_that_cannot_be_written_to_is_named() -> None:
    assert failed(ready(GOOD, state="", records="not writable")) == {"records"}


def test_missing_right_is_shown_and_does_not_stop_the_station() -> None:
    answer = ready(replace(GOOD, missing_rights=("judge: memory", "runner: scheduling")))
    assert answer.ready
    details = {check.name: check.detail for check in answer.checks}
    assert details["rights"] == "judge: memory, runner: scheduling"


def test_agent_whose_loop_stands_still_is_not_alive() -> None:
    assert health(GOOD, GOOD.turned_ns + ALIVE_NS).status == "ok"
    assert health(GOOD, GOOD.turned_ns + ALIVE_NS + 1).status == "stalled"


def test_station_without_a_model_is_alive() -> None:
    assert health(replace(GOOD, live=None), NOW).active_model is None
