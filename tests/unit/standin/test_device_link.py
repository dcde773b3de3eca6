"""A direct method waits for its device to come, as long as its connect timeout says."""

import asyncio

import pytest
from tests.unit.standin.edgehub_bench import FakeHub

from taktgate.standin.azure import simulated_time
from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.method_calls import MethodRequest

CALL = MethodRequest(name="ping", connect_timeout_s=5)


class Device:
    """Answers each call, and keeps it."""

    def __init__(self) -> None:
        self.calls: list[MethodRequest] = []

    async def invoke(self, module: str, call: MethodRequest) -> MethodResult:
        self.calls.append(call)
        return MethodResult(status=200, payload=module)


def test_call_reaches_a_device_that_comes_online_with_the_rest_of_its_time() -> None:
    async def story() -> None:
        link, device = FakeHub().link, Device()
        link.method_target = device
        link.set_online(False)
        asyncio.get_running_loop().call_later(3, link.set_online, True)
        assert (await link.invoke("m", CALL)).payload == "m"
        assert [each.connect_timeout_s for each in device.calls] == [2]

    simulated_time.run(story())


def test_call_reaches_a_device_that_starts_in_time() -> None:
    async def story() -> None:
        link = FakeHub().link
        asyncio.get_running_loop().call_later(4, setattr, link, "method_target", Device())
        assert (await link.invoke("m", CALL)).status == 200

    simulated_time.run(story())


def test_call_ends_when_its_connect_timeout_is_over() -> None:
    async def story() -> None:
        link = FakeHub().link
        with pytest.raises(HubRequestError) as refused:
            await link.invoke("m", CALL)
        assert refused.value.number == 404103
        assert asyncio.get_running_loop().time() == 5

    simulated_time.run(story())
