"""The CONNECT by which a device or module signs in with its symmetric key, as the SDKs send it."""

from taktgate.standin.azure import sas
from taktgate.standin.azure.mqtt import codec

API_VERSION = "2021-04-12"


def sign_in(
    hostname: str, client_id: str, *, key: bytes, lifetime_s: int, keep_alive_s: int = 60
) -> codec.Connect:
    """Return the first packet of a client, with a token that is good for *lifetime_s* from now.

    Args:
        hostname: The hub's name; edgeHub's modules name the hub as well.
        client_id: `device`, or `device/module`.
        key: The client's symmetric key.
        lifetime_s: How long the token is good.
        keep_alive_s: The client's keep-alive; 0 for none.
    """
    device, _, module = client_id.partition("/")
    resource = f"{hostname}/devices/{device}" + (f"/modules/{module}" if module else "")
    return codec.Connect(
        client_id=client_id,
        username=f"{hostname}/{client_id}/?api-version={API_VERSION}",
        password=sas.make(resource, key=key, lifetime_s=lifetime_s),
        keep_alive_s=keep_alive_s,
    )
