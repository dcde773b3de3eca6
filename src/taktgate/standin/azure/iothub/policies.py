"""Shared access policies: which key may do what.

Source: learn.microsoft.com/azure/iot-hub/iot-hub-dev-guide-sas, "Access control and permissions".
"""

import base64
import secrets
from dataclasses import dataclass
from enum import StrEnum

from taktgate.standin.azure import sas
from taktgate.standin.azure.errors import HubRequestError

KEY_BYTES = 32
OWNER = "iothubowner"


class Right(StrEnum):
    """What a policy may grant."""

    REGISTRY_READ = "RegistryRead"
    REGISTRY_WRITE = "RegistryWrite"
    SERVICE_CONNECT = "ServiceConnect"
    DEVICE_CONNECT = "DeviceConnect"


RIGHTS = {
    OWNER: frozenset(Right),
    "service": frozenset({Right.SERVICE_CONNECT}),
    "device": frozenset({Right.DEVICE_CONNECT}),
    "registryRead": frozenset({Right.REGISTRY_READ}),
    "registryReadWrite": frozenset({Right.REGISTRY_READ, Right.REGISTRY_WRITE}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyKeys:
    """Both keys of a policy: either one may sign, so that one can be changed at a time."""

    primary: bytes
    secondary: bytes


class AccessPolicies:
    """The hub's policies with their keys."""

    def __init__(self) -> None:
        """Make new keys for each of the policies that a new hub has."""
        self._keys = {
            name: PolicyKeys(
                primary=secrets.token_bytes(KEY_BYTES), secondary=secrets.token_bytes(KEY_BYTES)
            )
            for name in RIGHTS
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The policies' names."""
        return tuple(self._keys)

    def keys(self, policy: str) -> PolicyKeys:
        """Return the keys of *policy*, one of `names`."""
        return self._keys[policy]

    def set_keys(self, policy: str, keys: PolicyKeys) -> None:
        """Give *policy* other keys.

        Raises:
            ValueError: There is no such policy.
        """
        if policy not in RIGHTS:
            raise ValueError(f"no policy {policy!r}; rule: one of {', '.join(RIGHTS)}")
        self._keys[policy] = keys

    def connection_string(self, host: str, policy: str = OWNER) -> str:
        """Return what `az iot --login` and azure-iot-hub take."""
        key = base64.b64encode(self._keys[policy].primary).decode("ascii")
        return f"HostName={host};SharedAccessKeyName={policy};SharedAccessKey={key}"

    def authorize(self, authorization: str, *, resource: str, right: Right | None) -> None:
        """Check a request's Authorization header.

        Args:
            authorization: The header's text.
            resource: Host and path of the request.
            right: What the request needs; None for a call that does not exist.

        Raises:
            HubRequestError: 401. The message says why, as error 401003 lists the reasons
                (learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes); to lack a right is
                401 too, not 403 (mwalser/terraform-provider-iothub CONCEPT.md, 11.2).
        """
        if not authorization:
            raise _refused("Authorization header missing")
        try:
            token = sas.parse(authorization)
            name = token.key_name or ""
            keys = self._keys.get(name)
            if keys is None:
                raise sas.SasRefusedError(f"no policy {name!r}")
            _check_either(token, resource, keys)
        except (sas.SasRefusedError, ValueError) as error:
            raise _refused(str(error)) from error
        if right is not None and right not in RIGHTS[name]:
            raise _refused(f"Authorization rule {name!r} does not allow access for {right}")


def _check_either(token: sas.SasToken, resource: str, keys: PolicyKeys) -> None:
    try:
        sas.check(token, resource=resource, key=keys.primary)
    except sas.SasRefusedError:
        sas.check(token, resource=resource, key=keys.secondary)


def _refused(reason: str) -> HubRequestError:
    return HubRequestError(401, "IotHubUnauthorizedAccess", f"Unauthorized: {reason}")
