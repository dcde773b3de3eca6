"""A controller for each profile, and a link of each backend to it."""

from collections.abc import Iterator

import pytest
from tests.faults.relay import Relay
from tests.integration.link_bench import PROFILES, Plc, opened

from taktgate.plc.contract.wire import Profile
from taktgate.plc.link.backends import BACKENDS
from taktgate.plc.link.port import TagLink
from taktgate.standin.logix.firmware import Firmware
from taktgate.standin.logix.thread import LogixThread


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=PROFILES, ids=lambda profile: profile.name)
def profile(request: pytest.FixtureRequest) -> Profile:
    found: Profile = request.param
    return found


@pytest.fixture
def plc(profile: Profile) -> Plc:
    return Plc(profile)


@pytest.fixture
def controller(plc: Plc) -> Iterator[LogixThread]:
    with LogixThread(plc.memory, firmware=Firmware(is_strict=True)) as controller:
        yield controller


@pytest.fixture
def link(backend: str, profile: Profile, controller: LogixThread) -> Iterator[TagLink]:
    with opened(backend, controller, profile=profile) as link:
        yield link


@pytest.fixture
def relay(controller: LogixThread) -> Iterator[Relay]:
    with Relay(controller.host, controller.port) as relay:
        yield relay


@pytest.fixture
def relayed(backend: str, profile: Profile, relay: Relay) -> Iterator[TagLink]:
    """A link behind the relay."""
    with opened(backend, relay, profile=profile) as link:
        yield link
