"""The stager's process: wiring only."""

import logging
import sys
from typing import Final, NoReturn

from taktgate import __version__
from taktgate.edge.azure_hub import AzureHub
from taktgate.edge.logs import set_up_logging
from taktgate.edge.metrics import MetricsPortError, serve_metrics
from taktgate.edge.module import EXIT_BAD_SETTINGS, EXIT_ROLE_TAKEN
from taktgate.edge.process import (
    RoleTakenError,
    die_with_parent,
    end_on_sigterm,
    hold_role,
    take_idle_priority,
)
from taktgate.edge.settings import (
    Places,
    SettingsError,
    StationSettings,
    load_station,
    places_from,
)
from taktgate.staging.activation import ACTIVATION_FILE, ActivationFile
from taktgate.staging.agent import StagerAgent
from taktgate.staging.disk import LocalDisk
from taktgate.staging.fetch import UrlFetcher
from taktgate.staging.gate import StationGate
from taktgate.staging.instruments import Instruments
from taktgate.staging.journal import Journal
from taktgate.staging.orders import OrderDesk
from taktgate.staging.reporting import Reporter
from taktgate.staging.slots import Slots
from taktgate.staging.stager import Stager

log = logging.getLogger(__name__)

LOCK_FILE: Final = ".stager.lock"
EXIT_UNEXPECTED: Final = 1


def main() -> int:
    """Run the process until SIGTERM; return the exit code."""
    set_up_logging("model_stager/stager")
    die_with_parent()
    try:
        places = places_from()
        station = load_station(places.station_file)
        # On the volume itself: an old container that lingers must not write beside a new one.
        places.slots.mkdir(parents=True, exist_ok=True)
        lock = hold_role(places.slots / LOCK_FILE)
    except (SettingsError, OSError) as error:
        log.critical("refusing to start: %s", error)
        return EXIT_BAD_SETTINGS
    except RoleTakenError as error:
        log.critical("refusing to start: %s", error)
        return EXIT_ROLE_TAKEN
    with lock:
        take_idle_priority()
        end_on_sigterm(_end)
        return _serve(places, station)


def _serve(places: Places, station: StationSettings) -> int:
    disk = LocalDisk()
    activation = ActivationFile(path=places.state / ACTIVATION_FILE)
    try:
        journal = Journal(places.slots, disk=disk)
        metrics = serve_metrics(
            "model_stager", address=places.metrics_address, port=places.metrics_port
        )
    except (OSError, MetricsPortError) as error:
        log.critical("refusing to start: %s", error)
        return EXIT_BAD_SETTINGS
    stager = Stager(
        journal=journal,
        slots=Slots(
            places.slots,
            disk=disk,
            gate=StationGate(config=places.config, device_class=station.device_class),
        ),
        disk=disk,
        fetcher=UrlFetcher(),
        activation=activation,
        device_class=station.device_class,
        instruments=Instruments(metrics.meter, phase=lambda: journal.record.phase),
    )
    hub = AzureHub()
    agent = StagerAgent(
        hub=hub,
        desk=OrderDesk(journal=journal, stager=stager, activation=activation, code=__version__),
        stager=stager,
        journal=journal,
        reporter=Reporter(hub),
    )
    try:
        return agent.run()
    except Exception:
        log.exception("unexpected error: ending, to be started anew")
        return EXIT_UNEXPECTED
    finally:
        metrics.close()


def _end() -> NoReturn:
    """End wherever we are: every step is made to be cut off."""
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
