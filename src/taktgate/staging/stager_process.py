"""The stager's process: wiring only."""

import logging
import sys
from typing import Final, NoReturn

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
from taktgate.staging.reporting import Reporter
from taktgate.staging.station_stager import station_stager

log = logging.getLogger(__name__)

LOCK_FILE: Final = ".stager.lock"


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
    metrics = serve_metrics(
        "model_stager", address=places.metrics_address, port=places.metrics_port
    )
    try:
        parts = station_stager(places, station, metrics.meter)
    except OSError as error:
        log.critical("refusing to start: %s", error)
        metrics.close()
        return EXIT_BUG
    hub = AzureHub()
    agent = StagerAgent(
        hub=hub,
        desk=parts.desk,
        stager=parts.stager,
        journal=parts.journal,
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
