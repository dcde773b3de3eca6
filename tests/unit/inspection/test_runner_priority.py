"""The judge's priority stays with the judge."""

import os

import pytest

from taktgate.edge.process import take_realtime_priority


def test_no_runner_inherits_the_judges_real_time_priority(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def without_rights(_: int, policy: int, __: object) -> None:
        asked.append(policy)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", without_rights)

    assert not take_realtime_priority(10)
    assert asked == [os.SCHED_FIFO | os.SCHED_RESET_ON_FORK]
