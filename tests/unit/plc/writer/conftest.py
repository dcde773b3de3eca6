"""A writer at work."""

import pytest
from tests.unit.plc.writer.bench import Station


@pytest.fixture
def station() -> Station:
    """A station that has been running for half a second."""
    station = Station()
    station.run_ms(500)
    return station
