"""Who a module is: the token of its CONNECT, checked now and again, or that of an HTTPS call.

edgeHub checks the tokens of connected clients every five minutes and ends the connection of one
that is not good any more (Azure/iotedge Edge.Hub.Core/ConnectionReauthenticator.cs).
"""

from collections.abc import Callable
from dataclasses import dataclass

from taktgate.standin.azure import sas
from taktgate.standin.azure.mqtt import codec

ModuleKey = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a module has shown."""

    module: str
    token: sas.SasToken


class Authenticator:
    """Checks tokens with the modules' keys, which the device has."""

    def __init__(self, *, device: str, hub_hostname: str, module_key: ModuleKey) -> None:
        self._device = device
        self._hub_hostname = hub_hostname
        self._module_key = module_key

    def authenticate(self, packet: codec.Connect) -> Credentials:
        """Return who connects.

        Raises:
            SasRefusedError: It is no module of this device, or its token is not good.
        """
        device, _, module = packet.client_id.partition("/")
        if device != self._device:
            raise sas.SasRefusedError("no such module on this device")
        user = f"{self._hub_hostname}/{packet.client_id}/".lower()
        if packet.username is None or not packet.username.lower().startswith(user):
            raise sas.SasRefusedError("user name does not fit the client id")
        credentials = Credentials(module=module, token=sas.parse(packet.password or ""))
        self.check(credentials)
        return credentials

    def check(self, credentials: Credentials) -> None:
        """Check *credentials*, of a connection that there is as well.

        Raises:
            SasRefusedError: They are not good (any more).
        """
        key = self._module_key(credentials.module)
        if key is None:
            raise sas.SasRefusedError("no such module on this device")
        resource = f"{self._hub_hostname}/devices/{self._device}/modules/{credentials.module}"
        sas.check(credentials.token, resource=resource, key=key)
