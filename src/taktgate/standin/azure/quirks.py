"""What Azure does to a device on a bad day, by name: each quirk says which page or issue it copies.

A quirk is off until somebody turns it on: `taktgate world quirk`, or a test by `QuirkBoard`.
The system that has it asks its board where it matters, and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from taktgate.standin.azure.errors import QuirkError

_ENVIRONMENT = "Azure/iotedge doc/EnvironmentVariables.md"


class System(StrEnum):
    """Whose behaviour a quirk changes."""

    EDGEHUB = "edgeHub"
    EDGEAGENT = "edgeAgent"
    DEVICE = "device"
    HUB = "IoT Hub"


class Measure(StrEnum):
    """What a quirk's number means."""

    SECONDS = "seconds"
    TIMES = "times"
    """It acts so many times and is then off by itself."""
    SWITCH = "switch"
    """It has no number."""
    ACTION = "action"
    """It happens once, now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirk:
    """One thing that can be turned on."""

    name: str
    system: System
    measure: Measure
    does: str
    copies: str
    default: float = 1.0


_ALL = (
    Quirk(
        name="twin-sync-period",
        system=System.EDGEHUB,
        measure=Measure.SECONDS,
        default=120.0,
        does="pulls a whole twin from the hub at most once in this time; patches missed while "
        "offline arrive late",
        copies=f"{_ENVIRONMENT}, MinTwinSyncPeriodSecs",
    ),
    Quirk(
        name="duplicate",
        system=System.EDGEHUB,
        measure=Measure.TIMES,
        does="delivers a message to a module twice",
        copies="Azure/iotedge#2955",
    ),
    Quirk(
        name="delay-puback",
        system=System.EDGEHUB,
        measure=Measure.SECONDS,
        default=2.0,
        does="acknowledges a module's message this much later",
        copies="Azure/azure-iot-sdk-python#1155",
    ),
    Quirk(
        name="withhold-puback",
        system=System.EDGEHUB,
        measure=Measure.TIMES,
        does="stores a module's message and never acknowledges it",
        copies="Azure/azure-iot-sdk-python#713",
    ),
    Quirk(
        name="delay-suback",
        system=System.EDGEHUB,
        measure=Measure.SECONDS,
        default=2.0,
        does="answers a subscription this much later",
        copies="azure-iot-device 2.14, pipeline_stages_mqtt: 10 s, then again after 20 s",
    ),
    Quirk(
        name="withhold-suback",
        system=System.EDGEHUB,
        measure=Measure.TIMES,
        does="never answers a subscription",
        copies="azure-iot-device 2.14, pipeline_stages_mqtt: 10 s, then again after 20 s",
    ),
    Quirk(
        name="slow-twin",
        system=System.EDGEHUB,
        measure=Measure.SECONDS,
        default=5.0,
        does="answers a twin request this much later",
        copies="Azure/azure-iot-sdk-python#531",
    ),
    Quirk(
        name="empty-twin",
        system=System.EDGEHUB,
        measure=Measure.SWITCH,
        does="answers a twin GET with a document without properties and without $version",
        copies="Azure/iotedge edge-hub TwinManager/StoringTwinManager: no cloud and no stored twin",
    ),
    Quirk(
        name="throttle-twin",
        system=System.EDGEHUB,
        measure=Measure.TIMES,
        does="answers a twin request with 429",
        copies="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling",
    ),
    Quirk(
        name="refuse-sas",
        system=System.EDGEHUB,
        measure=Measure.TIMES,
        does="refuses a connection as if its token were wrong (CONNACK 5)",
        copies="learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes#401003",
    ),
    Quirk(
        name="disk-full",
        system=System.EDGEHUB,
        measure=Measure.SWITCH,
        does="cannot store a message: the sender's connection ends without a receipt",
        copies="Azure/iotedge#835",
    ),
    Quirk(
        name="drop-connection",
        system=System.EDGEHUB,
        measure=Measure.ACTION,
        does="cuts a module's connection",
        copies="Azure/azure-iot-sdk-python#713",
    ),
    Quirk(
        name="expire-sas",
        system=System.EDGEHUB,
        measure=Measure.ACTION,
        does="ends a module's connection as the end of its token does",
        copies="learn.microsoft.com/azure/iot-hub/iot-hub-dev-guide-sas",
    ),
    Quirk(
        name="change-ca",
        system=System.EDGEHUB,
        measure=Measure.ACTION,
        does="serves with a certificate of another CA; modules that keep the old bundle cannot "
        "connect",
        copies="learn.microsoft.com/azure/iot-edge/how-to-manage-device-certificates",
    ),
    Quirk(
        name="stop-edgehub",
        system=System.EDGEHUB,
        measure=Measure.ACTION,
        does="stops edgeHub's container; the store survives",
        copies="Azure/iotedge test/modules/EdgeHubRestartTester",
    ),
    Quirk(
        name="start-edgehub",
        system=System.EDGEHUB,
        measure=Measure.ACTION,
        does="starts edgeHub's container again",
        copies="Azure/iotedge test/modules/EdgeHubRestartTester",
    ),
    Quirk(
        name="offline",
        system=System.DEVICE,
        measure=Measure.SWITCH,
        does="cuts the device's line to the hub",
        copies="learn.microsoft.com/azure/iot-edge/offline-capabilities",
    ),
    Quirk(
        name="slow-pull",
        system=System.EDGEAGENT,
        measure=Measure.SECONDS,
        default=10.0,
        does="takes this long for each image that it does not have yet; with the default "
        "ModuleUpdateMode=NonBlocking each module changes as soon as its own image is there",
        copies=f"{_ENVIRONMENT}, ModuleUpdateMode",
    ),
    Quirk(
        name="fail-pull",
        system=System.EDGEAGENT,
        measure=Measure.TIMES,
        does="cannot pull an image: status 500, and the step is not tried again at once",
        copies="Azure/iotedge#6971",
    ),
    Quirk(
        name="throttle",
        system=System.HUB,
        measure=Measure.TIMES,
        does="answers a service request with 429 and Retry-After",
        copies="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling",
    ),
    Quirk(
        name="slow-hub",
        system=System.HUB,
        measure=Measure.SECONDS,
        default=5.0,
        does="answers service requests this much later",
        copies="learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes#504101",
    ),
    Quirk(
        name="targeted-only",
        system=System.HUB,
        measure=Measure.SWITCH,
        does="leaves a layer that changes no edgeAgent property at status Targeted",
        copies="Azure/iotedge#5299",
    ),
)

QUIRKS: Mapping[str, Quirk] = MappingProxyType({quirk.name: quirk for quirk in _ALL})


class QuirkBoard:
    """The quirks of one system (of one device, or of the hub) that are on."""

    def __init__(self, *systems: System) -> None:
        self._systems = frozenset(systems)
        self._values: dict[str, float] = {}

    @property
    def active(self) -> Mapping[str, float]:
        """The quirks that are on, with their numbers (1 for a switch)."""
        return MappingProxyType(self._values)

    def turn_on(self, name: str, value: float | None = None) -> None:
        """Turn on a quirk, with its usual number if none is given.

        Raises:
            QuirkError: This system has no such quirk, or the number is not above 0.
        """
        quirk = self._quirk(name)
        number = quirk.default if value is None else value
        if not number > 0:
            raise QuirkError(f"{name}: value {value!r}; rule: {quirk.measure} above 0")
        self._values[name] = number

    def turn_off(self, name: str) -> None:
        """Turn off a quirk; without effect when it is off.

        Raises:
            QuirkError: This system has no such quirk.
        """
        self._values.pop(self._quirk(name).name, None)

    def is_on(self, name: str) -> bool:
        """Tell whether a switch is on."""
        return self._quirk(name).name in self._values

    def seconds(self, name: str) -> float:
        """Return a quirk's seconds, 0 when it is off."""
        return self._values.get(self._quirk(name).name, 0.0)

    def strikes(self, name: str) -> bool:
        """Tell whether a quirk of so many times acts now, and count that it did."""
        left = self._values.get(self._quirk(name).name, 0.0)
        if left < 1:
            return False
        if left < 2:
            del self._values[name]
        else:
            self._values[name] = left - 1
        return True

    def _quirk(self, name: str) -> Quirk:
        quirk = QUIRKS.get(name)
        if quirk is None or quirk.system not in self._systems:
            known = ", ".join(sorted(q.name for q in _ALL if q.system in self._systems))
            raise QuirkError(f"no quirk {name!r}; rule: one of {known}")
        if quirk.measure is Measure.ACTION:
            raise QuirkError(f"{name} is an action; rule: it happens once and is not turned on")
        return quirk
