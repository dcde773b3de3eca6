"""The stager's process: wiring only."""

import logging
import sys
from typing import Final, NoReturn

from taktgate import __version__
from taktgate.contracts.twins import TypedError
from taktgate.edge.azure_hub import AzureHub
from taktgate.edge.exits import EXIT_BUG
from taktgate.edge.metrics import METRICS_PORT, serve_metrics
from taktgate.edge.places import Places
from taktgate.edge.process import end_on_sigterm, hold_role, take_idle_priority_as_a_whole
from taktgate.edge.settings import StationSettings
from taktgate.edge.startup import run_process
from taktgate.staging.activation import ACTIVATION_FILE, ActivationFile
from taktgate.staging.agent import StagerAgent
from taktgate.staging.fetch.web import UrlFetcher
from taktgate.staging.instruments import Instruments
from taktgate.staging.journal import Journal
from taktgate.staging.orders import OrderDesk
from taktgate.staging.registry.client import TRUSTED_ROOT_FILE, TufRegistry
from taktgate.staging.reporting import Reporter
from taktgate.staging.slots.disk import Disk
from taktgate.staging.slots.gate import StationGate
from taktgate.staging.slots.slots import Slots
from taktgate.staging.stager import Stager

log = logging.getLogger(__name__)

LOCK_FILE: Final = ".stager.lock"
TRUST_FOLDER: Final = "trust"
"""On the slots volume: the registry's metadata that is trusted."""


def stage(places: Places, station: StationSettings) -> int:
    """Serve until SIGTERM; return the exit code."""
    # On the volume itself: an old container that lingers must not write beside a new one.
    places.slots.mkdir(parents=True, exist_ok=True)
    with hold_role(places.slots / LOCK_FILE):
        end_on_sigterm(_end)
        activation = ActivationFile(path=places.state / ACTIVATION_FILE)
        make_way(activation)
        return _serve(places, station, activation)


def make_way(activation: ActivationFile) -> None:
    """Step behind everything else on the machine; not before there is a model that judges parts.

    A station without one has nothing to disturb, and waits for us.
    """
    if activation.may_be_in_use():
        take_idle_priority_as_a_whole()


def _serve(places: Places, station: StationSettings, activation: ActivationFile) -> int:
    disk = Disk()
    try:
        journal = Journal(places.slots, disk=disk)
    except OSError as error:
        log.critical("refusing to start: %s", error)
        return EXIT_BUG
    metrics = serve_metrics(
        "model_stager", address=places.metrics_address, port=places.metrics_port
    )
    stager = Stager(
        journal=journal,
        slots=Slots(
            places.slots,
            disk=disk,
            gate=StationGate(config=places.config, device_class=station.device_class),
        ),
        disk=disk,
        registry=TufRegistry(
            places.slots / TRUST_FOLDER,
            trusted_root=places.config / TRUSTED_ROOT_FILE,
            fetcher=UrlFetcher(),
            disk=disk,
            device_class=station.device_class,
        ),
        activation=activation,
        waived_hil=station.staging.waived_hil,
        instruments=Instruments(metrics.meter, phase=lambda: journal.record.phase),
    )
    hub = AzureHub()
    agent = StagerAgent(
        hub=hub,
        desk=OrderDesk(journal=journal, stager=stager, activation=activation, code=__version__),
        stager=stager,
        journal=journal,
        reporter=Reporter(hub),
        make_way=lambda: make_way(activation),
        complaint=TypedError(reason=METRICS_PORT, message=metrics.error) if metrics.error else None,
    )
    try:
        return agent.run()
    finally:
        metrics.close()


def _end() -> NoReturn:
    """End wherever we are: every step is made to be cut off."""
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(run_process("model_stager/stager", stage))
