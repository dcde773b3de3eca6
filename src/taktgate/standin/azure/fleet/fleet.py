"""Many light devices in one process, and their figures."""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from taktgate.contracts.routes import INFERENCE, MODEL_STAGER
from taktgate.standin.azure.clock import Clock, WorldClock
from taktgate.standin.azure.device_link import HubSide
from taktgate.standin.azure.fleet import inference
from taktgate.standin.azure.fleet.device import FleetObserver, LightDevice, Surroundings
from taktgate.standin.azure.fleet.faults import Faults
from taktgate.standin.azure.fleet.module_client import TOKEN_LIFETIME_S, HubPlace
from taktgate.standin.azure.fleet.open_files import allow_open_files
from taktgate.standin.azure.fleet.pace import Pace
from taktgate.standin.azure.json_types import JsonObject

log = logging.getLogger(__name__)

CONNECTING_AT_A_TIME = 32
FILES_FOR_EACH = 2
"""Both ends of a connection are here, as the hub is in this process too."""
START_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatistics:
    """What a fleet is at, in devices unless said otherwise."""

    devices: int
    connected: int
    connections: int
    """MQTT connections: one for each module that runs."""
    ordered: Mapping[str, int]
    """By the model version that the stager was told."""
    live: Mapping[str, int]
    """By the model version that judges."""
    phases: Mapping[str, int]
    """By inference's phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """How the devices of a fleet behave."""

    pace: Pace = field(default_factory=Pace)
    faults: Faults | None = None
    seed: int = 0
    observer: FleetObserver | None = None
    token_lifetime_s: int = TOKEN_LIFETIME_S
    connecting_at_a_time: int = CONNECTING_AT_A_TIME


class Fleet:
    """Light devices that are registered in a hub; they live on the event loop that starts them."""

    def __init__(
        self,
        names: Iterable[str],
        *,
        hub: HubSide,
        address: str,
        port: int,
        hostname: str,
        ca_file: Path,
        settings: FleetSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare devices; none connects yet.

        Args:
            names: The device ids, all registered as IoT Edge devices.
            hub: Knows the keys of their modules.
            address: Where the hub's MQTT endpoint is; its certificate must hold it.
            port: The endpoint's port.
            hostname: The hub's name in user names and tokens.
            ca_file: The CA that signed the endpoint's certificate.
            settings: How the devices behave.
            clock: Which time they tell; the wall's if not given.
        """
        settings = settings or FleetSettings()
        context = ssl.create_default_context(cafile=str(ca_file))
        # What IoT Hub speaks, and a third less memory for each connection than 1.3.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.faults = settings.faults or Faults(seed=settings.seed)
        surroundings = Surroundings(
            hub=hub,
            place=HubPlace(
                address=address,
                port=port,
                hostname=hostname,
                tls=context,
                gate=asyncio.Semaphore(settings.connecting_at_a_time),
                clock=clock or WorldClock(),
                token_lifetime_s=settings.token_lifetime_s,
            ),
            pace=settings.pace,
            faults=self.faults,
            seed=settings.seed,
            observer=settings.observer,
        )
        self._devices = {name: LightDevice(name, surroundings) for name in names}

    @property
    def devices(self) -> Mapping[str, LightDevice]:
        """The devices by name."""
        return MappingProxyType(self._devices)

    async def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start all devices; return when each has connected.

        Raises:
            TimeoutError: Some have not.
            TooManyFilesError: The operating system does not allow so many connections.
        """
        allow_open_files(len(self._devices) * len(LightDevice.MODULES) * FILES_FOR_EACH)
        for device in self._devices.values():
            device.start()
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(each.connected.wait() for each in self._devices.values()))
        except TimeoutError:
            missing = sum(not each.connected.is_set() for each in self._devices.values())
            raise TimeoutError(
                f"{missing} of {len(self._devices)} light devices did not connect "
                f"within {timeout_s:g} s"
            ) from None
        log.info("fleet connected", extra={"devices": len(self._devices)})

    async def stop(self) -> None:
        """Disconnect all devices."""
        await asyncio.gather(*(device.stop() for device in self._devices.values()))

    def statistics(self) -> FleetStatistics:
        """Return what the devices are at."""
        devices = self._devices.values()
        reports = [each.reported(INFERENCE).get(inference.PROPERTY, {}) for each in devices]
        return FleetStatistics(
            devices=len(devices),
            connected=sum(each.is_connected for each in devices),
            connections=sum(each.connections for each in devices),
            ordered=_count(_version(each.desired(MODEL_STAGER).get("model")) for each in devices),
            live=_count(_version(report.get("live")) for report in reports),
            phases=_count(report.get("phase") for report in reports),
        )


def _version(model: JsonObject | None) -> str | None:
    version = model.get("version") if isinstance(model, dict) else None
    return version if isinstance(version, str) else None


def _count(names: Iterable[str | None]) -> Mapping[str, int]:
    return Counter(name for name in names if name is not None)
