"""A registry that is honest so far, and a station that may have asked it before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.registry_attacks.station import DEVICE_CLASS, AttackedStation

from taktgate.standin.hostile_registry.repository import HostileRegistry
from taktgate.standin.hostile_registry.server import HostileServer, serving


@pytest.fixture
def registry() -> HostileRegistry:
    """Offer version 1.0.0 for the station's class, by the role of that class."""
    registry = HostileRegistry()
    role = registry.delegate_class(DEVICE_CLASS)
    registry.add_bundle("1.0.0", role=role, device_class=DEVICE_CLASS)
    registry.update_snapshot()
    return registry


@pytest.fixture
def server(registry: HostileRegistry) -> Iterator[HostileServer]:
    with serving(registry) as server:
        yield server


@pytest.fixture
def station(tmp_path: Path, server: HostileServer) -> AttackedStation:
    return AttackedStation(tmp_path, server)
