"""One controller, one lock: whatever a station file calls it."""

from pathlib import Path

import pytest

from taktgate.plc.writer.process import controller_lock


@pytest.mark.parametrize("address", ["10.0.0.1:44818", "10.0.0.1/0", "10.0.0.1/bp/0", "10.0.0.1,0"])
def test_a_controller_has_one_lock_by_whatever_spelling(address: str) -> None:
    assert controller_lock(Path("lane"), address) == controller_lock(Path("lane"), "10.0.0.1")


@pytest.mark.parametrize("address", ["10.0.0.1:44819", "10.0.0.1/1", "10.0.0.11", "10.0.0.1/bp/3"])
def test_another_controller_has_another_lock(address: str) -> None:
    assert controller_lock(Path("lane"), address) != controller_lock(Path("lane"), "10.0.0.1")
