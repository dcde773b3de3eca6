"""Direct methods, as the hub passes them on to the device that is to answer."""

from taktgate.standin.azure.device_link import ITSELF, DeviceLink, MethodResult
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.method_calls import MethodRequest


async def invoke(link: DeviceLink, module: str | None, call: MethodRequest) -> MethodResult:
    """Call a direct method of a module, or of the device itself (None; its side hears `ITSELF`).

    Raises:
        HubRequestError: 404 when nobody is there within the connect timeout, 504 when the answer
            takes too long (learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods).
    """
    try:
        return await link.invoke(module or ITSELF, call)
    except HubRequestError as error:
        raise (_not_online() if error.status == 404 else error) from error


def _not_online() -> HubRequestError:
    return HubRequestError(
        404,
        "DeviceNotOnline",
        "The operation failed because the requested device isn't online or hasn't registered the "
        "direct method callback. To learn more, see https://aka.ms/iothub404103",
    )
