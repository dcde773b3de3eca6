"""Errors of the local Azure.

AzureStandInError
├── PortInUseError         another program listens where the local world must listen
├── MqttProtocolError      a peer sent bytes that are not MQTT 3.1.1 as edgeHub speaks it
├── RouteSyntaxError       a route does not compile; the whole edgeHub configuration is refused
├── QuerySyntaxError       a twin query or target condition does not parse
├── ManifestError          a deployment or module manifest breaks a rule
├── TwinLimitError         a twin document breaks one of Azure's limits
├── TooManyFilesError      the operating system does not allow as many connections as wanted
├── UpstreamOfflineError   the device cannot reach the hub
├── QuirkError             a quirk is unknown or its number is out of range
├── WorldSetupError        a world cannot be set up as asked
├── WorldControlError      a command to a running world is refused
├── NoWorldError           no world runs, or not the one that was named
├── HubStoreError          a file is not a hub's store, or of another version
├── HubRequestError        a service request is refused; carries HTTP status and Azure's error code
└── SasRefusedError        a token is not good (sas.py)

edgeHub and edgeAgent have trees of their own below it: edgehub/errors.py, edgeagent/errors.py.
"""

from collections.abc import Mapping
from types import MappingProxyType

# learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes and
# Azure/azure-iot-sdk-csharp iothub/service/src/Common/Exceptions/ErrorCode.cs
_NUMBERS: Mapping[str, int] = MappingProxyType(
    {
        "GenericBadRequest": 400000,
        "InvalidProtocolVersion": 400001,
        "ArgumentInvalid": 400004,
        "IotHubFormatError": 400006,
        "BulkRegistryOperationFailure": 400013,
        "InvalidConfigurationTargetCondition": 400401,
        "InvalidConfigurationContent": 400402,
        "CannotModifyImmutableConfigurationContent": 400403,
        "InvalidConfigurationCustomMetricsQuery": 400404,
        "IotHubUnauthorizedAccess": 401002,
        "IotHubUnauthorized": 401003,
        "IotHubQuotaExceeded": 403002,
        "GenericNotFound": 404000,
        "DeviceNotFound": 404001,
        "ModuleNotFound": 404010,
        "DeviceNotOnline": 404103,
        "ConfigurationNotFound": 404301,
        "GenericMethodNotAllowed": 405000,
        "DeviceAlreadyExists": 409001,
        "ModuleAlreadyExistsOnDevice": 409301,
        "PreconditionFailed": 412001,
        "MessageTooLarge": 413001,
        "ThrottlingException": 429001,
        "ThrottlingBacklogTimeout": 429003,
        "ServerError": 500001,
        "GatewayTimeout": 504101,
    }
)


class AzureStandInError(Exception):
    """Base of all errors of the local Azure."""


class PortInUseError(AzureStandInError):
    """Another program listens on a port whose number the protocol fixes.

    Attributes:
        address: The address that was wanted.
        port: The port that was wanted.
    """

    def __init__(self, address: str, port: int, rule: str) -> None:
        super().__init__(f"{address}:{port} is in use; rule: {rule}")
        self.address = address
        self.port = port


class MqttProtocolError(AzureStandInError):
    """A peer sent bytes that are not MQTT 3.1.1 as edgeHub speaks it."""


class RouteSyntaxError(AzureStandInError):
    """A route does not compile.

    Attributes:
        route: The route's text.
        position: Where in the text the parser gave up (0 = first character).
    """

    def __init__(self, reason: str, *, route: str, position: int) -> None:
        super().__init__(f"{reason} at character {position} of route {route!r}")
        self.route = route
        self.position = position


class QuerySyntaxError(AzureStandInError):
    """A twin query or target condition does not parse."""


class ManifestError(AzureStandInError):
    """A deployment or module manifest breaks a rule."""


class TwinLimitError(AzureStandInError):
    """A twin document breaks one of Azure's limits."""


class TooManyFilesError(AzureStandInError):
    """The operating system does not allow this process as many open files as wanted."""


class UpstreamOfflineError(AzureStandInError):
    """The device cannot reach the hub."""


class QuirkError(AzureStandInError):
    """A quirk is unknown here, or its number is out of range."""


class WorldSetupError(AzureStandInError):
    """A world cannot be set up as asked."""


class WorldControlError(AzureStandInError):
    """A command to a running world is refused."""


class NoWorldError(AzureStandInError):
    """No world runs, or not the one that was named."""


class HubStoreError(AzureStandInError):
    """A file cannot be read as a hub's store."""


class HubRequestError(AzureStandInError):
    """A service request is refused.

    Attributes:
        status: The HTTP status.
        code: Azure's name of the error, for example `DeviceNotFound`.
        number: Azure's six-digit error number.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.number = _NUMBERS.get(code, status * 1000)
