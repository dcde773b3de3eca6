"""Direct methods of the unmodified azure-iot-device: from the cloud and from module to module."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.contract.conftest import DEVICE, OpenModule, SdkWorld
from tests.contract.sdk_module import TIMEOUT_S, SdkError, SdkModule
from tests.contract.sdk_process import SILENT_METHOD

from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.method_calls import MethodRequest

CloudCall = Callable[..., MethodResult]


@pytest.fixture
def module(flavour: str, open_module: OpenModule) -> SdkModule:
    return open_module(flavour)


@pytest.fixture
def call(sdk_world: SdkWorld) -> CloudCall:
    """Call a module's method from the cloud."""

    def call_it(module: str, name: str, payload: Any = None, **limits: float) -> MethodResult:
        request = MethodRequest(
            name=name, payload=payload, **{"response_timeout_s": TIMEOUT_S, **limits}
        )
        return sdk_world.cloud.run(sdk_world.cloud.cloud.hub.invoke(DEVICE, module, request))

    return call_it


@pytest.fixture
def callee(flavour: str, sdk_world: SdkWorld, open_module: OpenModule) -> SdkModule:
    if sdk_world.device.edgehub.methods_refusal is not None:
        pytest.skip(f"the SDK fixes the port: {sdk_world.device.edgehub.methods_refusal}")
    return open_module(flavour)


@pytest.mark.azure(
    "edgeHub",
    "A module's answer to a direct method keeps status and payload",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods#method-lifecycle",
)
@pytest.mark.parametrize(
    ("status", "payload"),
    [(200, {"nested": {"a": [1, None, "ä"]}}), (500, "went wrong"), (207, None), (-1, 0)],
)
def test_answer_keeps_its_status_and_payload(
    module: SdkModule, call: CloudCall, status: int, payload: Any
) -> None:
    module.listen_to_methods(probe=(status, payload))
    answered = call(module.name, "probe", {"x": [1, "ü"]})
    assert (answered.status, answered.payload) == (status, payload)
    assert module.methods.get(timeout=TIMEOUT_S)["payload"] == {"x": [1, "ü"]}


@pytest.mark.azure(
    "edgeHub",
    "A method that the module does not answer in the response timeout is 504",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods#method-lifecycle",
)
def test_method_that_is_not_answered_in_time_is_504(module: SdkModule, call: CloudCall) -> None:
    module.listen_to_methods(prompt=(200, None))
    with pytest.raises(HubRequestError) as refused:
        call(module.name, SILENT_METHOD, response_timeout_s=0.2)
    assert refused.value.status == 504
    assert call(module.name, "prompt").status == 200


@pytest.mark.azure(
    "edgeHub",
    "A method of a module that does not take methods is 404 after the connect timeout",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods#method-lifecycle",
)
def test_connected_module_that_takes_no_methods_is_404(module: SdkModule, call: CloudCall) -> None:
    with pytest.raises(HubRequestError) as refused:
        call(module.name, "probe", connect_timeout_s=0.1)
    assert refused.value.status == 404


@pytest.mark.azure(
    "edgeHub",
    "A module calls another module's method by HTTPS and gets its status and payload",
    source="Azure/iotedge doc/edgehub-api.md",
)
def test_module_gets_the_answer_of_another(module: SdkModule, callee: SdkModule) -> None:
    callee.listen_to_methods(stage=(202, {"slot": "b"}))
    answer = module.invoke(DEVICE, callee.name, "stage", payload={"version": "2"})
    assert answer == {"status": 202, "payload": {"slot": "b"}}
    assert callee.methods.get(timeout=TIMEOUT_S)["payload"] == {"version": "2"}


@pytest.mark.azure(
    "edgeHub",
    "An answer with an error status is an answer, not an HTTP error",
    source="Azure/iotedge doc/edgehub-api.md",
)
def test_error_status_of_the_other_module_is_an_answer(
    module: SdkModule, callee: SdkModule
) -> None:
    callee.listen_to_methods(stage=(500, {"reason": "disk full"}))
    answer = module.invoke(DEVICE, callee.name, "stage")
    assert answer == {"status": 500, "payload": {"reason": "disk full"}}


@pytest.mark.azure(
    "edgeHub",
    "A call to a module that is not there is HTTP 404",
    source="Azure/iotedge doc/edgehub-api.md",
)
def test_call_to_an_unknown_module_is_404(module: SdkModule, callee: SdkModule) -> None:
    with pytest.raises(SdkError, match="404"):
        module.invoke(DEVICE, "no-such-module", "stage")


@pytest.mark.azure(
    "edgeHub",
    "A call that the other module does not answer in its response timeout is HTTP 504",
    source="Azure/iotedge doc/edgehub-api.md",
)
def test_call_that_is_not_answered_in_time_is_504(module: SdkModule, callee: SdkModule) -> None:
    callee.listen_to_methods()
    with pytest.raises(SdkError, match="504"):
        module.invoke(DEVICE, callee.name, SILENT_METHOD, responseTimeoutInSeconds=1)


@pytest.mark.azure(
    "edgeHub",
    "A module of one device cannot call methods of another device",
    source="Azure/iotedge doc/edgehub-api.md",
)
def test_call_to_another_device_is_refused(module: SdkModule, callee: SdkModule) -> None:
    with pytest.raises(SdkError, match=r"40[0134]"):
        module.invoke("station-99", callee.name, "stage")
